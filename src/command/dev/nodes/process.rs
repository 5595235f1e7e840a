//! One node of `rialto dev --nodes` as a process.

use super::files::NodeFiles;
use crate::client::{Client, escape};
use crate::node::store::lock_data;
use base::env::Env;
use base::{Error, Kind, Result};
use futures::future::{FutureExt, pending, select_all};
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::process::{Child, ChildStdin, Command};

/// How long a node may take to serve. The database may be slow to begin, and the machine busy.
const START_TIME: Duration = Duration::from_secs(180);

/// How long a node of an earlier run may take to end.
const EARLIER_TIME: Duration = Duration::from_secs(60);

/// How long a node may take to end: sessions, actors, its part in the cluster, the store.
const STOP_TIME: Duration = Duration::from_secs(60);

/// How long a node may take to join, in tries this far apart.
const JOIN_TIME: Duration = Duration::from_secs(60);
const JOIN_AGAIN: Duration = Duration::from_secs(1);

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How much of a log is shown when a node does not start.
const LOG_BYTES_SHOWN: usize = 2_000;

/// A node: its files, and its process while this process knows of one.
pub(super) struct NodeProcess {
    pub(super) files: NodeFiles,
    child: Option<Child>,
    /// Its end tells the node to stop; it also ends when this process is killed.
    stdin: Option<ChildStdin>,
}

impl NodeProcess {
    pub(super) fn new(files: NodeFiles) -> Self {
        Self { files, child: None, stdin: None }
    }

    pub(super) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Starts `rialto serve`.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if a node of an earlier run does not end, or it cannot be started.
    pub(super) async fn start(&mut self, env: &Env, arguments: &[String]) -> Result<()> {
        if !self.wait_free(env, EARLIER_TIME).await {
            let text = format!("{} runs already, and does not end", self.files.name);
            return Err(Error::new(Kind::Unavailable, text));
        }
        let wrong = |error: std::io::Error| {
            Error::new(Kind::Unavailable, format!("{}: {error}", self.files.name))
        };
        let log = OpenOptions::new().create(true).append(true).open(&self.files.log);
        let log = log.map_err(wrong)?;
        let mut command = rialto()?;
        command.arg("serve").arg("--config").arg(&self.files.config).args(arguments);
        // Its own group: Ctrl-C is for the supervisor, which ends the nodes in order.
        command.process_group(0).kill_on_drop(true).stdin(Stdio::piped());
        command.stdout(log.try_clone().map_err(wrong)?).stderr(log);
        let mut child = command.spawn().map_err(wrong)?;
        self.stdin = child.stdin.take();
        self.child = Some(child);
        Ok(())
    }

    /// Runs `rialto node join`, again if the cluster does not decide in time.
    ///
    /// # Errors
    /// What it says.
    pub(super) async fn join(&self, env: &Env, token: &str, member: &str) -> Result<()> {
        let until = env.clock.monotonic() + JOIN_TIME;
        loop {
            let mut command = rialto()?;
            command.args(["node", "join", "--member", member, "--config"]).arg(&self.files.config);
            // Not as an argument: others can see those.
            command.env("RIALTO_TOKEN", token).stdin(Stdio::null()).kill_on_drop(true);
            let output = command.output().await.map_err(Error::internal)?;
            if output.status.success() {
                return Ok(());
            }
            if env.clock.monotonic() >= until {
                let said = String::from_utf8_lossy(&output.stderr);
                let text = format!("{} could not join: {}", self.files.name, said.trim());
                return Err(Error::new(Kind::Unavailable, text));
            }
            env.clock.sleep(JOIN_AGAIN).await;
        }
    }

    /// Waits until all listeners accept.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if it ends instead, or takes too long; with the end of its log.
    pub(super) async fn wait_ready(&mut self, env: &Env) -> Result<()> {
        let client = Client::new(&self.files.dir);
        self.wait(env, async || {
            let answer = client.call(Method::GET, "/api/v1/health", None).await.ok()?;
            let all = answer.as_array()?.iter().all(|report| report["healthy"] == true);
            all.then_some(())
        })
        .await
    }

    /// Waits until a mailbox is there.
    ///
    /// # Errors
    /// As [`NodeProcess::wait_ready`].
    pub(super) async fn wait_for_mailbox(&mut self, env: &Env, address: &str) -> Result<()> {
        let client = Client::new(&self.files.dir);
        let path = format!("/api/v1/mailboxes/{}", escape(address));
        self.wait(env, async || client.call(Method::GET, &path, None).await.ok().map(|_| ())).await
    }

    async fn wait(
        &mut self,
        env: &Env,
        mut is_there: impl AsyncFnMut() -> Option<()>,
    ) -> Result<()> {
        let until = env.clock.monotonic() + START_TIME;
        let why = loop {
            if is_there().await.is_some() {
                return Ok(());
            }
            match self.child.as_mut().map(Child::try_wait) {
                Some(Ok(Some(status))) => break format!("has ended ({})", describe(status)),
                _ if env.clock.monotonic() > until => break "does not get ready".to_owned(),
                _ => env.clock.sleep(LOOK_EVERY).await,
            }
        };
        let log = std::fs::read(&self.files.log).unwrap_or_default();
        let end = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_BYTES_SHOWN)..]);
        let (name, log) = (&self.files.name, self.files.log.display());
        let text = format!("{name} {why}; the end of {log}:\n{end}");
        Err(Error::new(Kind::Unavailable, text))
    }

    /// Ends it, whoever has started it.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if it had to be killed.
    pub(super) async fn stop(mut self, env: &Env) -> Result<()> {
        drop(self.stdin.take());
        let late = |name: &str| {
            Error::new(Kind::Unavailable, format!("{name} did not end in time and was killed"))
        };
        if let Some(mut child) = self.child.take()
            && tokio::time::timeout(STOP_TIME, child.wait()).await.is_err()
        {
            child.start_kill().map_err(Error::internal)?;
            return Err(late(&self.files.name));
        }
        // Whoever holds the lock now was started by hand.
        if self.wait_free(env, Duration::ZERO).await {
            return Ok(());
        }
        if let Some(pid) = self.files.pid().and_then(Pid::from_raw) {
            let _ended_meanwhile = kill_process(pid, Signal::TERM);
        }
        match self.wait_free(env, STOP_TIME).await {
            true => Ok(()),
            false => Err(Error::new(
                Kind::Unavailable,
                format!("{} was started by hand and does not end", self.files.name),
            )),
        }
    }

    /// Waits until nobody holds the node's directory; whether that came true.
    async fn wait_free(&self, env: &Env, how_long: Duration) -> bool {
        let until = env.clock.monotonic() + how_long;
        while lock_data(&self.files.dir, env).is_err() && self.files.dir.is_dir() {
            if env.clock.monotonic() >= until {
                return false;
            }
            env.clock.sleep(LOOK_EVERY).await;
        }
        true
    }
}

/// Waits for the next end of a node; gives its name, how it has ended, and how to start it.
pub(super) async fn next_end(nodes: &mut [NodeProcess]) -> (String, String, String) {
    let waits = nodes.iter_mut().enumerate().filter_map(|(place, node)| {
        let child = node.child.as_mut()?;
        Some(async move { (place, child.wait().await) }.boxed())
    });
    let waits: Vec<_> = waits.collect();
    if waits.is_empty() {
        return pending().await;
    }
    let ((place, status), ..) = select_all(waits).await;
    let node = &mut nodes[place];
    (node.child, node.stdin) = (None, None);
    let how = status.map_or_else(|error| error.to_string(), describe);
    (node.files.name.clone(), how, node.files.command())
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// This program again.
fn rialto() -> Result<Command> {
    let program = std::env::current_exe().map_err(Error::internal)?;
    let mut command = Command::new(program);
    // What these say is meant for this process; a node has its configuration.
    command.env_remove("RIALTO_TOKEN").env_remove("RIALTO_PASSWORD");
    Ok(command)
}
