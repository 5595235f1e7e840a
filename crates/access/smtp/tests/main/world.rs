//! A small installation for one test: directory and blobs over the store in memory, doubles for
//! the rest, and a client.
//!
//! Domain `rialto.test` with alice, bob (who also is `robert@`), the group `team@` for everybody
//! and `staff@` for those who signed in; every password is `rialto-dev`.

use crate::doubles::{Backend, Fault, Taken};
use access_listener::transcript::{Player, Transcript};
use access_listener::{CancellationToken, Connection, SessionFactory, TlsSettings};
use access_smtp::{Config, Role, SmtpService};
use base::env::Env;
use base::env::sim::SimClock;
use base::{Address, Universe};
use contract_blob::{Blobs, LEASE_MS};
use contract_directory::{
    AccountChange, AccountKind, Actor, DirectoryAdmin, Domain, DomainKind, NewAccount, NewContact,
    NewGroup, Secret,
};
use contract_store::{Isolation, KeyRange, RangeRead, Store};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use service_directory::{DirectoryConfig, DirectoryService, HashParameters};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use store_blobs::StoreBlobs;
use store_memory::MemoryStore;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;

pub(crate) const PASSWORD: &str = "rialto-dev";
pub(crate) const HOST: &str = "mail.rialto.test";

pub(crate) struct World {
    pub(crate) env: Env,
    /// For tests that set it.
    clock: Option<SimClock>,
    pub(crate) directory: Arc<DirectoryService>,
    pub(crate) backend: Arc<Backend>,
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    pub(crate) service: SmtpService,
    pub(crate) shutdown: CancellationToken,
    pub(crate) peer: SocketAddr,
    pub(crate) tls: bool,
}

/// A configuration without the tarpit, which only some tests are about.
pub(crate) fn config(role: Role) -> Config {
    Config { host_name: HOST.to_owned(), role, tarpit_ms: 0, ..Config::default() }
}

/// Runs a test in a world of its own, on simulated time.
pub(crate) fn run<F: Future<Output = ()>>(config: Config, test: impl FnOnce(World) -> F) {
    Universe::simulate(base::env::sim::test_seed(), async |simulation| {
        let world = World::new(simulation.env(), config).await;
        test(World { clock: Some(simulation.clock.clone()), ..world }).await;
    });
}

impl World {
    pub(crate) async fn new(env: Env, config: Config) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(env.clock.clone(), &*env.random));
        let cheap = HashParameters { memory_kib: 64, passes: 1, lanes: 1 };
        let settings = DirectoryConfig { hash: cheap, ..DirectoryConfig::default() };
        let directory = DirectoryService::start(settings, store.clone(), env.clone());
        people(&directory).await;
        let blobs = Arc::new(StoreBlobs::open(store.clone(), &env).await.unwrap());
        let backend = Backend::new(store.clone(), blobs.clone());
        let service = SmtpService::new(
            config,
            env.clone(),
            directory.clone(),
            backend.clone(),
            backend.clone(),
            blobs.clone(),
        );
        Self {
            env,
            clock: None,
            directory,
            backend,
            store,
            blobs,
            service,
            shutdown: CancellationToken::new(),
            peer: "192.0.2.7:40000".parse().unwrap(),
            tls: true,
        }
    }

    /// How many rows the blob store has: chunks, leases, and what is to be removed.
    pub(crate) async fn blob_rows(&self) -> usize {
        let tx = self.store.begin();
        let mut rows = 0;
        for prefix in [b"BD", b"BL", b"BC", b"BX"] {
            let mut next = Some(RangeRead::all(&KeyRange::prefix(prefix)));
            while let Some(read) = next {
                let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
                next = read.after(&page);
                rows += page.rows.len();
            }
        }
        rows
    }

    /// Removes what nobody holds any more, two leases later.
    pub(crate) async fn collect(&self) {
        self.clock.as_ref().unwrap().step_ms(2 * LEASE_MS);
        while self.blobs.collect(1_000).await.unwrap().more {}
    }

    /// A connection to a session that is served; the task ends with the session.
    pub(crate) fn connect(&self) -> (DuplexStream, JoinHandle<()>) {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let mut connection = Connection::from_stream(Box::new(server), self.peer)
            .with_shutdown(self.shutdown.clone());
        if self.tls {
            connection = connection.with_tls(certificates().0.clone());
        }
        let service = self.service.clone();
        (client, tokio::spawn(async move { service.serve(connection).await }))
    }

    /// Plays a dialogue; the session must end with it, without a panic.
    pub(crate) async fn play(&self, text: &str) -> Result<(), String> {
        let (client, session) = self.connect();
        let name = ServerName::try_from("mail.rialto.test").unwrap();
        let player = Player::new(Box::new(client))
            .with_tls(certificates().1.clone(), name)
            .with_shutdown(self.shutdown.clone());
        let played = player.play(&Transcript::parse(text)?).await;
        session.await.map_err(|error| format!("the session panicked: {error}"))?;
        played
    }

    /// As [`World::play`], behind the greeting, EHLO and, for submission, alice's sign-in.
    pub(crate) async fn talk(&self, role: Role, text: &str) -> Result<(), String> {
        let start = match role {
            Role::Server => "S: 220 *\nC: EHLO client.example\nS? 250 *\n".to_owned(),
            Role::Submission => format!(
                "S: 220 *\nC: EHLO client.example\nS? 250 *\nC: STARTTLS\nS: 220 *\n! tls\n\
                 C: EHLO client.example\nS? 250 *\nC: AUTH PLAIN {}\nS: 235 *\n",
                plain("alice@rialto.test", PASSWORD)
            ),
        };
        self.play(&(start + text)).await
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.backend.taken.lock().clone()
    }

    /// The only message that was taken, and its text.
    pub(crate) fn only(&self) -> (Taken, String) {
        let taken = self.taken();
        assert_eq!(taken.len(), 1, "one message");
        let text = String::from_utf8_lossy(&taken[0].bytes).into_owned();
        (taken[0].clone(), text)
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.backend.faults.lock().push_back(fault);
    }

    pub(crate) async fn change(&self, local: &str, change: AccountChange) {
        let accounts = self.directory.list_accounts(None, 100).await.unwrap();
        let account = accounts.iter().find(|account| account.address.local == local).unwrap();
        self.directory.update_account(&Actor::System, account.id, change).await.unwrap();
    }
}

/// The response of PLAIN.
pub(crate) fn plain(name: &str, password: &str) -> String {
    codec_smtp::sasl::encode(format!("\0{name}\0{password}").as_bytes())
}

pub(crate) fn address(local: &str) -> Address {
    Address::new(local, "rialto.test")
}

async fn people(directory: &DirectoryService) {
    let system = Actor::System;
    let domain =
        Domain { name: "rialto.test".into(), kind: DomainKind::Authoritative, default: true };
    directory.create_domain(&system, domain).await.unwrap();
    for name in ["partner.example", "waiting.example"] {
        let kind = DomainKind::ExternalRelay;
        let domain = Domain { name: name.into(), kind, default: false };
        directory.create_domain(&system, domain).await.unwrap();
    }
    for local in ["alice", "bob", "postmaster"] {
        let new = NewAccount {
            address: address(local),
            display_name: format!("{}{}", local[..1].to_uppercase(), &local[1..]),
            password: Some(Secret(PASSWORD.into())),
            kind: AccountKind::User,
            quota: None,
            role: contract_directory::Role::None,
        };
        let account = directory.create_account(&system, new).await.unwrap();
        if local == "bob" {
            let change =
                AccountChange { add_aliases: vec![address("robert")], ..Default::default() };
            directory.update_account(&system, account.id, change).await.unwrap();
        }
    }
    let external = Address::new("known", "routed.example");
    for address in [address("supplier"), external.clone()] {
        let (display_name, external) = (String::new(), external.clone());
        let new = NewContact { address, display_name, external };
        directory.create_contact(&system, new).await.unwrap();
    }
    for (local, authenticated_only) in [("team", false), ("staff", true)] {
        let new = NewGroup {
            address: address(local),
            display_name: local.into(),
            members: vec![address("alice"), address("bob")],
            authenticated_only,
        };
        directory.create_group(&system, new).await.unwrap();
    }
}

/// The server's settings and a client that trusts them; made once, keys cost time.
fn certificates() -> &'static (Arc<TlsSettings>, Arc<ClientConfig>) {
    static MADE: OnceLock<(Arc<TlsSettings>, Arc<ClientConfig>)> = OnceLock::new();
    MADE.get_or_init(|| {
        let (root_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut root = CertificateParams::new(Vec::<String>::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut roots = RootCertStore::empty();
        roots.add(root.self_signed(&root_key).unwrap().der().clone()).unwrap();
        let issuer = Issuer::new(root, root_key);
        let leaf = CertificateParams::new(vec![HOST.to_owned()]).unwrap();
        let chain = leaf.signed_by(&key, &issuer).unwrap().pem();
        let server = TlsSettings::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        (server.unwrap(), Arc::new(client))
    })
}
