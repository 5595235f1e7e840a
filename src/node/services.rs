//! The services of a node and what they stand on, in the order in which they need one another.

use super::membership::Membership;
use super::store::{Backend, Opening};
use super::{ListenerSection, NodeConfig, Protocol};
use access_admin::Probe;
use access_imap::ImapService;
use access_inspection::Workers;
use access_listener::SessionFactory;
use access_pop3::Pop3Service;
use access_relay::Relay;
use access_scanners::Clients;
use access_smtp::SmtpService;
use base::env::Env;
use base::logs::LogWriter;
use base::router::LocalRouter;
use base::{Deadline, Result};
use contract_blob::Blobs;
use contract_store::Store;
use contract_transport::pressure::{Level, Pressure};
use contract_transport::receive::{ListenerPlace, Role};
use contract_transport::scanner::ScannerSettings;
use contract_transport::scanner::scanning::Scanners;
use service_directory::{DirectoryConfig, DirectoryService};
use service_mailbox::MailboxService;
use service_transport::{Monitor, StoredPolicies, TransportService};
use std::sync::Arc;
use std::time::Duration;
use store_blobs::StoreBlobs;
use store_copy::GatedStore;

/// How long actors may take to finish when the node stops.
const STOP_TIME: Duration = Duration::from_secs(10);

/// How long the node may take to end its part in a cluster.
const CLUSTER_STOP_TIME: Duration = Duration::from_secs(5);

/// How long the client of a database may take to end.
const CLIENT_STOP_TIME: Duration = Duration::from_secs(5);

/// The running services of a node.
pub(super) struct Services {
    pub(super) backend: Backend,
    /// What everything below stands on: the backend behind a gate that a copy closes.
    pub(super) gate: Arc<GatedStore>,
    pub(super) membership: Membership,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) directory: Arc<DirectoryService>,
    pub(super) mailboxes: Arc<MailboxService>,
    pub(super) transport: Arc<TransportService>,
    pub(super) scanners: Clients,
    pub(super) courier: Arc<Relay>,
    /// What the node is short of.
    pub(super) pressure: Arc<Monitor>,
    /// What is told in files.
    pub(super) logs: LogWriter,
}

/// Who speaks the protocols with clients. What bounds all sessions of a protocol together is one
/// for all its listeners.
pub(super) struct Sessions {
    smtp: SmtpService,
    imap: Arc<ImapService>,
    pop3: Arc<Pop3Service>,
}

impl Sessions {
    /// Those of a listener.
    pub(super) fn at(&self, section: &ListenerSection) -> Arc<dyn SessionFactory> {
        let role = match section.protocol {
            Protocol::Smtp => Role::Server,
            Protocol::Submission => Role::Submission,
            Protocol::Imap => return self.imap.clone(),
            Protocol::Pop3 => return self.pop3.clone(),
        };
        Arc::new(self.smtp.at(ListenerPlace { role, address: section.address }))
    }
}

/// How mailboxes are kept.
#[cfg_attr(not(feature = "mutants"), allow(unused_variables))]
fn mailbox_config(config: &NodeConfig) -> service_mailbox::Config {
    let mailbox_config = service_mailbox::Config::default();
    #[cfg(feature = "mutants")]
    let mailbox_config = config.mutant.map_or(mailbox_config, crate::mutant::Mutant::of_mailboxes);
    mailbox_config
}

/// How mail is sorted, and who looks into attachments.
fn transport_config(config: &NodeConfig) -> service_transport::Config {
    let workers = Workers::new(access_inspection::Config::own_program("extract-worker"));
    service_transport::Config {
        inspector: Some(Arc::new(workers)),
        ..service_transport::Config::new(config.node.host_name.clone())
    }
}

impl Services {
    pub(super) async fn start(config: &NodeConfig, env: &Env) -> Result<Self> {
        let opening = Opening {
            #[cfg(feature = "mutants")]
            mutant: config.mutant,
        };
        let backend = Backend::open(&config.store_place(), opening, env).await?;
        let gate = backend.gated();
        let store: Arc<dyn Store> = gate.clone();
        store_copy::take_into_use(&store).await?;
        let local = Arc::new(LocalRouter::new(false));
        let membership = Membership::start(config, env, &store, &local).await?;
        let (control, router) = (membership.control(), membership.router(&local));
        let blobs: Arc<dyn Blobs> = Arc::new(StoreBlobs::open(store.clone(), env).await?);
        let directory =
            DirectoryService::start(DirectoryConfig::default(), store.clone(), env.clone());
        let parts = service_mailbox::Parts {
            env: env.clone(),
            store: store.clone(),
            blobs: blobs.clone(),
            control: control.clone(),
            directory: directory.clone(),
            router: router.clone(),
        };
        let mailboxes = service_mailbox::start(mailbox_config(config), parts, &local);
        directory.start_purging(mailboxes.clone());
        let level = control.clone();
        directory.heed_level(move || level.feature_level());
        let policies = Arc::new(StoredPolicies::new(store.clone()));
        let parts = service_transport::Parts {
            // Whoever wants reports says so in the DNS.
            env: Env { dns: config.outbound.names(env), ..env.clone() },
            store,
            blobs: blobs.clone(),
            control,
            directory: directory.clone(),
            mailboxes: mailboxes.clone(),
            router,
        };
        let signatures = Arc::new(service_sender_auth::Dkim);
        let host = &config.node.host_name;
        let courier = config.outbound.courier(host, env, blobs.clone(), policies)?;
        let transport = service_transport::start_signing(
            transport_config(config),
            parts,
            courier.clone(),
            signatures,
            &local,
        )
        .await?;
        courier.tell(transport.clone());
        let logs = super::logs::start(env, &config.node.data);
        courier.log_to(super::logs::sending(&logs, &transport));
        let pressure = Monitor::start(config.pressure.clone(), &transport, Some(config.room()));
        let scanners = Clients::new(env.clone(), transport.clone(), blobs.clone());
        Ok(Self {
            backend,
            gate,
            membership,
            blobs,
            directory,
            mailboxes,
            transport,
            scanners,
            courier,
            pressure,
            logs,
        })
    }

    /// Who speaks the protocols with clients.
    pub(super) fn sessions(&self, config: &NodeConfig, env: &Env) -> Sessions {
        let smtp = access_smtp::Config {
            host_name: config.node.host_name.clone(),
            loopback_exempt: config.limits.loopback_exempt,
            submissions_per_minute: config.limits.submissions_per_minute,
            ..access_smtp::Config::default()
        };
        let smtp = SmtpService::new(
            smtp,
            env.clone(),
            self.directory.clone(),
            self.mailboxes.clone(),
            self.transport.clone(),
            self.blobs.clone(),
        );
        let imap = ImapService::new(
            access_imap::Config::default(),
            env.clone(),
            self.directory.clone(),
            self.mailboxes.clone(),
            self.blobs.clone(),
        );
        let pop3 = Pop3Service::new(
            access_pop3::Config::default(),
            env.clone(),
            self.directory.clone(),
            self.mailboxes.clone(),
            self.blobs.clone(),
        );
        let smtp = smtp
            .with_connectors(self.transport.clone())
            .with_authentication(config.authentication.telling(
                config,
                env,
                self.transport.clone(),
                self.transport.clone(),
            ))
            .with_scanners(Arc::new(self.scanners.clone()))
            .with_pressure(self.pressure.clone())
            .with_protocol_log(self.receive_log());
        Sessions { smtp, imap: Arc::new(imap.with_log(self.imap_log())), pop3: Arc::new(pop3) }
    }

    /// Whether the store answers, and may be written.
    pub(super) fn store_probe(&self) -> Probe {
        let (backend, gate) = (self.backend.clone(), self.gate.clone());
        let membership = self.membership.clone();
        Probe::new("store", move || {
            let (backend, gate) = (backend.clone(), gate.clone());
            let known = membership.store_health();
            async move {
                if gate.is_closed().await {
                    return Err("writing is stopped: the data moves to another store".to_owned());
                }
                // A member probes it all the time: who asks is told at once, not when asking the
                // store has taken too long.
                match known {
                    Some(known) => known.map(|()| "foundationdb answers".to_owned()),
                    None => backend.answers().await,
                }
            }
        })
    }

    /// How the scanners are. One that is passed over is told, and no reason to send clients to
    /// another node, for which it is the same one.
    pub(super) fn scanner_probe(&self) -> Probe {
        let (settings, scanners) = (self.transport.clone(), self.scanners.clone());
        Probe::new("scanners", move || {
            let table = settings.scanner_table();
            let rests = |name: &str| scanners.standing(name).rests_ms.is_some();
            let enabled = table.iter().filter(|scanner| scanner.enabled);
            let names: Vec<_> = enabled.clone().map(|one| one.name.as_str()).collect();
            let away: Vec<_> = names.iter().copied().filter(|name| rests(name)).collect();
            let text = match (names.len(), away.as_slice()) {
                (0, _) => "none".to_owned(),
                (count, []) => format!("{count} asked"),
                (_, away) => format!("passed over, as they do not answer: {}", away.join(", ")),
            };
            async move { Ok(text) }
        })
    }

    /// What the node is short of, and who waits for that. The node stays ready: what it takes goes
    /// by who sends it, and clients that read are served.
    pub(super) fn pressure_probe(&self) -> Probe {
        let pressure = self.pressure.clone();
        Probe::new("pressure", move || {
            let standing = pressure.standing();
            let short = standing.resources.iter().filter(|one| one.level > Level::Normal);
            let short: Vec<_> = short
                .map(|one| {
                    format!("{} is {} ({})", one.resource.word(), one.level.word(), one.room)
                })
                .collect();
            let text = match short.as_slice() {
                [] => standing.effect,
                short => format!("{}: {}", short.join(", "), standing.effect),
            };
            async move { Ok(text) }
        })
    }

    /// Stops: queues first, then mailboxes, then the node's part in the cluster, then the store,
    /// then the client of a database.
    pub(super) async fn stop(self) -> Result<()> {
        let deadline = Deadline::after(STOP_TIME);
        for stopped in [self.transport.stop(deadline).await, self.mailboxes.stop(deadline).await] {
            if let Err(error) = stopped {
                tracing::warn!(%error, "stopping goes on without");
            }
        }
        self.membership.stop(Deadline::after(CLUSTER_STOP_TIME)).await;
        let closed = self.backend.close().await;
        // Nobody uses the store any more; a library that does not end must not hold the process.
        let stopping = tokio::task::spawn_blocking(store_foundationdb::stop);
        if tokio::time::timeout(CLIENT_STOP_TIME, stopping).await.is_err() {
            tracing::warn!("FoundationDB's client does not stop; going on without");
        }
        closed
    }
}
