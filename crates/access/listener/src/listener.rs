//! One listening socket and its sessions, from start to drain.

use crate::accept::Acceptor;
use crate::admission::Admissions;
use crate::config::{ListenerConfig, TlsMode};
use crate::session::SessionFactory;
use crate::tls::TlsSettings;
use base::Deadline;
use base::env::Env;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long sessions that are cut off may take to be gone.
const CUT_TIME: Duration = Duration::from_secs(1);

/// A listening socket with its accept loop. Dropping it stops accepting and asks the sessions to
/// end, without waiting for them.
pub struct Listener {
    name: Arc<str>,
    address: SocketAddr,
    shutdown: CancellationToken,
    /// Cancelled when sessions are not waited for any more.
    cut: CancellationToken,
    admissions: Arc<Admissions>,
    accepting: JoinHandle<()>,
}

impl Listener {
    /// Listens, and serves what connects. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Of the operating system; `InvalidInput` if the mode needs TLS settings and there are none.
    pub async fn start(
        config: ListenerConfig,
        env: &Env,
        tls: Option<Arc<TlsSettings>>,
        factory: Arc<dyn SessionFactory>,
    ) -> io::Result<Self> {
        let tls = match config.tls {
            TlsMode::None => None,
            TlsMode::Implicit | TlsMode::StartTls if tls.is_none() => {
                let text = format!("listener {} needs a certificate", config.name);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            TlsMode::Implicit | TlsMode::StartTls => tls,
        };
        let socket = env.network.listen(config.address).await?;
        let (name, address) = (Arc::<str>::from(config.name.as_str()), socket.local_address());
        let (shutdown, cut) = (CancellationToken::new(), CancellationToken::new());
        let admissions = Admissions::new(&config);
        let acceptor = Acceptor {
            name: name.clone(),
            config,
            clock: env.clock.clone(),
            tls,
            factory,
            admissions: admissions.clone(),
            shutdown: shutdown.clone(),
            cut: cut.clone(),
        };
        let accepting = tokio::spawn(acceptor.run(socket));
        tracing::info!(listener = %name, %address, "listening");
        Ok(Self { name, address, shutdown, cut, admissions, accepting })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens; the real port where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        *self.admissions.open().borrow()
    }

    /// Stops accepting, asks the sessions to end and waits for them until the deadline. Those that
    /// are still there then are cut off, and told so if they listen; gives their number.
    pub async fn drain(mut self, deadline: Deadline) -> usize {
        self.shutdown.cancel();
        let ended = async {
            // Its end means that the socket is closed; how it ended does not matter any more.
            let _ended = (&mut self.accepting).await;
            let mut open = self.admissions.open();
            let _none = open.wait_for(|open| *open == 0).await;
        };
        let _late = tokio::time::timeout_at(deadline.instant(), ended).await;
        let left = self.connections();
        if left > 0 {
            self.cut.cancel();
            let mut open = self.admissions.open();
            let gone = open.wait_for(|open| *open == 0);
            let _the_rest_ends_with_the_process = tokio::time::timeout(CUT_TIME, gone).await;
        }
        tracing::info!(listener = %self.name, left, "drained");
        left
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
