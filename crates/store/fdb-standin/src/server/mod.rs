//! The server: one database for all processes that know its address, on loopback only.
//!
//! [`spawn`] runs it in a thread of its own with a runtime of its own, so that it needs none of its
//! caller's. [`ServerHandle`] and [`control`] steer it from inside and from other processes.

mod committer;
mod engine;
mod faults;
mod handle;
mod log;
pub(crate) mod outbox;
mod session;
mod shared;

pub use faults::{CommitFault, Faults, Stats};
pub use handle::{ServerHandle, control};

use contract_store::Version;
use engine::Engine;
use log::Log;
use shared::Shared;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The version of a new database.
const FIRST_VERSION: Version = 1_000_000;

/// How long to wait for a port that is still taken, per attempt.
const REBIND: Duration = Duration::from_millis(50);

/// How to run a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where to listen: loopback, port 0 for any.
    pub listen: SocketAddr,
    /// The folder to keep the rows in; `None` keeps them in memory.
    pub data: Option<PathBuf>,
    /// What the dice begin with.
    pub seed: u64,
    /// What goes wrong from the start.
    pub faults: Faults,
}

impl Default for ServerOptions {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, data: None, seed: 1, faults: Faults::default() }
    }
}

/// Starts a server and returns when it accepts connections. It says on stderr what it is.
///
/// # Errors
/// An address that is not loopback or is taken; those of the disk.
pub fn spawn(options: ServerOptions) -> io::Result<ServerHandle> {
    if !options.listen.ip().is_loopback() {
        return Err(io::Error::other("a stand-in listens on loopback only"));
    }
    let (log, contents) = match &options.data {
        Some(folder) => {
            let (log, contents) = Log::open(folder)?;
            (Some(log), contents)
        }
        None => (None, log::Contents::default()),
    };
    // Nothing here may block on a runtime: the caller may be a task of one.
    let listener = std::net::TcpListener::bind(options.listen)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    crate::say_what_this_is(&format!("server on {address}"));
    let (jobs, waiting) = tokio::sync::mpsc::channel(committer::QUEUE_MAX);
    let version = contents.next_version();
    let make = |now| Engine::new(contents.rows, version, options.seed, now);
    let shared = Arc::new(Shared::new(make, jobs));
    {
        let mut engine = shared.engine.lock();
        engine.faults = options.faults;
        engine.ceiling = log.as_ref().map_or(Version::MAX, Log::ceiling);
    }
    runtime.spawn(committer::run(shared.clone(), waiting, log));
    runtime.spawn(shared.clone().tick());
    let running = shared.clone();
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new().name("fdb-standin".to_owned()).spawn(move || {
        runtime.block_on(async {
            match TcpListener::from_std(listener) {
                Ok(listener) => accept(running, listener, address).await,
                Err(error) => eprintln!("fdb-standin: cannot listen on {address}: {error}"),
            }
        });
    })?;
    Ok(ServerHandle::new(shared, handle, address, thread))
}

/// Accepts connections until the server stops. While it plays dead, nobody listens.
async fn accept(shared: Arc<Shared>, listener: TcpListener, address: SocketAddr) {
    let mut gate = shared.gate.subscribe();
    let mut listening = Some(listener);
    loop {
        let Some(listener) = listening.take() else {
            let again = gate.wait_for(|gate| !gate.dead);
            tokio::select! {
                _ = again => {}
                () = shared.stop.cancelled() => return,
            }
            listening = TcpListener::bind(address).await.ok();
            if listening.is_none() {
                tokio::time::sleep(REBIND).await;
            }
            continue;
        };
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((connection, _)) = accepted {
                    tokio::spawn(session::serve(shared.clone(), connection));
                }
                listening = Some(listener);
            }
            _ = gate.wait_for(|gate| gate.dead) => {}
            () = shared.stop.cancelled() => return,
        }
    }
}
