//! The world's own stand-in for FoundationDB: a process with its data on the disk, which can be
//! killed, restarted, and told to fail. It is steered and asked by its own `control` command.

use crate::binary;
use crate::failure::{Failure, Result};
use crate::net::PATIENCE;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// A stand-in.
pub struct Standin {
    program: PathBuf,
    library: PathBuf,
    dir: PathBuf,
    address: String,
    child: Child,
}

impl Standin {
    /// Starts one on a port; data, cluster file and log go below `dir`.
    ///
    /// # Errors
    /// If there is no program, or it does not start.
    pub async fn start(dir: &Path, port: u16) -> Result<Standin> {
        let (program, library) = tokio::task::block_in_place(binary::find_standin)?;
        let (dir, address) = (dir.to_owned(), format!("127.0.0.1:{port}"));
        let child = spawn(&program, &dir, &address).await?;
        Ok(Standin { program, library, dir, address, child })
    }

    /// Kills it at this instant (SIGKILL) and reaps it.
    ///
    /// # Errors
    /// If it does not run.
    pub async fn kill9(&mut self) -> Result<()> {
        self.child.start_kill()?;
        self.child.wait().await?;
        Ok(())
    }

    /// Starts it again on the same data and port; how long that took.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn boot(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.child = spawn(&self.program, &self.dir, &self.address).await?;
        Ok(begun.elapsed())
    }

    /// Tells it something (`fdb-standin control --help`); what it has done so far.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn control(&self, words: &[&str]) -> Result<Stats> {
        let mut command = Command::new(&self.program);
        command.args(["control", "--address", &self.address]).args(words);
        let output = timeout(PATIENCE, command.kill_on_drop(true).output()).await??;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Failure(format!("{words:?}: {said}")));
        }
        Ok(Stats::read(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Drops and refuses all connections for so long.
    ///
    /// # Errors
    /// If it does not hear.
    pub async fn die(&self, time: Duration) -> Result<()> {
        match self.control(&["die", &time.as_millis().to_string()]).await {
            // The connection on which it was told may be dropped before the answer.
            Err(error) if error.0.contains("UnexpectedEof") || error.0.contains("reset") => Ok(()),
            other => other.map(drop),
        }
    }

    /// What it has done since it started.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn stats(&self) -> Result<Stats> {
        self.control(&["stats"]).await
    }

    /// Names it to clients.
    #[must_use]
    pub fn cluster_file(&self) -> PathBuf {
        self.dir.join("fdb.cluster")
    }

    /// What clients load.
    #[must_use]
    pub fn library(&self) -> &Path {
        &self.library
    }
}

async fn spawn(program: &Path, dir: &Path, address: &str) -> Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(dir.join("standin.log"))?;
    let mut command = Command::new(program);
    command.args(["--listen", address, "--data"]).arg(dir.join("standin"));
    command.arg("--cluster-file").arg(dir.join("fdb.cluster"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
    let begun = Instant::now();
    loop {
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::from("no pipe"))?;
        let mut line = String::new();
        let mut lines = BufReader::new(stdout);
        if timeout(PATIENCE, lines.read_line(&mut line)).await?? > 0 {
            return Ok(child);
        }
        // Connections of the one before may still hold the port for a moment.
        if begun.elapsed() > PATIENCE {
            return Err(Failure(format!("the stand-in does not start; see {}", dir.display())));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What a stand-in has done, by the names of `fdb_standin::server::Stats`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// Reads lines such as `    gets: 23,`.
    fn read(text: &str) -> Stats {
        let pairs =
            text.lines().filter_map(|line| line.trim().trim_end_matches(',').split_once(": "));
        Stats(
            pairs
                .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
                .collect(),
        )
    }

    /// One of them.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn get(&self, name: &str) -> Result<u64> {
        self.0.get(name).copied().ok_or_else(|| Failure(format!("the stand-in counts no {name}")))
    }

    /// How much one of them has grown.
    ///
    /// # Errors
    /// If there is none of that name.
    pub fn since(&self, before: &Stats, name: &str) -> Result<u64> {
        Ok(self.get(name)?.saturating_sub(before.get(name)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_has_done_is_read_from_its_words() {
        let earlier = Stats::read("Stats {\n    version: 7,\n    gets: 23,\n}\n");
        let later = Stats::read("Stats {\n    version: 9,\n    gets: 24,\n}\n");
        assert_eq!(later.get("version"), Ok(9));
        assert_eq!(later.since(&earlier, "gets"), Ok(1));
        assert!(later.get("pages").is_err());
    }
}
