//! Steering a server: from the process that runs it, and from others.

use super::faults::{CommitFault, Faults, Stats};
use super::shared::Shared;
use crate::cluster_file;
use crate::wire::{self, Control, Request, Response};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A server of this process; it stops when this is dropped. All methods may block briefly and need
/// no runtime; they must not be called from the server's own tasks.
pub struct ServerHandle {
    shared: Arc<Shared>,
    runtime: tokio::runtime::Handle,
    address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl ServerHandle {
    pub(super) fn new(
        shared: Arc<Shared>,
        runtime: tokio::runtime::Handle,
        address: SocketAddr,
        thread: JoinHandle<()>,
    ) -> Self {
        Self { shared, runtime, address, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The line of a cluster file.
    pub fn cluster_text(&self) -> String {
        cluster_file::text(self.address)
    }

    /// Writes a cluster file.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write_cluster_file(&self, path: &Path) -> io::Result<()> {
        cluster_file::write(path, self.address)
    }

    fn control(&self, control: Control) -> Stats {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let shared = self.shared.clone();
        self.runtime.spawn(async move {
            let _ = reply.send(shared.control(control).await);
        });
        // Nothing answers once the server has stopped.
        answer.recv().unwrap_or_default()
    }

    /// What is to go wrong from now on; replaces what was set before.
    pub fn set_faults(&self, faults: Faults) {
        self.control(Control::Faults(faults));
    }

    /// What is to happen to the next commit; several queue up. Goes before the dice.
    pub fn script(&self, fault: CommitFault) {
        self.control(Control::Script(fault));
    }

    /// With which code the next read of a version, a row or a page fails; several queue up.
    pub fn script_read(&self, code: i32) {
        self.control(Control::ScriptRead(code));
    }

    /// Fires every watch that waits, though nothing has changed.
    pub fn fire_watches(&self) {
        self.control(Control::FireWatches);
    }

    /// Ends all faults; late commits have landed or failed when it returns.
    pub fn settle(&self) {
        self.control(Control::Settle);
    }

    /// Lets versions grow old by so much.
    pub fn advance(&self, by: Duration) {
        self.control(Control::Advance(milliseconds(by)));
    }

    /// Removes all rows.
    pub fn clear(&self) {
        self.control(Control::Clear);
    }

    /// Answers nothing for so long, as in a recovery; commits in flight become unknown.
    pub fn recover(&self, time: Duration) {
        self.control(Control::Recover(milliseconds(time)));
    }

    /// Drops all connections and refuses new ones for so long.
    pub fn die(&self, time: Duration) {
        self.control(Control::Die(milliseconds(time)));
    }

    /// What has happened so far.
    pub fn stats(&self) -> Stats {
        self.control(Control::Stats)
    }

    /// Stops it and waits for that.
    pub fn stop(mut self) {
        self.end();
    }

    /// Waits until it stops by itself, which it does when its disk fails.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    fn end(&mut self) {
        self.shared.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed already.
            let _ = thread.join();
        }
    }
}

impl Drop for ServerHandle {
    fn drop(&mut self) {
        self.end();
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Steers a server of another process.
///
/// # Errors
/// Those of the connection; a server that does not understand.
pub fn control(address: SocketAddr, control: Control) -> io::Result<Stats> {
    let mut connection = TcpStream::connect(address)?;
    // A server that dies as told breaks this connection too, perhaps before its answer is out.
    let dies = matches!(control, Control::Die(_));
    let mut frame = Vec::new();
    if !wire::put(&mut frame, 1, &Request::Control(control)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    connection.write_all(&frame)?;
    let (mut buffer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        match wire::take(&mut &buffer[..]) {
            Ok(Some((_, Response::Stats(stats)))) => return Ok(*stats),
            Ok(None) => {}
            _ => return Err(io::Error::other("this is no answer of a stand-in")),
        }
        match connection.read(&mut chunk) {
            Ok(0) | Err(_) if dies => return Ok(Stats::default()),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => buffer.extend_from_slice(&chunk[..read]),
            Err(error) => return Err(error),
        }
    }
}
