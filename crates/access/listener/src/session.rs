//! A session as an actor: supervised, counted, one task.
//!
//! The actor is sent one message, "serve", and ends with it: a session's inbox is its connection,
//! which brings its own bounds. What being an actor gives is the rest: a panic ends this session
//! alone and is logged and counted, and the session is seen by name like every other actor.

use crate::admission::Refusal;
use crate::config::TlsMode;
use crate::connection::{Connection, Unlearned};
use crate::proxy::Wrong;
use async_trait::async_trait;
use base::Result;
use base::actor::{Actor, Context, Next};
use base::telemetry::Printable;
use bytes::Bytes;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How much of what came instead of a header is logged.
const SHOWN_BYTES: usize = 32;

/// Speaks one protocol with clients.
#[async_trait]
pub trait SessionFactory: Send + Sync + 'static {
    /// Talks to one client until either side is done. A session must keep its own time limits and
    /// watch [`Connection::shutdown`]; it is cancelled only if it does not end by itself when the
    /// server stops. What it was waiting for then goes on without it or is undone by its owner.
    async fn serve(&self, connection: Connection);

    /// What a client is told that is turned away, in its protocol; nothing where empty.
    fn refusal(&self, reason: Refusal) -> Bytes {
        let _ = reason;
        Bytes::new()
    }
}

/// One connection to be served.
pub(crate) struct Work {
    pub(crate) listener: Arc<str>,
    pub(crate) connection: Connection,
    /// Whether the other side is a proxy, and begins by naming the client.
    pub(crate) is_proxy: bool,
    pub(crate) tls: TlsMode,
    pub(crate) factory: Arc<dyn SessionFactory>,
    /// Cancelled when the session is not waited for any more.
    pub(crate) cut: CancellationToken,
}

pub(crate) struct Session(Option<Work>);

/// The one message.
pub(crate) struct Serve;

impl Actor for Session {
    type Message = Serve;
    type Args = Work;
    const NAME: &'static str = "session";

    async fn start(work: Work, _: &Context<Serve>) -> Result<Self> {
        Ok(Self(Some(work)))
    }

    async fn handle(&mut self, _: Serve) -> Result<Next> {
        if let Some(work) = self.0.take() {
            let cut = work.cut.clone();
            tokio::select! {
                biased;
                () = work.serve() => {}
                () = cut.cancelled() => {}
            }
        }
        Ok(Next::Stop)
    }
}

impl Work {
    async fn serve(mut self) {
        if self.is_proxy && !self.learn_client().await {
            return;
        }
        if self.tls == TlsMode::Implicit
            && let Err(error) = self.connection.start_tls().await
        {
            let peer = self.connection.peer();
            tracing::debug!(listener = %self.listener, %peer,
                error = %Printable(&error.to_string()), "TLS handshake failed");
            return;
        }
        self.factory.serve(self.connection).await;
    }

    /// Hears from the proxy who is there; without that there is no session.
    async fn learn_client(&mut self) -> bool {
        let (proxy, shutdown) = (self.connection.peer(), self.connection.shutdown().clone());
        let mut taken = Vec::new();
        let learned = tokio::select! {
            biased;
            learned = self.connection.learn_client(&mut taken) => learned,
            () = shutdown.cancelled() => return false,
        };
        match learned {
            Ok(()) => return true,
            Err(Unlearned::Refused(reason)) => {
                reason.count(&self.listener);
                let line = self.factory.refusal(reason);
                if self.tls != TlsMode::Implicit {
                    self.connection.say(&line);
                }
            }
            Err(Unlearned::Wrong(Wrong::Nothing)) => {
                tracing::debug!(listener = %self.listener, %proxy, "a proxy only looked by");
            }
            Err(Unlearned::Wrong(wrong)) => {
                metrics::counter!("rialto_listener_proxy_errors_total",
                    "listener" => self.listener.clone())
                .increment(1);
                let begin = taken.get(..SHOWN_BYTES).unwrap_or(&taken).escape_ascii();
                tracing::warn!(listener = %self.listener, %proxy, %wrong, %begin,
                    "a connection from a trusted proxy was closed: its PROXY header is wrong");
            }
        }
        false
    }
}
