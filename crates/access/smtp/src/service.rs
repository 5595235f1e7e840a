//! What all sessions share, and how the listener starts one.

use crate::config::{Config, Role};
use crate::places::{NoPlace, Place, Places};
use crate::rate::Rates;
use crate::reply;
use crate::session::Session;
use crate::terms::{AllTerms, Terms};
use access_listener::{Connection, Refusal, SessionFactory};
use async_trait::async_trait;
use base::env::Env;
use base::logs::ConversationLog;
use base::{AccountId, ByteBudget};
use bytes::Bytes;
use codec_smtp::Reply;
use contract_blob::Blobs;
use contract_directory::Directory;
use contract_mailbox::Mailboxes;
use contract_transport::Transport;
use contract_transport::authentication::SenderAuthentication;
use contract_transport::pressure::Pressure;
use contract_transport::receive::{ListenerPlace, ReceiveConnectors, ReceiveTable};
use contract_transport::scanner::scanning::Scanners;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

/// Serves SMTP sessions; cheap to clone.
#[derive(Clone)]
pub struct SmtpService {
    shared: Arc<Shared>,
    listener: ListenerPlace,
    /// The default ones where absent.
    connectors: Option<Arc<dyn ReceiveConnectors>>,
}

/// What all sessions of all listeners share.
pub(crate) struct Shared {
    /// The node's own; a session goes by its terms.
    config: Config,
    pub(crate) env: Env,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) mailboxes: Arc<dyn Mailboxes>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) buffers: ByteBudget,
    pub(crate) account_rates: Rates<AccountId>,
    pub(crate) source_rates: Rates<IpAddr>,
    places: Arc<Places>,
    terms: AllTerms,
    defaults: Arc<ReceiveTable>,
    /// Nobody's senders are checked where there is none.
    pub(crate) authentication: OnceLock<Arc<dyn SenderAuthentication>>,
    /// No mail is scanned where there are none.
    pub(crate) scanners: OnceLock<Arc<dyn Scanners>>,
    /// Nobody waits for what is short where there is none.
    pub(crate) pressure: OnceLock<Arc<dyn Pressure>>,
    /// Nothing that is said is logged where there is none.
    pub(crate) protocol_log: OnceLock<ConversationLog>,
}

impl SmtpService {
    /// A service over these contracts, for listeners of the configured role, with the default
    /// receive connectors.
    pub fn new(
        config: Config,
        env: Env,
        directory: Arc<dyn Directory>,
        mailboxes: Arc<dyn Mailboxes>,
        transport: Arc<dyn Transport>,
        blobs: Arc<dyn Blobs>,
    ) -> Self {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let listener = ListenerPlace { role: config.role, address };
        let buffers = ByteBudget::new(config.message_buffers_bytes);
        let shared = Shared {
            config,
            env,
            directory,
            mailboxes,
            transport,
            blobs,
            buffers,
            account_rates: Rates::default(),
            source_rates: Rates::default(),
            places: Arc::default(),
            terms: AllTerms::default(),
            defaults: Arc::default(),
            authentication: OnceLock::new(),
            scanners: OnceLock::new(),
            pressure: OnceLock::new(),
            protocol_log: OnceLock::new(),
        };
        Self { shared: Arc::new(shared), listener, connectors: None }
    }

    /// The same service by these connectors.
    #[must_use]
    pub fn with_connectors(self, connectors: Arc<dyn ReceiveConnectors>) -> Self {
        Self { connectors: Some(connectors), ..self }
    }

    /// The same service, which checks who mail from other servers is from. What was set first stays.
    #[must_use]
    pub fn with_authentication(self, authentication: Arc<dyn SenderAuthentication>) -> Self {
        self.shared.authentication.get_or_init(|| authentication);
        self
    }

    /// The same service, which shows mail to scanners. What was set first stays.
    #[must_use]
    pub fn with_scanners(self, scanners: Arc<dyn Scanners>) -> Self {
        self.shared.scanners.get_or_init(|| scanners);
        self
    }

    /// The same service, which takes less mail while the node is short of something. What was set
    /// first stays.
    #[must_use]
    pub fn with_pressure(self, pressure: Arc<dyn Pressure>) -> Self {
        self.shared.pressure.get_or_init(|| pressure);
        self
    }

    /// The same service, which logs what is said ([`PROTOCOL_LOG`](crate::PROTOCOL_LOG)) where the
    /// log wants that of a connector. What was set first stays.
    #[must_use]
    pub fn with_protocol_log(self, log: ConversationLog) -> Self {
        self.shared.protocol_log.get_or_init(|| log);
        self
    }

    /// The same service for a listener: budgets, rates and counts are shared by all of them.
    #[must_use]
    pub fn at(&self, listener: ListenerPlace) -> Self {
        Self { listener, ..self.clone() }
    }

    /// The same service for listeners of another role.
    #[must_use]
    pub fn with_role(&self, role: Role) -> Self {
        self.at(ListenerPlace { role, ..self.listener })
    }

    /// By which terms a client is served, and its place; or why it is not.
    fn admit(&self, client: IpAddr) -> Result<(Arc<Terms>, Place), (Reply, &'static str)> {
        let shared = &self.shared;
        let table = match &self.connectors {
            Some(connectors) => connectors.receive_table(),
            None => shared.defaults.clone(),
        };
        let terms = shared.terms.choose(table, (self.listener, client), &shared.config);
        let terms = terms.ok_or_else(|| (reply::not_for_you(), "no_connector"))?;
        let full = || Reply::too_many_connections(&terms.config.host_name);
        match shared.places.take(&terms, client) {
            Ok(place) => Ok((terms, place)),
            Err(NoPlace::Full) => Err((full(), "full")),
            Err(NoPlace::SourceFull) => Err((full(), "source_full")),
        }
    }
}

#[async_trait]
impl SessionFactory for SmtpService {
    async fn serve(&self, mut connection: Connection) {
        match self.admit(connection.peer().ip()) {
            Ok((terms, _place)) => {
                let local = self.listener.address;
                Session::new(self.shared.clone(), terms, connection, local).run().await;
            }
            Err((refusal, reason)) => {
                metrics::counter!("rialto_smtp_refused_total", "reason" => reason).increment(1);
                tracing::info!(peer = %connection.peer(), %refusal, "not served");
                connection.queue(refusal.to_bytes());
                connection.close().await;
            }
        }
    }

    fn refusal(&self, reason: Refusal) -> Bytes {
        let host = &self.shared.config.host_name;
        match reason {
            Refusal::Stopping => Reply::shutting_down(host).to_bytes(),
            Refusal::Full | Refusal::SourceFull => Reply::too_many_connections(host).to_bytes(),
        }
    }
}
