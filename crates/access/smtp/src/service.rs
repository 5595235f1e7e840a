//! What all sessions share, and how the listener starts one.

use crate::config::{Config, Role};
use crate::rate::SubmissionRate;
use crate::session::Session;
use access_listener::{Connection, Refusal, SessionFactory};
use async_trait::async_trait;
use base::ByteBudget;
use base::env::Env;
use bytes::Bytes;
use codec_smtp::Reply;
use contract_blob::Blobs;
use contract_directory::Directory;
use contract_mailbox::Mailboxes;
use contract_transport::Transport;
use std::sync::Arc;

/// Serves SMTP sessions; cheap to clone.
#[derive(Clone)]
pub struct SmtpService {
    shared: Arc<Shared>,
    role: Role,
}

/// What all sessions of all roles share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) env: Env,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) mailboxes: Arc<dyn Mailboxes>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) buffers: ByteBudget,
    pub(crate) rate: SubmissionRate,
}

impl SmtpService {
    /// A service over these contracts, for listeners of the configured role.
    pub fn new(
        config: Config,
        env: Env,
        directory: Arc<dyn Directory>,
        mailboxes: Arc<dyn Mailboxes>,
        transport: Arc<dyn Transport>,
        blobs: Arc<dyn Blobs>,
    ) -> Self {
        let role = config.role;
        let buffers = ByteBudget::new(config.message_buffers_bytes);
        let rate = SubmissionRate::new(config.submissions_per_minute);
        let shared = Shared { config, env, directory, mailboxes, transport, blobs, buffers, rate };
        Self { shared: Arc::new(shared), role }
    }

    /// The same service for listeners of another role: budgets and rates are shared, so that 587
    /// and 465 together allow what one of them would.
    #[must_use]
    pub fn with_role(&self, role: Role) -> Self {
        Self { shared: self.shared.clone(), role }
    }
}

#[async_trait]
impl SessionFactory for SmtpService {
    async fn serve(&self, connection: Connection) {
        Session::new(self.shared.clone(), self.role, connection).run().await;
    }

    fn refusal(&self, reason: Refusal) -> Bytes {
        let host = &self.shared.config.host_name;
        match reason {
            Refusal::Stopping => Reply::shutting_down(host).to_bytes(),
            Refusal::Full | Refusal::SourceFull => Reply::too_many_connections(host).to_bytes(),
        }
    }
}
