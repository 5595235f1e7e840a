//! What is done to a node.

use crate::failure::{Failure, Result};
use crate::net::PATIENCE;
use crate::world::World;
use rustix::process::{Pid, Signal, kill_process};
use std::process::ExitStatus;
use tokio::time::timeout;

/// Kills the node at this instant (SIGKILL) and reaps it.
///
/// # Errors
/// If it does not run.
pub async fn kill9(world: &mut World) -> Result<()> {
    signal(world, Signal::KILL)?;
    world.node_mut()?.wait().await?;
    Ok(())
}

/// Asks the node to end (SIGTERM) and waits for it.
///
/// # Errors
/// If it does not run, or does not end in time.
pub async fn terminate(world: &mut World) -> Result<ExitStatus> {
    signal(world, Signal::TERM)?;
    Ok(timeout(PATIENCE, world.node_mut()?.wait()).await??)
}

/// Stops the node where it is (SIGSTOP): connections stay, nothing answers.
///
/// # Errors
/// If it does not run.
pub fn freeze(world: &World) -> Result<()> {
    signal(world, Signal::STOP)
}

/// Lets it go on (SIGCONT).
///
/// # Errors
/// If it does not run.
pub fn thaw(world: &World) -> Result<()> {
    signal(world, Signal::CONT)
}

pub(crate) fn signal(world: &World, signal: Signal) -> Result<()> {
    let pid = i32::try_from(world.pid()?).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| Failure::from("no process id"))?;
    kill_process(pid, signal).map_err(|error| Failure(error.to_string()))
}
