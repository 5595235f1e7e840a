//! One node of a world: its process, its life and death.

use super::config::NodeFile;
use crate::admin::Admin;
use crate::binary::Mutant;
use crate::failure::{Failure, Result};
use crate::net::{Endpoint, PATIENCE};
use crate::switch::rules::Party;
use crate::switch::source::Processes;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// What all nodes of a world have in common.
#[derive(Debug, Clone)]
pub struct Common {
    /// The program.
    pub binary: PathBuf,
    /// What the nodes start with, where that is another: an older version, to be replaced.
    pub old_binary: Option<PathBuf>,
    /// The library that can set a node's clock (libfaketime), where clocks are to be set.
    pub clocks: Option<PathBuf>,
    /// The client library of the store.
    pub library: PathBuf,
    /// A deliberate fault of all nodes.
    pub mutant: Option<Mutant>,
    /// Where logs go.
    pub logs: PathBuf,
    /// Who certifies the nodes to clients.
    pub authority: PathBuf,
    /// Whose process is whose.
    pub processes: Processes,
}

/// A node.
pub struct Node {
    /// Its number in the world, from 0.
    pub number: usize,
    /// Its configuration.
    pub file: NodeFile,
    common: Common,
    child: Option<Child>,
    is_replaced: bool,
}

impl Node {
    /// A node that does not run yet.
    #[must_use]
    pub fn new(number: usize, file: NodeFile, common: &Common) -> Node {
        Node { number, file, common: common.clone(), child: None, is_replaced: false }
    }

    /// From its next start on it runs the program, whatever it was founded with.
    pub fn replace(&mut self) {
        self.is_replaced = true;
    }

    fn binary(&self) -> &Path {
        let old = self.common.old_binary.as_deref().filter(|_| !self.is_replaced);
        old.unwrap_or(&self.common.binary)
    }

    /// Steps its clock to so many days from the real one, within a second or two.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn set_clock(&self, days: i8) -> Result<()> {
        // Renamed into place: the node must not read half of it.
        let path = self.clock_path();
        let new = path.with_extension("new");
        fs::write(&new, format!("{days:+}d\n"))?;
        Ok(fs::rename(new, path)?)
    }

    fn clock_path(&self) -> PathBuf {
        self.common.logs.join(format!("{}.clock", self.file.name))
    }

    /// Starts its process and does not wait for anything.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(&mut self) -> Result<()> {
        let mut log = OpenOptions::new().create(true).append(true).open(self.log_path())?;
        writeln!(log, "--- chaos: start ---")?;
        let mut command = Command::new(self.binary());
        if let Some(library) = &self.common.clocks {
            if !self.clock_path().exists() {
                self.set_clock(0)?;
            }
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", self.clock_path());
            command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        command.arg("serve").arg("--config").arg(&self.file.path);
        if let Some(mutant) = self.common.mutant {
            command.args(["--mutant", mutant.word()]);
        }
        command.env("RIALTO_FDB_C", &self.common.library);
        let errors = log.try_clone()?;
        command.stdin(Stdio::null()).stdout(log).stderr(errors).kill_on_drop(true);
        let child = command.spawn()?;
        self.common.processes.set(Party::Node(self.number), child.id());
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it is ready to serve; how long that took.
    ///
    /// # Errors
    /// If it ends, or is not ready in time.
    pub async fn wait_ready(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let admin = self.admin();
        loop {
            if admin.is_ready().await.unwrap_or_default() {
                return Ok(begun.elapsed());
            }
            let child = self.child.as_mut().ok_or_else(|| Failure::from("it does not run"))?;
            if let Some(status) = child.try_wait()? {
                return Err(self.with_log(&format!("it ended with {status} before it was ready")));
            }
            if begun.elapsed() > PATIENCE * 2 {
                return Err(self.with_log("it does not get ready"));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Kills it at this instant (SIGKILL) and reaps it.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill9(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.reap(PATIENCE).await.map(drop)
    }

    /// Asks it to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    /// If it does not run, or does not end in time.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.reap(PATIENCE * 2).await
    }

    /// Waits for its end, which something else brings about.
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn reap(&mut self, patience: Duration) -> Result<ExitStatus> {
        let child = self.child.as_mut().ok_or_else(|| Failure::from("it does not run"))?;
        let ended = timeout(patience, child.wait()).await;
        let status = ended.map_err(|_| self.with_log("it does not end"))??;
        self.common.processes.set(Party::Node(self.number), None);
        self.child = None;
        Ok(status)
    }

    /// Sends a signal: STOP freezes it where it is, CONT lets it go on.
    ///
    /// # Errors
    /// If it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Failure(format!("{} does not run", self.file.name)))?;
        kill_process(pid, signal).map_err(|error| Failure(error.to_string()))
    }

    /// Its process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// How to ask it how it is.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.file.data.join("rialto.sock"), self.file.base)
    }

    /// How clients reach it.
    ///
    /// # Errors
    /// If the authority cannot be read.
    pub fn endpoint(&self) -> Result<Endpoint> {
        Endpoint::new(self.file.base, &self.common.authority)
    }

    fn log_path(&self) -> PathBuf {
        self.common.logs.join(format!("{}.log", self.file.name))
    }

    /// What it printed, all lives together.
    #[must_use]
    pub fn log(&self) -> String {
        read_lossy(&self.log_path())
    }

    /// An error with the last warnings of its log.
    #[must_use]
    pub fn with_log(&self, error: &str) -> Failure {
        let (name, path, log) = (&self.file.name, self.log_path(), self.log());
        let end = last_warnings(&log).join("\n");
        Failure(format!("{error}\n--- last warnings of {name}, {} ---\n{end}", path.display()))
    }
}

/// The last lines that are not only information; Raft's library repeats itself, so not those.
fn last_warnings(log: &str) -> Vec<&str> {
    let is_telling = |line: &&str| {
        let is_noise = line.contains("\"INFO\"") || line.contains("\"target\":\"openraft");
        let is_banner = line.starts_with("fdb-standin: library");
        !line.is_empty() && !is_noise && !is_banner
    };
    let lines: Vec<&str> = log.lines().filter(is_telling).collect();
    lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().to_vec()
}

/// A file that may hold anything.
fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::last_warnings;

    #[test]
    fn warnings_and_panics_are_shown_and_noise_is_not() {
        let log = "{\"level\":\"INFO\",\"message\":\"applied\"}\n{\"level\":\"WARN\",\"a\":1}\n\
                   {\"level\":\"ERROR\",\"target\":\"openraft::x\"}\nthread 'x' panicked\n\n";
        assert_eq!(last_warnings(log), ["{\"level\":\"WARN\",\"a\":1}", "thread 'x' panicked"]);
    }
}
