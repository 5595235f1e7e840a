//! The stand-in for FoundationDB as a process of `rialto dev`'s own: durable, and gone with it.
//!
//! The program `fdb-standin` and the library `libfdb_standin.so` are tools of the workspace beside
//! the product; they are looked for beside the running program, where cargo puts them.

use base::{Error, Kind, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// The server.
const PROGRAM: &str = "fdb-standin";

/// The client library.
const LIBRARY: &str = "libfdb_standin.so";

/// How long the server may take to read its log.
const START_TIME: Duration = Duration::from_secs(60);

/// How long the server of a run that was killed may keep the port, in steps of [`PORT_STEP`].
const PORT_TRIES: u32 = 50;
const PORT_STEP: Duration = Duration::from_millis(100);

/// How long the server may take to end.
const STOP_TIME: Duration = Duration::from_secs(5);

/// A running stand-in. It ends when this goes, and also when this process is killed.
pub(super) struct Standin {
    /// Where it keeps its data.
    pub dir: PathBuf,
    /// Names it to clients.
    pub cluster_file: PathBuf,
    /// What clients load.
    pub library: PathBuf,
    child: Child,
}

impl Standin {
    /// Starts it on its directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if it is not built, the port is taken, or it does not start.
    pub(super) async fn start(dir: &Path, port: u16) -> Result<Self> {
        let (program, library) = find()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        wait_for_port(address).await?;
        let cluster_file = dir.join("fdb.cluster");
        let mut command = Command::new(&program);
        command.args(["--listen", &address.to_string(), "--while-stdin", "--data"]).arg(dir);
        command.arg("--cluster-file").arg(&cluster_file);
        // Its own group, so that Ctrl-C reaches only the node, which still needs its database then.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let wrong = |error| unavailable(format!("{}: {error}", program.display()));
        let mut child = command.spawn().map_err(wrong)?;
        let stdout = child.stdout.take().ok_or_else(|| Error::internal("no pipe"))?;
        let mut line = String::new();
        let mut lines = BufReader::new(stdout);
        let told = timeout(START_TIME, lines.read_line(&mut line)).await;
        if !matches!(told, Ok(Ok(count)) if count > 0) {
            let text = format!("the stand-in for FoundationDB did not start on {address}");
            return Err(unavailable(format!("{text}, with its data in {}", dir.display())));
        }
        Ok(Self { dir: dir.to_owned(), cluster_file, library, child })
    }

    /// Ends it. Every commit that was acknowledged is on the disk.
    pub(super) async fn stop(mut self) {
        // The end of its standard input tells it.
        drop(self.child.stdin.take());
        if timeout(STOP_TIME, self.child.wait()).await.is_err() {
            tracing::warn!("the stand-in for FoundationDB did not end in time and is killed");
        }
    }
}

/// The program and the library.
fn find() -> Result<(PathBuf, PathBuf)> {
    let this = std::env::current_exe().map_err(Error::internal)?;
    let dir = this.parent().unwrap_or(Path::new("."));
    find_in(dir).ok_or_else(|| {
        unavailable(format!(
            "no FoundationDB cluster answers, and there is no {PROGRAM} with {LIBRARY} in {} to \
             stand in for it; name a cluster with --cluster-file, or build the stand-in with `cargo \
             build --release -p fdb-standin`",
            dir.display()
        ))
    })
}

fn find_in(dir: &Path) -> Option<(PathBuf, PathBuf)> {
    let program = dir.join(PROGRAM);
    let library = [dir.join(LIBRARY), dir.join("deps").join(LIBRARY)];
    let library = library.into_iter().find(|path| path.is_file())?;
    program.is_file().then_some((program, library))
}

/// A stand-in whose `rialto dev` was killed takes a moment to notice.
async fn wait_for_port(address: SocketAddr) -> Result<()> {
    let mut tries = 0;
    while let Err(error) = TcpListener::bind(address) {
        tries += 1;
        if tries == PORT_TRIES {
            return Err(unavailable(format!("the stand-in for FoundationDB: {address}: {error}")));
        }
        sleep(PORT_STEP).await;
    }
    Ok(())
}

fn unavailable(text: String) -> Error {
    Error::new(Kind::Unavailable, text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn program_and_library_are_found_where_cargo_puts_them() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("deps")).unwrap();
        std::fs::write(at(PROGRAM), "").unwrap();
        assert_eq!(find_in(dir.path()), None);
        let below = at("deps").join(LIBRARY);
        std::fs::write(&below, "").unwrap();
        assert_eq!(find_in(dir.path()), Some((at(PROGRAM), below)));
        std::fs::write(at(LIBRARY), "").unwrap();
        assert_eq!(find_in(dir.path()), Some((at(PROGRAM), at(LIBRARY))));
        std::fs::remove_file(at(PROGRAM)).unwrap();
        assert_eq!(find_in(dir.path()), None);
    }

    #[tokio::test]
    async fn without_the_program_it_says_how_to_build_it() {
        // The tests run from cargo's `deps`, where no program is.
        let error = Standin::start(Path::new("/nowhere"), 1).await.err().unwrap();
        assert!(error.to_string().contains("cargo build --release -p fdb-standin"), "{error}");
    }
}
