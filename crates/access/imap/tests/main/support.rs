//! A world of one node: everything real but the disk, the network and the time. Every message to a
//! mailbox is encoded on its way, as it would be between nodes.

use crate::client::Client;
use access_imap::{Config, ImapService};
use access_listener::{CancellationToken, Connection, SessionFactory, TlsSettings};
use base::Address;
use base::env::Env;
use base::env::sim::test_seed;
use base::router::{LocalRouter, Router};
use base::universe::Universe;
use cluster::SingleNode;
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::{
    AccountKind, Actor, Directory, DirectoryAdmin, Domain, DomainKind, NewAccount, Role, Secret,
};
use contract_store::Store;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use service_directory::{DirectoryConfig, DirectoryService, HashParameters};
use std::sync::Arc;
use store_blobs::StoreBlobs;
use store_memory::MemoryStore;
use tokio::io::DuplexStream;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "secret";

/// How many bytes a connection takes in before the other side must read.
const PIPE_BYTES: usize = 16 * 1024;

pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) store: MemoryStore,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) directory: Arc<DirectoryService>,
    pub(crate) service: Arc<ImapService>,
    pub(crate) shutdown: CancellationToken,
    tls: Option<Arc<TlsSettings>>,
}

/// Runs a test in a world of its own, in which passwords need no TLS.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce(Arc<World>) -> F) {
    run_with(Config { allow_clear_login: true, ..Config::default() }, test);
}

/// The same with settings of the test's own.
pub(crate) fn run_with<F: Future<Output = ()>>(
    config: Config,
    test: impl FnOnce(Arc<World>) -> F,
) {
    Universe::run(test_seed(), async |env| test(Arc::new(World::new(env, config, None).await)).await);
}

impl World {
    pub(crate) async fn new(env: Env, config: Config, tls: Option<Arc<TlsSettings>>) -> Self {
        let store = MemoryStore::new(env.clock.clone(), &*env.random);
        let dynamic: Arc<dyn Store> = Arc::new(store.clone());
        let blobs: Arc<dyn Blobs> =
            Arc::new(StoreBlobs::open(dynamic.clone(), &env).await.unwrap());
        let directory = directory(&env, &dynamic).await;
        let control: Arc<dyn Control> = SingleNode::start(dynamic.clone(), &env).await.unwrap();
        let router = Arc::new(LocalRouter::new(true));
        let parts = service_mailbox::Parts {
            env: env.clone(),
            store: dynamic,
            blobs: blobs.clone(),
            control,
            directory: directory.clone() as Arc<dyn Directory>,
            router: router.clone() as Arc<dyn Router>,
        };
        let mailboxes = service_mailbox::start(service_mailbox::Config::default(), parts, &router);
        let service = ImapService::new(
            config,
            env.clone(),
            directory.clone(),
            mailboxes,
            blobs.clone(),
        );
        let shutdown = CancellationToken::new();
        Self { env, store, blobs, directory, service: Arc::new(service), shutdown, tls }
    }

    /// A connection that is being served; the client's end.
    pub(crate) fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let peer = "192.0.2.1:40000".parse().unwrap();
        let mut connection = Connection::from_stream(Box::new(server), peer)
            .with_shutdown(self.shutdown.clone());
        if let Some(tls) = &self.tls {
            connection = connection.with_tls(tls.clone());
        }
        let service = self.service.clone();
        tokio::spawn(async move { service.serve(connection).await });
        client
    }

    /// A client that has signed in.
    pub(crate) async fn sign_in(&self, user: &str) -> Client {
        let mut client = Client::new(self.connect());
        client.line().await.unwrap();
        client.ok(&format!("LOGIN {user} {PASSWORD}")).await;
        client
    }

    /// A client that has signed in and selected a mailbox.
    pub(crate) async fn select(&self, user: &str, mailbox: &str) -> Client {
        let mut client = self.sign_in(user).await;
        client.ok(&format!("SELECT {mailbox}")).await;
        client
    }
}

async fn directory(env: &Env, store: &Arc<dyn Store>) -> Arc<DirectoryService> {
    // What hashes cost is not what these tests are about.
    let hash = HashParameters { memory_kib: 64, passes: 1, lanes: 1 };
    let config = DirectoryConfig { hash, ..DirectoryConfig::default() };
    let directory = DirectoryService::start(config, store.clone(), env.clone());
    let domain =
        Domain { name: "rialto.test".into(), kind: DomainKind::Authoritative, default: true };
    directory.create_domain(&Actor::System, domain).await.unwrap();
    for name in ["alice", "bob"] {
        let new = NewAccount {
            address: Address::new(name, "rialto.test"),
            display_name: String::new(),
            password: Some(Secret(PASSWORD.into())),
            kind: AccountKind::User,
            quota: None,
            role: Role::None,
        };
        directory.create_account(&Actor::System, new).await.unwrap();
    }
    directory
}

/// Certificates: what the server shows and what the client trusts.
pub(crate) fn certificates() -> (Arc<TlsSettings>, Arc<ClientConfig>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().pem();
    let settings = TlsSettings::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes());
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (settings.unwrap(), Arc::new(client))
}
