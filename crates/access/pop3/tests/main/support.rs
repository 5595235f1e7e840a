//! A world of one node: everything real but the disk, the network and the time. Every message to a
//! mailbox is encoded on its way, as it would be between nodes.

use crate::client::Client;
use access_listener::{CancellationToken, Connection, SessionFactory, TlsSettings};
use access_pop3::{Config, Pop3Service};
use async_trait::async_trait;
use base::env::Env;
use base::env::sim::test_seed;
use base::router::{LocalRouter, Router};
use base::universe::Universe;
use base::{AccountId, Address, Change, CommandId, Error, SessionId};
use cluster::SingleNode;
use contract_blob::{BlobId, Blobs, ByteStream, Collected, Content, Holder, Staged, Upload};
use contract_control::Control;
use contract_directory::{
    AccountKind, Actor, Directory, DirectoryAdmin, Domain, DomainKind, NewAccount, Resolved, Role,
    Secret,
};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::{
    IndexEntry, MailboxHandle, Mailboxes, NewMessage, Principal, Read, ReadReply, SpecialUse,
    Write, WriteReply,
};
use contract_store::{BodyError, Store, Transaction};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use service_directory::{DirectoryConfig, DirectoryService, HashParameters};
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use store_blobs::StoreBlobs;
use store_memory::MemoryStore;
use tokio::io::DuplexStream;
use tokio::sync::watch;

/// The password of everybody.
pub(crate) const PASSWORD: &str = "secret";

/// How many bytes a connection takes in before the other side must read.
const PIPE_BYTES: usize = 16 * 1024;

pub(crate) struct World {
    pub(crate) env: Env,
    /// How the way to the mailboxes is bad.
    pub(crate) trouble: Arc<Trouble>,
    /// Bytes that sessions have read from the blob store.
    pub(crate) read_bytes: Arc<AtomicU64>,
    /// From which byte read on the blob store fails; 0 for never.
    pub(crate) fails_from: Arc<AtomicU64>,
    pub(crate) directory: Arc<DirectoryService>,
    mailboxes: Arc<dyn Mailboxes>,
    blobs: Arc<dyn Blobs>,
    service: Arc<Pop3Service>,
    pub(crate) shutdown: CancellationToken,
    tls: Option<Arc<TlsSettings>>,
}

/// Runs a test in a world of its own, in which passwords need no TLS.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce(Arc<World>) -> F) {
    run_with(Config { allow_clear_login: true, ..Config::default() }, test);
}

/// The same with settings of the test's own.
pub(crate) fn run_with<F: Future<Output = ()>>(config: Config, test: impl FnOnce(Arc<World>) -> F) {
    Universe::simulate(test_seed(), async |simulation| {
        let world = World::new(simulation.env(), config, None).await;
        test(Arc::new(world)).await
    });
}

impl World {
    pub(crate) async fn new(env: Env, config: Config, tls: Option<Arc<TlsSettings>>) -> Self {
        let store = MemoryStore::new(env.clock.clone(), &*env.random);
        let dynamic: Arc<dyn Store> = Arc::new(store);
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
        let read_bytes = Arc::new(AtomicU64::new(0));
        let fails_from = Arc::new(AtomicU64::new(0));
        let counted = Arc::new(Counted {
            blobs: blobs.clone(),
            read_bytes: read_bytes.clone(),
            fails_from: fails_from.clone(),
        });
        let trouble = Arc::new(Trouble::default());
        let troubled =
            Arc::new(Troubled { mailboxes: mailboxes.clone(), trouble: trouble.clone() });
        let service = Pop3Service::new(config, env.clone(), directory.clone(), troubled, counted);
        let shutdown = CancellationToken::new();
        Self {
            env,
            trouble,
            read_bytes,
            fails_from,
            directory,
            mailboxes,
            blobs,
            service: Arc::new(service),
            shutdown,
            tls,
        }
    }

    /// A connection that is being served; the client's end.
    pub(crate) fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let peer = "192.0.2.1:40000".parse().unwrap();
        let mut connection =
            Connection::from_stream(Box::new(server), peer).with_shutdown(self.shutdown.clone());
        if let Some(tls) = &self.tls {
            connection = connection.with_tls(tls.clone());
        }
        let service = self.service.clone();
        tokio::spawn(async move { service.serve(connection).await });
        client
    }

    /// Whose account a name is.
    pub(crate) async fn account(&self, user: &str) -> AccountId {
        match self.directory.resolve(&Address::new(user, "rialto.test")).await.unwrap() {
            Resolved::Account(account) => account.id,
            other => panic!("{user}: {other:?}"),
        }
    }

    /// Puts a message into somebody's Inbox, whatever bytes it has.
    pub(crate) async fn file(&self, user: &str, bytes: &[u8]) {
        let mut upload = self.blobs.upload();
        upload.write(bytes.to_vec().into()).await.unwrap();
        let staged = upload.finish().await.unwrap();
        let message = NewMessage {
            content: Content::of(&staged),
            staged: vec![staged],
            parsed: Arc::new(codec_mime::parse(bytes)),
            flags: NamedFlags::default(),
            received: None,
        };
        let inbox = SpecialUse::Inbox.folder_id();
        self.mailbox(user).await.append(inbox, vec![message]).await.unwrap();
    }

    /// Somebody's Inbox, past everything that a test makes go wrong.
    pub(crate) async fn inbox(&self, user: &str) -> Vec<IndexEntry> {
        let view = self.mailbox(user).await.view(SpecialUse::Inbox.folder_id()).await.unwrap();
        view.entries().copied().collect()
    }

    /// Somebody's mailbox, as another client of theirs has it.
    pub(crate) async fn mailbox(&self, user: &str) -> MailboxHandle {
        let (id, session) = (self.account(user).await, SessionId(self.env.random.u128()));
        MailboxHandle::new(self.mailboxes.clone(), id, Principal::Account(id), session)
    }

    /// A client that has signed in.
    pub(crate) async fn sign_in(&self, user: &str) -> Client {
        let mut client = Client::new(self.connect());
        client.ok("").await;
        client.ok(&format!("USER {user}")).await;
        client.ok(&format!("PASS {PASSWORD}")).await;
        client
    }
}

/// What a test makes go wrong between sessions and mailboxes.
#[derive(Default)]
pub(crate) struct Trouble {
    /// Mailboxes cannot be asked: they have no owner.
    pub(crate) no_owner: AtomicBool,
    /// So many changes go well, then none.
    pub(crate) writes_left: Mutex<Option<usize>>,
    /// So many times a change is made, and its answer is lost.
    pub(crate) answers_lost: AtomicUsize,
    /// The requests that were made since the test looked last, by name.
    requests: Mutex<Vec<String>>,
}

impl Trouble {
    fn note(&self, request: &dyn Debug) {
        let text = format!("{request:?}");
        let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
        self.requests.lock().push(text[..end].to_owned());
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock())
    }
}

struct Troubled {
    mailboxes: Arc<dyn Mailboxes>,
    trouble: Arc<Trouble>,
}

#[async_trait]
impl Mailboxes for Troubled {
    async fn read(
        &self,
        mailbox: AccountId,
        who: Principal,
        request: Read,
    ) -> base::Result<ReadReply> {
        self.trouble.note(&request);
        if self.trouble.no_owner.load(Ordering::SeqCst) {
            return Err(Error::unavailable("nobody owns the mailbox"));
        }
        self.mailboxes.read(mailbox, who, request).await
    }

    async fn write(
        &self,
        mailbox: AccountId,
        who: Principal,
        command: CommandId,
        request: Write,
    ) -> base::Result<WriteReply> {
        self.trouble.note(&request);
        if let Some(left) = &mut *self.trouble.writes_left.lock() {
            *left = left.checked_sub(1).ok_or_else(|| Error::unavailable("no more changes"))?;
        }
        let answer = self.mailboxes.write(mailbox, who, command, request).await?;
        let lost = &self.trouble.answers_lost;
        if lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            return Err(Error::unavailable("the owner died"));
        }
        Ok(answer)
    }

    fn watch(&self, mailbox: AccountId) -> watch::Receiver<Change> {
        self.mailboxes.watch(mailbox)
    }
}

/// Blobs that count what is read of them, and fail when told to.
struct Counted {
    blobs: Arc<dyn Blobs>,
    read_bytes: Arc<AtomicU64>,
    fails_from: Arc<AtomicU64>,
}

#[async_trait]
impl Blobs for Counted {
    fn upload(&self) -> Box<dyn Upload> {
        self.blobs.upload()
    }

    fn read(&self, id: BlobId, range: Range<u64>) -> ByteStream {
        let (read_bytes, fails_from) = (self.read_bytes.clone(), self.fails_from.clone());
        let counted = self.blobs.read(id, range).and_then(move |bytes| {
            let before = read_bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
            let from = fails_from.load(Ordering::SeqCst);
            let fails = from > 0 && before + bytes.len() as u64 >= from;
            futures::future::ready(match fails {
                true => Err(Error::unavailable("a chunk")),
                false => Ok(bytes),
            })
        });
        counted.boxed()
    }

    async fn hold(
        &self,
        tx: &dyn Transaction,
        blob: &Staged,
        holder: &Holder,
    ) -> Result<(), BodyError> {
        self.blobs.hold(tx, blob, holder).await
    }

    async fn hold_stored(
        &self,
        tx: &dyn Transaction,
        id: BlobId,
        holder: &Holder,
    ) -> Result<(), BodyError> {
        self.blobs.hold_stored(tx, id, holder).await
    }

    fn release(&self, tx: &dyn Transaction, id: BlobId, holder: &Holder) {
        self.blobs.release(tx, id, holder);
    }

    async fn collect(&self, limit: usize) -> base::Result<Collected> {
        self.blobs.collect(limit).await
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
