//! A world: the processes of a run, its directory, its ports.
//!
//! ```text
//! target/chaos/NAME-SEED-PID/   data/  what the node keeps (`rialto dev --data`)
//!                               node-0.log  what it printed, all lives together
//!                               standin/, standin.log  likewise of the database, if there is one
//! ```
//!
//! The directory stays where a scenario fails and goes where it passes. Nodes are killed by their
//! own process id, never by name.

use crate::admin::Admin;
use crate::binary::{self, Mutant};
use crate::failure::{Failure, Result};
use crate::fault;
use crate::net::{Endpoint, PATIENCE};
use crate::ports;
use crate::standin::Standin;
use rustix::process::Signal;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

/// The accepted domain of `rialto dev`.
pub const DOMAIN: &str = "rialto.test";
/// Everybody's password.
pub const PASSWORD: &str = "rialto-dev";
/// What a node prints when all listeners accept.
const READY: &str = "rialto: ready";

/// Where a world keeps its mail.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Store {
    /// In the node's own directory.
    #[default]
    Embedded,
    /// In FoundationDB, for which a stand-in stands in that belongs to the world: it lives on when
    /// the node dies, and can be hurt by itself.
    FoundationDb,
    /// The same with the stand-in that the node starts itself.
    OwnStandin,
}

/// How a world is to be.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Names the run's directory.
    pub name: String,
    /// Names it, too; the workload gets it from the scenario.
    pub seed: u64,
    /// How many mailboxes `user1` … there are besides alice, bob and carol.
    pub mailboxes: u16,
    /// Where its mail is.
    pub store: Store,
    /// A deliberate fault.
    pub mutant: Option<Mutant>,
    /// Where the data goes if not into the run's directory.
    pub data: Option<PathBuf>,
    /// A program with arguments to run the node under, such as strace.
    pub wrapper: Vec<String>,
}

/// The processes of a run.
pub struct World {
    options: Options,
    dir: PathBuf,
    data: PathBuf,
    binary: PathBuf,
    base: u16,
    node: Option<Child>,
    standin: Option<Standin>,
    passed: bool,
}

impl World {
    /// Makes the run's directory and starts the node.
    ///
    /// # Errors
    /// If there is no binary or it does not get ready.
    pub async fn start(options: Options) -> Result<World> {
        let name = format!("{}-{}-{}", options.name, options.seed, std::process::id());
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/chaos").join(name);
        fs::create_dir_all(&dir)?;
        let dir = dir.canonicalize()?;
        let binary = tokio::task::block_in_place(|| binary::find(options.mutant))?;
        let data = options.data.clone().unwrap_or_else(|| dir.join("data"));
        let base = ports::find_base(1)?;
        let standin = match options.store {
            Store::FoundationDb => Some(Standin::start(&dir, base + ports::STANDIN).await?),
            Store::Embedded | Store::OwnStandin => None,
        };
        let (node, passed) = (None, false);
        let mut world = World { options, dir, data, binary, base, node, standin, passed };
        world.boot().await?;
        Ok(world)
    }

    /// Starts the node (again) on the same data and ports; how long until it was ready.
    ///
    /// # Errors
    /// If it ends, or is not ready in time; with the end of its log.
    pub async fn boot(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let mut log = self.open_log()?;
        let stdout = self.spawn(&mut log)?;
        let mut lines = BufReader::new(stdout).lines();
        let waiting = async {
            while let Some(line) = lines.next_line().await? {
                writeln!(log, "{line}")?;
                if line.trim() == READY {
                    return Ok(());
                }
            }
            Err(Failure::from("the node ended before it was ready"))
        };
        let ready = timeout(PATIENCE * 2, waiting).await.unwrap_or_else(|late| Err(late.into()));
        ready.map_err(|error| self.with_log(&error))?;
        let took = begun.elapsed();
        // The pipe must be read on, or the node would block on a full one.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = writeln!(log, "{line}");
            }
        });
        Ok(took)
    }

    /// Starts the node and kills it after a while, whatever it is doing then: a crash in the middle
    /// of the recovery from a crash.
    ///
    /// # Errors
    /// If it cannot be started.
    pub async fn boot_and_die(&mut self, after: Duration) -> Result<()> {
        let mut log = self.open_log()?;
        let _stdout = self.spawn(&mut log)?;
        sleep(after).await;
        fault::kill9(self).await
    }

    /// Starts the node; what it prints.
    fn spawn(&mut self, log: &mut File) -> Result<ChildStdout> {
        writeln!(log, "--- chaos: start ---")?;
        let mut arguments = self.options.wrapper.clone();
        arguments.push(self.binary.display().to_string());
        let [program, arguments @ ..] = arguments.as_slice() else {
            return Err(Failure::from("nothing to run"));
        };
        let mut command = Command::new(program);
        command.args(arguments).arg("dev").arg("--data").arg(&self.data);
        command.args(["--ports", &self.base.to_string()]);
        command.args(["--mailboxes", &self.options.mailboxes.to_string()]);
        if let Some(mutant) = self.options.mutant {
            command.args(["--mutant", mutant.word()]);
        }
        if self.options.store != Store::Embedded {
            command.args(["--store", "foundationdb"]);
            // Not somebody's real cluster.
            command.env("FDB_CLUSTER_FILE", self.dir.join("none")).env_remove("RIALTO_FDB_C");
        }
        if let Some(standin) = &self.standin {
            command.arg("--cluster-file").arg(standin.cluster_file());
            command.env("RIALTO_FDB_C", standin.library());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(self.open_log()?);
        let mut child = command.kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().ok_or_else(|| Failure::from("no pipe"))?;
        self.node = Some(child);
        Ok(stdout)
    }

    fn open_log(&self) -> Result<File> {
        Ok(OpenOptions::new().create(true).append(true).open(self.dir.join("node-0.log"))?)
    }

    /// An error with the end of the node's log.
    #[must_use]
    pub fn with_log(&self, error: &Failure) -> Failure {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n");
        Failure(format!("{error}\n--- end of {}/node-0.log ---\n{end}", self.dir.display()))
    }

    /// What the node printed, all lives together.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("node-0.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How to reach the node.
    ///
    /// # Errors
    /// If its authority cannot be read.
    pub fn endpoint(&self) -> Result<Endpoint> {
        Endpoint::new(self.base, &self.data.join("ca.pem"))
    }

    /// The run's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The world's own database.
    ///
    /// # Errors
    /// If it has none.
    pub fn standin(&mut self) -> Result<&mut Standin> {
        self.standin.as_mut().ok_or_else(|| Failure::from("this world has no stand-in"))
    }

    /// How the command line names the store.
    ///
    /// # Errors
    /// If it is the stand-in that goes with the node.
    pub fn store_place(&self) -> Result<String> {
        match (&self.standin, self.options.store) {
            (Some(standin), _) => {
                let file = standin.cluster_file().display().to_string();
                Ok(format!("foundationdb:{file}?prefix=rialto-dev/"))
            }
            (None, Store::Embedded) => Ok(format!("embedded:{}", self.data.display())),
            (None, _) => Err(Failure::from("nobody serves this store but its node")),
        }
    }

    /// Runs a command of `rialto` to its end; what it said.
    ///
    /// # Errors
    /// If it fails, with what it said.
    pub async fn rialto(&self, arguments: &[&str], patience: Duration) -> Result<String> {
        let mut command = Command::new(&self.binary);
        command.args(arguments).kill_on_drop(true);
        if let Some(standin) = &self.standin {
            command.env("RIALTO_FDB_C", standin.library());
        }
        let output = timeout(patience, command.output()).await??;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(said);
        }
        let more = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failure(format!("{arguments:?}: {said}\n{more}")))
    }

    /// Reads and checks everything that is stored, while no node runs.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub async fn verify_store(&self) -> Result<String> {
        self.rialto(&["store", "verify", "--store", &self.store_place()?], PATIENCE * 5).await
    }

    /// Whether the node says that it is ready to serve (`/readyz`).
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn is_ready(&self) -> Result<bool> {
        self.doors().is_ready().await
    }

    /// The process id of the node; under a wrapper, that of the wrapper's child.
    ///
    /// # Errors
    /// If it does not run.
    pub fn pid(&self) -> Result<u32> {
        let pid = self.node.as_ref().and_then(Child::id);
        let pid = pid.ok_or_else(|| Failure::from("the node does not run"))?;
        if self.options.wrapper.is_empty() {
            return Ok(pid);
        }
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let first = children.split_whitespace().next().and_then(|word| word.parse().ok());
        first.ok_or_else(|| Failure::from("the wrapper runs no node"))
    }

    /// The node's resident memory now and at most so far, in bytes.
    ///
    /// # Errors
    /// If it does not run.
    pub fn memory_bytes(&self) -> Result<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            number.map(|kilobytes| kilobytes * 1024).ok_or_else(|| Failure(format!("no {name}")))
        };
        Ok((value("VmRSS:")?, value("VmHWM:")?))
    }

    /// Lets the peak of [`World::memory_bytes`] begin anew (proc(5), `clear_refs`); what is resident
    /// now, in bytes.
    ///
    /// # Errors
    /// If it does not run.
    pub fn forget_peak(&self) -> Result<u64> {
        fs::write(format!("/proc/{}/clear_refs", self.pid()?), "5")?;
        Ok(self.memory_bytes()?.0)
    }

    /// The node's child process, for [`crate::fault`].
    pub fn node_mut(&mut self) -> Result<&mut Child> {
        self.node.as_mut().ok_or_else(|| Failure::from("the node does not run"))
    }

    /// The mailboxes' names.
    #[must_use]
    pub fn users(&self) -> Vec<String> {
        let named = ["alice", "bob", "carol"].map(str::to_owned);
        named.into_iter().chain((1..=self.options.mailboxes).map(|n| format!("user{n}"))).collect()
    }

    /// How to ask the node how it is.
    #[must_use]
    pub fn doors(&self) -> Admin {
        Admin::new(self.data.join("rialto.sock"), self.base)
    }

    /// Asks the administration over its socket.
    ///
    /// # Errors
    /// If the node does not answer, or refuses.
    pub async fn admin(&self, path: &str) -> Result<Value> {
        self.doors().get(path).await
    }

    /// The sum of a counter over its labels; 0 where it was never counted.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        self.doors().metric(name).await
    }

    /// Waits until nothing waits for delivery.
    ///
    /// # Errors
    /// If the queue does not empty in time; with what is left.
    pub async fn wait_for_empty_queue(&self) -> Result<()> {
        self.doors().wait_for_empty_queue().await
    }

    /// The run passed: its directory is not needed any more.
    pub fn pass(&mut self) {
        self.passed = true;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Under a wrapper the node itself: it would outlive a wrapper that is killed.
        let _ = fault::signal(self, Signal::KILL);
        if let Some(mut node) = self.node.take() {
            let _ = node.start_kill();
        }
        // A mutant is meant to fail: nothing to look at.
        if self.passed || self.options.mutant.is_some() {
            let _ = fs::remove_dir_all(&self.dir);
        } else {
            eprintln!("chaos: the run's directory is {}", self.dir.display());
        }
    }
}
