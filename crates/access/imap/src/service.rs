//! The service: what its sessions share, and the factory that the listener calls.

use crate::claims::Claims;
use crate::config::Config;
use crate::session::Session;
use crate::transcript::CommandLog;
use access_listener::{Connection, Refusal, SessionFactory, Users};
use async_trait::async_trait;
use base::env::Env;
use bytes::Bytes;
use contract_blob::Blobs;
use contract_directory::Directory;
use contract_mailbox::Mailboxes;
use std::sync::{Arc, OnceLock};

/// What all sessions of a node use.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) env: Env,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) mailboxes: Arc<dyn Mailboxes>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) registry: Arc<Users>,
    pub(crate) claims: Arc<Claims>,
    /// Where commands are logged, if anywhere.
    pub(crate) log: OnceLock<CommandLog>,
}

/// IMAP for a listener: implicit TLS (993) or STARTTLS (143) is the listener's setting.
pub struct ImapService {
    shared: Arc<Shared>,
}

impl ImapService {
    /// The service over these contracts. Starts nothing; sessions begin as connections come.
    pub fn new(
        config: Config,
        env: Env,
        directory: Arc<dyn Directory>,
        mailboxes: Arc<dyn Mailboxes>,
        blobs: Arc<dyn Blobs>,
    ) -> Self {
        let (registry, claims) = (Arc::default(), Arc::default());
        let log = OnceLock::new();
        let shared = Shared { config, env, directory, mailboxes, blobs, registry, claims, log };
        Self { shared: Arc::new(shared) }
    }

    /// The same service, which logs commands. What was set first stays.
    #[must_use]
    pub fn with_log(self, log: CommandLog) -> Self {
        self.shared.log.get_or_init(|| log);
        self
    }
}

#[async_trait]
impl SessionFactory for ImapService {
    async fn serve(&self, connection: Connection) {
        Session::new(self.shared.clone(), connection).run().await;
    }

    fn refusal(&self, reason: Refusal) -> Bytes {
        Bytes::from_static(match reason {
            Refusal::Full => b"* BYE [UNAVAILABLE] Too many connections, try later\r\n",
            Refusal::SourceFull => b"* BYE [LIMIT] Too many connections from your network\r\n",
            Refusal::Stopping => b"* BYE [UNAVAILABLE] The server stops\r\n",
        })
    }
}
