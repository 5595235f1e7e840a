//! The service: what its sessions share, and the factory that the listener calls.

use crate::config::Config;
use crate::session::Session;
use access_listener::{Connection, Refusal, SessionFactory, Users};
use async_trait::async_trait;
use base::env::Env;
use bytes::Bytes;
use contract_blob::Blobs;
use contract_directory::Directory;
use contract_mailbox::Mailboxes;
use std::sync::Arc;

/// What all sessions of a node use.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) env: Env,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) mailboxes: Arc<dyn Mailboxes>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) users: Arc<Users>,
}

/// POP3 for a listener: implicit TLS (995) or STLS (110) is the listener's setting.
pub struct Pop3Service {
    shared: Arc<Shared>,
}

impl Pop3Service {
    /// The service over these contracts. Starts nothing; sessions begin as connections come.
    pub fn new(
        config: Config,
        env: Env,
        directory: Arc<dyn Directory>,
        mailboxes: Arc<dyn Mailboxes>,
        blobs: Arc<dyn Blobs>,
    ) -> Self {
        let users = Arc::default();
        Self { shared: Arc::new(Shared { config, env, directory, mailboxes, blobs, users }) }
    }
}

#[async_trait]
impl SessionFactory for Pop3Service {
    async fn serve(&self, connection: Connection) {
        Session::new(self.shared.clone(), connection).run().await;
    }

    fn refusal(&self, reason: Refusal) -> Bytes {
        Bytes::from_static(match reason {
            Refusal::Full => b"-ERR [SYS/TEMP] Too many connections, try later\r\n",
            Refusal::SourceFull => b"-ERR [SYS/TEMP] Too many connections from your network\r\n",
            Refusal::Stopping => b"-ERR [SYS/TEMP] The server stops\r\n",
        })
    }
}
