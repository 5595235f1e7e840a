//! How a world's cluster comes about: `rialto dev --nodes` lays it out, the world changes what it must.

use super::Options;
use super::config::NodeFile;
use crate::failure::{Failure, Result};
use crate::net::PATIENCE;
use crate::ports;
use crate::standin::Standin;
use crate::switch::rules::{Party, Rules};
use crate::switch::source::Processes;
use crate::switch::{Route, Switch};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// `rialto dev --nodes` lays everything out, founds the cluster, makes the people, and goes.
pub(super) async fn found(
    options: &Options,
    dir: &Path,
    base: u16,
    binary: &Path,
    standin: &Standin,
) -> Result<()> {
    let log = fs::File::create(dir.join("dev.log"))?;
    let mut command = Command::new(binary);
    command.args(["dev", "--nodes", &options.nodes.to_string(), "--data"]).arg(dir.join("data"));
    command.args(["--ports", &base.to_string()]);
    command.args(["--mailboxes", &options.mailboxes.to_string()]);
    command.args(["--store", "foundationdb", "--cluster-file"]).arg(standin.cluster_file());
    command.env("RIALTO_FDB_C", standin.library()).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| Failure::from("no pipe"))?;
    let mut lines = BufReader::new(stdout).lines();
    let ready = async {
        while let Some(line) = lines.next_line().await? {
            if line.trim() == "rialto: ready" {
                return Ok(());
            }
        }
        let said = fs::read_to_string(dir.join("dev.log")).unwrap_or_default();
        Err(Failure(format!("rialto dev ended before it was ready: {said}")))
    };
    timeout(PATIENCE * 2, ready).await??;
    // All at once, so that no node takes over from another: the slots stay evenly spread.
    for file in node_files(&dir.join("data"))? {
        let pid = fs::read_to_string(file.data.join("pid"))?;
        signal(pid.trim().parse().ok(), Signal::KILL)?;
    }
    signal(child.id(), Signal::TERM)?;
    // What it says at its end must go somewhere; it is not content with how its nodes ended.
    let drained = async { while let Ok(Some(_)) = lines.next_line().await {} };
    let (status, ()) = timeout(PATIENCE * 2, async { tokio::join!(child.wait(), drained) }).await?;
    status?;
    Ok(())
}

fn signal(pid: Option<u32>, signal: Signal) -> Result<()> {
    let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::from("a process of rialto dev has ended"))?;
    kill_process(pid, signal).map_err(|error| Failure(error.to_string()))
}

/// The configurations of the nodes, in the order of their ports.
pub(super) fn node_files(data: &Path) -> Result<Vec<NodeFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path().join("rialto.toml");
        if path.is_file() {
            files.push(NodeFile::read(&path)?);
        }
    }
    files.sort_by_key(|file| file.base);
    Ok(files)
}

/// Who certifies the nodes to clients.
pub(super) fn authority(data: &Path, files: &[NodeFile]) -> Result<PathBuf> {
    let beside = files.iter().flat_map(|file| [Some(file.data.as_path()), file.path.parent()]);
    let mut places = [Some(data)].into_iter().chain(beside).flatten().map(|dir| dir.join("ca.pem"));
    places.find(|path| path.is_file()).ok_or_else(|| Failure::from("no ca.pem"))
}

/// Has the nodes listen elsewhere, and a switch where the others know them.
pub(super) async fn put_behind_switch(
    files: &mut [NodeFile],
    rules: &Rules,
    processes: &Processes,
    seed: u64,
) -> Result<Switch> {
    let mut routes = Vec::new();
    for (number, file) in files.iter_mut().enumerate() {
        // Between the nodes' well-known ports, and below the kernel's own range.
        let target = file.base + ports::BEHIND_SWITCH;
        routes.push(Route { port: file.link_port, to: Party::Node(number), target });
        file.listen_behind(target);
    }
    Switch::start(&routes, rules, processes, seed).await
}
