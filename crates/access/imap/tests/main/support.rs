//! A world of one node: everything real but the disk, the network and the time. Every message to a
//! mailbox is encoded on its way, as it would be between nodes.

use crate::client::Client;
use access_imap::{Config, ImapService};
use access_listener::{CancellationToken, Connection, SessionFactory, TlsSettings};
use async_trait::async_trait;
use base::env::Env;
use base::env::sim::{SimClock, test_seed};
use base::router::{LocalRouter, Router};
use base::universe::Universe;
use base::{AccountId, Address, Change, CommandId, Error, SessionId, Uid};
use bytes::Bytes;
use cluster::SingleNode;
use contract_blob::{
    BlobId, Blobs, ByteStream, Collected, Content, Holder, LEASE_MS, Staged, Upload,
};
use contract_control::Control;
use contract_directory::{
    AccountChange, AccountKind, Actor, Directory, DirectoryAdmin, Domain, DomainKind, NewAccount,
    Resolved, Role, Secret,
};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::{
    MailboxHandle, Mailboxes, NewMessage, Principal, Read, ReadReply, SpecialUse, Write, WriteReply,
};
use contract_store::{BodyError, Isolation, KeyRange, RangeRead, Store, Transaction};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use service_directory::{DirectoryConfig, DirectoryService, HashParameters};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
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
    /// For tests that set it.
    clock: Option<SimClock>,
    pub(crate) store: MemoryStore,
    /// How the way to the mailboxes is bad.
    pub(crate) trouble: Arc<Trouble>,
    /// Bytes that sessions have read from the blob store.
    pub(crate) read_bytes: Arc<AtomicU64>,
    pub(crate) directory: Arc<DirectoryService>,
    mailboxes: Arc<dyn Mailboxes>,
    blobs: Arc<dyn Blobs>,
    pub(crate) service: Arc<ImapService>,
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
        test(Arc::new(World { clock: Some(simulation.clock.clone()), ..world })).await
    });
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
        let read_bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::new(Counted { blobs: blobs.clone(), read_bytes: read_bytes.clone() });
        let trouble = Arc::new(Trouble::default());
        let troubled =
            Arc::new(Troubled { mailboxes: mailboxes.clone(), trouble: trouble.clone() });
        let service = ImapService::new(config, env.clone(), directory.clone(), troubled, counted);
        let shutdown = CancellationToken::new();
        Self {
            env,
            clock: None,
            store,
            trouble,
            read_bytes,
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

    /// How many rows the blob store has.
    pub(crate) async fn blob_rows(&self) -> usize {
        let mut rows = 0;
        // Chunks, leases, and what is to be looked at or removed.
        for prefix in [b"BD", b"BL", b"BC", b"BX"] {
            rows += self.rows_of(prefix).await.len();
        }
        rows
    }

    /// The keys that begin so.
    pub(crate) async fn rows_of(&self, prefix: &[u8]) -> BTreeSet<Bytes> {
        let tx = self.store.begin();
        let mut keys = BTreeSet::new();
        let mut next = Some(RangeRead::all(&KeyRange::prefix(prefix)));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
            next = read.after(&page);
            keys.extend(page.rows.into_iter().map(|row| row.key));
        }
        keys
    }

    /// Damages the chunks that have come since.
    pub(crate) async fn damage(&self, before: &BTreeSet<Bytes>) {
        let tx = self.store.begin();
        let now = self.rows_of(b"BD").await;
        assert!(now.len() > before.len());
        now.difference(before).for_each(|key| tx.set(key, b"\x01damaged"));
        tx.commit().await.unwrap();
    }

    /// Removes what nobody holds any more, two leases later.
    pub(crate) async fn collect(&self) {
        self.clock.as_ref().unwrap().step_ms(2 * LEASE_MS);
        while self.blobs.collect(1_000).await.unwrap().more {}
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
        let (id, session) = (self.account(user).await, SessionId(self.env.random.u128()));
        let mailbox =
            MailboxHandle::new(self.mailboxes.clone(), id, Principal::Account(id), session);
        let inbox = SpecialUse::Inbox.folder_id();
        mailbox.append(inbox, vec![message]).await.unwrap();
    }

    /// Gives Full Access to a mailbox to these accounts, and to nobody else.
    pub(crate) async fn full_access(&self, owner: &str, guests: &[&str]) {
        let mut full_access = Vec::new();
        for guest in guests {
            full_access.push(self.account(guest).await);
        }
        let (owner, full_access) = (self.account(owner).await, Some(full_access));
        let change = AccountChange { full_access, ..AccountChange::default() };
        self.directory.update_account(&Actor::System, owner, change).await.unwrap();
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

/// What a test makes go wrong between sessions and mailboxes.
#[derive(Default)]
pub(crate) struct Trouble {
    /// Mailboxes cannot be asked: they have no owner.
    pub(crate) no_owner: AtomicBool,
    /// Mailboxes cannot be changed.
    pub(crate) no_writes: AtomicBool,
    /// No wake-up arrives.
    pub(crate) lose_wakeups: AtomicBool,
    /// The structure of the message with this UID is damaged; 0 for none.
    pub(crate) damaged_uid: AtomicU32,
    /// Structures of more messages than this are too large together; 0 for no limit.
    pub(crate) metas_max: AtomicUsize,
    /// Changes of this name wait, and tell that they do.
    gate: watch::Sender<Gate>,
    /// The requests that were made since the test looked last, by name.
    requests: Mutex<Vec<String>>,
}

/// What a gate does to changes of one name.
#[derive(Clone, Copy, Default)]
struct Gate {
    name: &'static str,
    waiting: usize,
}

impl Trouble {
    /// Makes the next changes of this name wait until the gate is opened.
    pub(crate) fn close_gate(&self, name: &'static str) {
        self.gate.send_replace(Gate { name, waiting: 0 });
    }

    /// Waits until somebody waits at the gate.
    pub(crate) async fn somebody_waits(&self) {
        self.gate.subscribe().wait_for(|gate| gate.waiting > 0).await.unwrap();
    }

    /// Lets everybody through.
    pub(crate) fn open_gate(&self) {
        self.gate.send_replace(Gate::default());
    }

    async fn pass(&self, name: String) {
        let closed = |gate: &Gate| !gate.name.is_empty() && name == gate.name;
        if closed(&self.gate.borrow()) {
            self.gate.send_modify(|gate| gate.waiting += 1);
            self.gate.subscribe().wait_for(|gate| !closed(gate)).await.unwrap();
        }
    }

    fn note(&self, request: &dyn Debug) {
        self.requests.lock().push(name(request));
    }

    /// The requests since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock())
    }
}

/// A request's name.
fn name(request: &dyn Debug) -> String {
    let text = format!("{request:?}");
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
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
        if let Read::MetaPage { uids, .. } = &request {
            let max = self.trouble.metas_max.load(Ordering::SeqCst);
            if max > 0 && uids.len() > max {
                return Err(Error::internal("too large to be encoded"));
            }
            if uids.contains(&Uid(self.trouble.damaged_uid.load(Ordering::SeqCst))) {
                return Err(Error::corrupt("a structure"));
            }
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
        if self.trouble.no_writes.load(Ordering::SeqCst) {
            return Err(Error::unavailable("nothing can be changed"));
        }
        self.trouble.pass(name(&request)).await;
        self.mailboxes.write(mailbox, who, command, request).await
    }

    fn watch(&self, mailbox: AccountId) -> watch::Receiver<Change> {
        if self.trouble.lose_wakeups.load(Ordering::SeqCst) {
            return watch::channel(Change(0)).1;
        }
        self.mailboxes.watch(mailbox)
    }

    async fn shared_with(&self, guest: AccountId, limit: usize) -> base::Result<Vec<AccountId>> {
        self.mailboxes.shared_with(guest, limit).await
    }
}

/// Blobs that count what is read of them.
struct Counted {
    blobs: Arc<dyn Blobs>,
    read_bytes: Arc<AtomicU64>,
}

#[async_trait]
impl Blobs for Counted {
    fn upload(&self) -> Box<dyn Upload> {
        self.blobs.upload()
    }

    fn read(&self, id: BlobId, range: Range<u64>) -> ByteStream {
        let read_bytes = self.read_bytes.clone();
        let counted = self.blobs.read(id, range).inspect_ok(move |bytes| {
            read_bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
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
