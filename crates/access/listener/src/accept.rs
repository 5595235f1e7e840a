//! The accept loop: never ends but on request, and never spins when there are no descriptors.

use crate::admission::{Admissions, Refusal};
use crate::config::ListenerConfig;
use crate::connection::Connection;
use crate::session::{Serve, Session, SessionFactory, Work};
use crate::tls::TlsSettings;
use base::env::{Clock, Stream};
use futures::FutureExt;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

/// The first wait after an accept that failed …
const PAUSE: Duration = Duration::from_millis(10);
/// … and the longest: descriptors come back when sessions end, so looking once a second will do.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// So many clients in a row that are gone before they were accepted are taken without a pause.
const GONE_IN_A_ROW: u32 = 64;

/// What the loop needs beside the socket.
pub(crate) struct Acceptor {
    pub(crate) name: Arc<str>,
    pub(crate) config: ListenerConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tls: Option<Arc<TlsSettings>>,
    pub(crate) factory: Arc<dyn SessionFactory>,
    pub(crate) admissions: Arc<Admissions>,
    pub(crate) shutdown: CancellationToken,
    /// Cancelled when sessions are not waited for any more.
    pub(crate) cut: CancellationToken,
}

impl Acceptor {
    /// Accepts until shutdown; the socket closes when this returns. A panic (of a factory's
    /// `refusal`, say) is reported and the loop goes on.
    pub(crate) async fn run(self, socket: Box<dyn base::env::Listener>) {
        while AssertUnwindSafe(self.accept_all(&*socket)).catch_unwind().await.is_err() {
            tracing::error!(listener = %self.name, "the accept loop panicked; it goes on");
            self.clock.sleep(PAUSE_MAX).await;
        }
    }

    async fn accept_all(&self, socket: &dyn base::env::Listener) {
        let mut failures = 0;
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    failures = 0;
                    self.admit(stream, peer).await;
                }
                Err(error) => {
                    failures += 1;
                    self.failed(&error, failures).await;
                }
            }
        }
    }

    async fn failed(&self, error: &io::Error, failures: u32) {
        metrics::counter!("rialto_listener_accept_errors_total", "listener" => self.name.clone())
            .increment(1);
        let Some(pause) = pause(error.kind(), failures) else {
            return;
        };
        if failures.is_power_of_two() {
            tracing::warn!(listener = %self.name, %error, failures, "cannot accept connections");
        }
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = self.clock.sleep(pause) => {}
        }
    }

    async fn admit(&self, mut stream: Box<dyn Stream>, peer: SocketAddr) {
        let is_proxy = self.config.proxy_protocol.as_ref().is_some_and(|of| of.trusts(peer.ip()));
        let admitted = if is_proxy {
            self.admissions.admit_unnamed()
        } else {
            self.admissions.admit(peer.ip())
        };
        let admission = match admitted {
            Ok(admission) => admission,
            Err(reason) => {
                reason.count(&self.name);
                // A new socket takes a line at once; if it does not, nobody waits for it.
                let line = self.factory.refusal(reason);
                if self.config.tls != crate::TlsMode::Implicit && !line.is_empty() {
                    let _unimportant = stream.write_all(&line).now_or_never();
                }
                return;
            }
        };
        metrics::counter!("rialto_listener_connections_total", "listener" => self.name.clone())
            .increment(1);
        let connection = Connection::accepted(
            stream,
            peer,
            &self.config,
            self.tls.clone(),
            self.shutdown.clone(),
            (self.name.clone(), admission),
        );
        let connection =
            connection.with_farewell(self.cut.clone(), self.factory.refusal(Refusal::Stopping));
        let work = Work {
            listener: self.name.clone(),
            connection,
            is_proxy,
            tls: self.config.tls,
            factory: self.factory.clone(),
            cut: self.cut.clone(),
        };
        let sent = match base::actor::spawn::<Session>(work, 1).await {
            Ok(session) => session.inbox.try_cast(Serve),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::error!(listener = %self.name, %error, "cannot start a session");
        }
    }
}

/// How long to wait after a failure; a client that went away again needs none.
fn pause(kind: io::ErrorKind, failures: u32) -> Option<Duration> {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    let gone = matches!(kind, ConnectionAborted | ConnectionReset | Interrupted);
    if gone && failures < GONE_IN_A_ROW {
        return None;
    }
    Some((PAUSE * (1 << failures.min(10))).min(PAUSE_MAX))
}
