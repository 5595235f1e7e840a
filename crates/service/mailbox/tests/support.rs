//! A world of one node: a store, blobs, directory, mailboxes. Everything is encoded on its way
//! through the router, as it would be between nodes.
//!
//! The store is the one that `RIALTO_TEST_STORE` names (`store_testing`), by default the one in
//! memory. All tests see it as the contract does, but for those that make it fail or count what it
//! does ([`World::memory`]): these begin with [`in_memory`] and are passed over with any other
//! store.

use base::env::Env;
use base::router::LocalRouter;
use base::universe::Universe;
use base::{AccountId, Address, SessionId};
use bytes::Bytes;
use cluster::SingleNode;
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::{
    AccountChange, AccountKind, Actor, Directory, DirectoryAdmin, Domain, DomainKind, NewAccount,
    Role,
};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::{Content, MailboxHandle, Mailboxes, NewMessage, Principal, Staged};
use contract_store::Store;
use parking_lot::Mutex;
use service_directory::{DirectoryConfig, DirectoryService};
use service_mailbox::{Config, MailboxService, Parts};
use std::sync::Arc;
use store_blobs::StoreBlobs;
use store_memory::{Faults, MemoryStore};
use store_testing::TestStore;
pub(crate) use store_testing::in_memory;

/// The domain of every account.
pub(crate) const DOMAIN: &str = "rialto.test";

/// One node over one store. [`World::node`] starts another on the same store, which takes over.
pub(crate) struct World {
    pub(crate) env: Env,
    pub(crate) store: Arc<dyn Store>,
    /// The same, where it is the one in memory.
    memory: Option<MemoryStore>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) directory: Arc<DirectoryService>,
    pub(crate) config: Config,
    pub(crate) node: Node,
    pub(crate) accounts: Mutex<Vec<AccountId>>,
    faults: Mutex<Faults>,
}

/// What serves mailboxes.
pub(crate) struct Node {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) router: Arc<LocalRouter>,
    pub(crate) mailboxes: Arc<MailboxService>,
}

/// Runs a test in a world of its own, in simulated time.
pub(crate) fn run<T, F: Future<Output = T>>(seed: u64, test: impl FnOnce(World) -> F) -> T {
    Universe::run(seed, async |env| test(World::new(env, Config::default()).await).await)
}

/// As [`run`], with mailboxes served in another manner.
pub(crate) fn run_with<T, F: Future<Output = T>>(
    seed: u64,
    config: Config,
    test: impl FnOnce(World) -> F,
) -> T {
    Universe::run(seed, async |env| test(World::new(env, config).await).await)
}

impl World {
    /// A world without accounts and without faults.
    pub(crate) async fn new(env: Env, config: Config) -> Self {
        let TestStore { dynamic, memory } = store_testing::open(&env);
        Self { memory, ..Self::over(env, config, dynamic).await }
    }

    /// A world over a given store.
    pub(crate) async fn over(env: Env, config: Config, store: Arc<dyn Store>) -> Self {
        let blobs: Arc<dyn Blobs> = Arc::new(StoreBlobs::open(store.clone(), &env).await.unwrap());
        let directory =
            DirectoryService::start(DirectoryConfig::default(), store.clone(), env.clone());
        let domain = Domain { name: DOMAIN.into(), kind: DomainKind::Authoritative, default: true };
        directory.create_domain(&Actor::System, domain).await.unwrap();
        let node = start(&env, &store, &blobs, &directory, config).await;
        let (accounts, faults) = (Mutex::default(), Mutex::default());
        Self { env, store, memory: None, blobs, directory, config, node, accounts, faults }
    }

    /// The store in memory, to be made to fail, or asked what it has done; only in tests that
    /// begin with [`in_memory`].
    pub(crate) fn memory(&self) -> &MemoryStore {
        self.memory.as_ref().expect("a test that begins with in_memory")
    }

    /// Starts another node on the same store, which takes over every slot.
    pub(crate) async fn another_node(&self) -> Node {
        start(&self.env, &self.store, &self.blobs, &self.directory, self.config).await
    }

    /// Makes the store fail at random from now on.
    pub(crate) fn inject(&self, faults: Faults) {
        *self.faults.lock() = faults;
        self.memory().inject(faults);
    }

    /// Does something while the store does not fail.
    pub(crate) async fn quietly<T>(&self, what: impl AsyncFnOnce() -> T) -> T {
        let Some(memory) = &self.memory else { return what().await };
        memory.inject(Faults::default());
        let result = what().await;
        memory.inject(*self.faults.lock());
        result
    }

    /// Makes an account; the store does not fail meanwhile.
    pub(crate) async fn account(&self, name: &str) -> AccountId {
        let new = NewAccount {
            address: Address::new(name, DOMAIN),
            display_name: String::new(),
            password: None,
            kind: AccountKind::User,
            quota: None,
            role: Role::None,
        };
        let create = async || self.directory.create_account(&Actor::System, new).await.unwrap();
        let account = self.quietly(create).await;
        self.accounts.lock().push(account.id);
        account.id
    }

    /// Changes an account; the store does not fail meanwhile.
    pub(crate) async fn change_account(&self, account: AccountId, change: AccountChange) {
        let update = async || {
            self.directory.update_account(&Actor::System, account, change).await.unwrap();
        };
        self.quietly(update).await;
    }

    /// A new session of the owner.
    pub(crate) fn handle(&self, account: AccountId) -> MailboxHandle {
        self.handle_as(account, Principal::Account(account))
    }

    /// A new session of anybody.
    pub(crate) fn handle_as(&self, account: AccountId, who: Principal) -> MailboxHandle {
        let session = SessionId(self.env.random.u128());
        MailboxHandle::new(self.mailboxes(), account, who, session)
    }

    /// The node's mailboxes as the contract has them.
    pub(crate) fn mailboxes(&self) -> Arc<dyn Mailboxes> {
        self.node.mailboxes.clone()
    }

    /// Uploads bytes.
    pub(crate) async fn stage(&self, bytes: &[u8]) -> Staged {
        let mut upload = self.blobs.upload();
        for piece in bytes.chunks(50_000) {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        upload.finish().await.unwrap()
    }

    /// A message to be appended.
    pub(crate) async fn message(&self, bytes: &[u8]) -> NewMessage {
        let staged = self.stage(bytes).await;
        NewMessage {
            content: Content::of(&staged),
            staged: vec![staged],
            parsed: Arc::new(codec_mime::parse(bytes)),
            flags: NamedFlags::default(),
            received: None,
        }
    }
}

async fn start(
    env: &Env,
    store: &Arc<dyn Store>,
    blobs: &Arc<dyn Blobs>,
    directory: &Arc<DirectoryService>,
    config: Config,
) -> Node {
    let control: Arc<dyn Control> = SingleNode::start(store.clone(), env).await.unwrap();
    let router = Arc::new(LocalRouter::new(true));
    let parts = Parts {
        env: env.clone(),
        store: store.clone(),
        blobs: blobs.clone(),
        control: control.clone(),
        directory: directory.clone() as Arc<dyn Directory>,
        router: router.for_hosts(),
    };
    let mailboxes = service_mailbox::start(config, parts, &router);
    Node { control, router, mailboxes }
}
