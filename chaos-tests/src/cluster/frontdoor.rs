//! HAProxy in front of a world's nodes, with the template that operators are given
//! (`docs/haproxy.cfg`) and nothing changed in it but addresses.

use super::Cluster;
use crate::failure::{Failure, Result};
use crate::net::{Endpoint, PATIENCE};
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The template.
const TEMPLATE: &str = include_str!("../../../docs/haproxy.cfg");

/// What the template says instead of the nodes' addresses, and where it asks whether one is ready.
const NODE: &str = "10.0.0.";
const HEALTH: u16 = 9090;

/// Where HAProxy's connections to the nodes come from. Not where the world's own come from, which
/// bring no header that tells whose they are.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// A running HAProxy; it ends when this is dropped.
pub struct FrontDoor {
    base: u16,
    socket: PathBuf,
    authority: PathBuf,
    _child: Child,
}

/// Where HAProxy is, if it is installed.
#[must_use]
pub fn program() -> Option<PathBuf> {
    ["/usr/sbin/haproxy", "/usr/bin/haproxy"].map(PathBuf::from).into_iter().find(|p| p.exists())
}

impl FrontDoor {
    /// Starts one in front of all nodes that the world has now, and waits until it knows all of them
    /// to be ready.
    ///
    /// # Errors
    /// If it does not start, or does not find the nodes.
    pub async fn start(cluster: &Cluster, program: &Path) -> Result<FrontDoor> {
        let bases: Vec<u16> = cluster.nodes.iter().map(|node| node.file.base).collect();
        let base = cluster.spare_base();
        let socket = cluster.dir().join("haproxy.sock");
        let config = cluster.dir().join("haproxy.cfg");
        fs::write(&config, filled(TEMPLATE, base, &bases, &socket)?)?;
        let log = File::create(cluster.dir().join("haproxy.log"))?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&config).stdin(Stdio::null());
        command.stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn()?;
        let authority = cluster.authority().to_owned();
        let door = FrontDoor { base, socket, authority, _child: child };
        door.wait_for(bases.len()).await?;
        Ok(door)
    }

    /// How clients reach it.
    ///
    /// # Errors
    /// If the authority cannot be read.
    pub fn endpoint(&self) -> Result<Endpoint> {
        Endpoint::new(self.base, &self.authority)
    }

    /// How many connections of one of its services are with each node, by number.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn sessions(&self, service: &str) -> Result<Vec<u64>> {
        let rows = rows(&self.ask("show stat\n").await?, service);
        Ok(rows.into_iter().map(|(sessions, _)| sessions).collect())
    }

    async fn wait_for(&self, nodes: usize) -> Result<()> {
        let begun = Instant::now();
        loop {
            let told = self.ask("show stat\n").await.unwrap_or_default();
            let up = rows(&told, "imaps").into_iter().filter(|(_, is_up)| *is_up).count();
            let listens = TcpStream::connect(("127.0.0.1", self.base + 993)).await.is_ok();
            if up == nodes && listens {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(Failure(format!("HAProxy finds {up} of {nodes} nodes ready: {told}")));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn ask(&self, line: &str) -> Result<String> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        stream.write_all(line.as_bytes()).await?;
        let mut told = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut told)).await??;
        Ok(told)
    }
}

/// The servers of a service in `show stat`: open connections, and whether they are up.
fn rows(told: &str, service: &str) -> Vec<(u64, bool)> {
    let rows = told.lines().map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row.first() == Some(&service))
        .filter(|row| row.get(1).is_some_and(|name| name.starts_with("mail-")))
        .map(|row| {
            let sessions = row.get(4).and_then(|n| n.parse().ok()).unwrap_or_default();
            (sessions, row.get(17).is_some_and(|state| state.starts_with("UP")))
        })
        .collect()
}

/// The template with the addresses of a world.
fn filled(template: &str, base: u16, nodes: &[u16], socket: &Path) -> Result<String> {
    let mut text = String::new();
    for line in template.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["bind", port] => {
                let port: u16 = number(port.trim_start_matches(':'))?;
                text.push_str(&format!("    bind 127.0.0.1:{}\n", base + port));
            }
            ["server", name, address, more @ ..] => {
                let (host, port) = address.rsplit_once(':').ok_or("a server without port")?;
                let at: usize = number(host.trim_start_matches(NODE))?;
                let Some(node) = at.checked_sub(1).and_then(|at| nodes.get(at)) else {
                    return Err(Failure(format!("{line}: no such node")));
                };
                let (port, health) = (node + number::<u16>(port)?, node + HEALTH);
                let more = more.join(" ");
                let server =
                    format!("server {name} 127.0.0.1:{port} port {health} source {SOURCE} {more}");
                text.push_str(&format!("    {}\n", server.trim_end()));
            }
            // As many as a test may have files.
            ["maxconn", _] => text.push_str("    maxconn 2000\n"),
            ["global"] => {
                let socket = socket.display();
                text.push_str(&format!("global\n    stats socket {socket} level operator\n"));
            }
            _ => text.push_str(&format!("{line}\n")),
        }
    }
    Ok(text)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Failure(format!("{text:?} is no number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_filled_and_all_else_stays() {
        let text = filled(TEMPLATE, 30_000, &[11_000, 12_000, 13_000], Path::new("/s")).unwrap();
        for expected in [
            "bind 127.0.0.1:30993\n",
            "server mail-3 127.0.0.1:13025 port 22090 source 127.0.0.2\n",
            "server mail-1 127.0.0.1:11993 port 20090",
            "stats socket /s",
            "http-check expect status 200",
            "send-proxy-v2",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        let told = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        assert!(!told.collect::<String>().contains(NODE));
        assert!(filled("    server x 10.0.0.4:25", 1, &[1, 2, 3], Path::new("/s")).is_err());
    }

    #[test]
    fn what_haproxy_tells_is_read() {
        let row = |name: &str, state: &str| {
            format!("imaps,{name},0,0,7,9,,1,2,3,,0,,0,0,0,0,{state},1\n")
        };
        let told = [
            "# pxname,svname\n",
            &row("FRONTEND", "OPEN"),
            &row("mail-1", "UP"),
            &row("mail-2", "DOWN"),
        ]
        .concat();
        assert_eq!(rows(&told, "imaps"), [(7, true), (7, false)]);
        assert_eq!(rows(&told, "smtp"), []);
    }
}
