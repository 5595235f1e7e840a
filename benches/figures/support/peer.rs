//! The peer: Postfix in front of Dovecot, run by `benches/peer/run.sh`.

use super::Memory;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

pub const SMTP: u16 = 12_025;
pub const IMAP: u16 = 12_143;
pub const IMAPS: u16 = 12_993;

/// A UNIX socket's whole path has 108 bytes; the daemons put theirs below the directory.
const PATH_MAX: usize = 70;

/// How long the daemons may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// The running daemons; stopped when it is dropped, and when this process dies: `run.sh` sees its
/// input end.
pub struct Peer {
    run: Child,
    dir: PathBuf,
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.run.stdin.take());
        // Its directory goes next, so it must have ended.
        let start = Instant::now();
        while matches!(self.run.try_wait(), Ok(None)) && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Why the peer cannot take part, in words.
pub fn missing(root: &Path) -> Option<String> {
    if std::env::var("RIALTO_BENCH_PEER").is_ok_and(|choice| choice == "no") {
        return Some("RIALTO_BENCH_PEER=no".into());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if !status.lines().any(|line| line.starts_with("Uid:\t0\t")) {
        return Some("its daemons have to be started by root".into());
    }
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
    for program in ["postfix", "dovecot", "doveadm", "openssl"] {
        if !path.split(':').any(|dir| Path::new(dir).join(program).exists()) {
            return Some(format!("no {program} here; `make bench-peer` installs it"));
        }
    }
    if !Path::new("/usr/lib/dovecot/lmtp").exists() {
        return Some("no LMTP in this Dovecot; `make bench-peer` installs it".into());
    }
    if root.as_os_str().len() > PATH_MAX {
        return Some(format!(
            "{} is too long for its sockets; set RIALTO_BENCH_DIR",
            root.display()
        ));
    }
    root.ancestors().find_map(|dir| {
        let mode = std::fs::metadata(dir).ok()?.permissions().mode();
        (mode & 1 == 0)
            .then(|| format!("its users cannot pass {}; set RIALTO_BENCH_DIR", dir.display()))
    })
}

impl Peer {
    /// Starts both daemons in an empty directory, with mailboxes user1 … userN, and waits until
    /// they listen.
    pub async fn start(kind: &str, dir: &Path, users: u64) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peer/run.sh");
        let mut run = Command::new("bash")
            .arg(script)
            .args([kind, dir.to_str().unwrap()])
            .args([SMTP, IMAP, IMAPS].map(|port| port.to_string()))
            .args((1..=users).map(|number| format!("user{number}")))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the peer");
        let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let ready = matches!(first, Ok(Ok(Some(line))) if line == "ready");
        assert!(ready, "the peer did not start; see {}/*.log", dir.display());
        let listening = async {
            for port in [SMTP, IMAPS] {
                while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, listening).await.expect("the peer does not listen");
        Self { run, dir: dir.to_owned() }
    }

    /// Dovecot's processes: what serves IMAP.
    pub fn imap_memory(&self) -> Memory {
        let pid = std::fs::read_to_string(self.dir.join("run/master.pid")).unwrap();
        Memory(vec![pid.trim().parse().unwrap()])
    }
}
