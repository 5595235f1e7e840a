//! The services of a node and what they stand on, in the order in which they need one another.

use super::{NodeConfig, Protocol};
use crate::cli::StoreKind;
use access_admin::Probe;
use access_imap::ImapService;
use access_listener::SessionFactory;
use access_smtp::SmtpService;
use base::env::Env;
use base::router::{LocalRouter, Router};
use base::{Deadline, Error, Result};
use cluster::{OwnedRouter, SingleNode};
use contract_blob::Blobs;
use contract_control::Control;
use contract_store::{Isolation, Store};
use service_directory::{DirectoryConfig, DirectoryService};
use service_mailbox::MailboxService;
use service_transport::TransportService;
use std::sync::Arc;
use std::time::Duration;
use store_blobs::StoreBlobs;
use store_embedded::EmbeddedStore;

/// How long actors may take to finish when the node stops.
const STOP_TIME: Duration = Duration::from_secs(10);

/// The store's directory below the data directory.
const STORE_DIR: &str = "store";

/// The running services of a node.
pub(super) struct Services {
    pub(super) store: Arc<EmbeddedStore>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) directory: Arc<DirectoryService>,
    pub(super) mailboxes: Arc<MailboxService>,
    pub(super) transport: Arc<TransportService>,
}

impl Services {
    pub(super) async fn start(config: &NodeConfig, env: &Env) -> Result<Self> {
        let embedded = open_store(config, env).await?;
        let store: Arc<dyn Store> = embedded.clone();
        let control = SingleNode::start(store.clone(), env).await?;
        let control: Arc<dyn Control> = control;
        let local = Arc::new(LocalRouter::new(false));
        let router: Arc<dyn Router> = Arc::new(OwnedRouter::new(control.clone(), local.clone()));
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
        let mailbox_config = service_mailbox::Config::default();
        #[cfg(feature = "mutants")]
        let mailbox_config =
            config.mutant.map_or(mailbox_config, crate::mutant::Mutant::of_mailboxes);
        let mailboxes = service_mailbox::start(mailbox_config, parts, &local);
        let parts = service_transport::Parts {
            env: env.clone(),
            store,
            blobs: blobs.clone(),
            control,
            directory: directory.clone(),
            mailboxes: mailboxes.clone(),
            router,
        };
        let transport_config = service_transport::Config::new(config.node.host_name.clone());
        let transport = service_transport::start(transport_config, parts, &local).await?;
        Ok(Self { store: embedded, blobs, directory, mailboxes, transport })
    }

    /// Who speaks a protocol with clients.
    pub(super) fn sessions(
        &self,
        config: &NodeConfig,
        env: &Env,
        protocol: Protocol,
    ) -> Arc<dyn SessionFactory> {
        let role = match protocol {
            Protocol::Smtp => access_smtp::Role::Server,
            Protocol::Submission => access_smtp::Role::Submission,
            Protocol::Imap => return self.imap_sessions(env),
        };
        let smtp = access_smtp::Config {
            host_name: config.node.host_name.clone(),
            role,
            tarpit_spares_loopback: config.limits.loopback_exempt,
            submissions_per_minute: config.limits.submissions_per_minute,
            ..access_smtp::Config::default()
        };
        Arc::new(SmtpService::new(
            smtp,
            env.clone(),
            self.directory.clone(),
            self.mailboxes.clone(),
            self.transport.clone(),
            self.blobs.clone(),
        ))
    }

    fn imap_sessions(&self, env: &Env) -> Arc<dyn SessionFactory> {
        Arc::new(ImapService::new(
            access_imap::Config::default(),
            env.clone(),
            self.directory.clone(),
            self.mailboxes.clone(),
            self.blobs.clone(),
        ))
    }

    /// Whether the store answers.
    pub(super) fn store_probe(&self) -> Probe {
        let store = self.store.clone();
        Probe::new("store", move || {
            let store = store.clone();
            async move {
                let tx = store.begin();
                match tx.get(b"\x00health", Isolation::Snapshot).await {
                    Ok(_) if store.stats().disk_full => Err("the disk is full".to_owned()),
                    Ok(_) => Ok(format!("{} commits", store.stats().commits)),
                    Err(error) => Err(error.to_string()),
                }
            }
        })
    }

    /// Stops: queues first, then mailboxes, then the store.
    pub(super) async fn stop(self) -> Result<()> {
        let deadline = Deadline::after(STOP_TIME);
        let queues = self.transport.stop(deadline).await;
        let mailboxes = self.mailboxes.stop(deadline).await;
        let closed = self.store.close().await;
        queues.and(mailboxes)?;
        closed.map_err(|error| Error::unavailable(format!("closing the store: {error}")))
    }
}

async fn open_store(config: &NodeConfig, env: &Env) -> Result<Arc<EmbeddedStore>> {
    match config.store.kind {
        StoreKind::Embedded => {
            let dir = config.node.data.join(STORE_DIR);
            let options = store_embedded::Options::new(dir.clone(), env.clone());
            #[cfg(feature = "mutants")]
            let options = store_embedded::Options {
                mutant: config.mutant.and_then(crate::mutant::Mutant::of_store),
                ..options
            };
            let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open(options));
            let opened = opening.await.map_err(Error::internal)?;
            opened.map_err(|error| {
                Error::new(base::Kind::Unavailable, format!("{}: {error}", dir.display()))
            })
        }
    }
}
