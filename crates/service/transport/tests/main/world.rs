//! A world of one node: a store, blobs, directory, mailboxes, transport. Everything is
//! encoded on its way through the router, as it would be between nodes.

use crate::courier::Outside;
use crate::inspecting::Looker;
use base::env::Env;
use base::env::sim::Simulation;
use base::router::LocalRouter;
use base::universe::Universe;
use base::{AccountId, Address, Deadline, Kind, QueueId, SessionId};
use bytes::Bytes;
use cluster::SingleNode;
use contract_blob::{Blobs, Content};
use contract_control::Control;
use contract_directory::{
    AccountKind, Actor, Directory, DirectoryAdmin, Domain, DomainKind, NewAccount, NewGroup, Quota,
    Role,
};
use contract_mailbox::{MailboxHandle, Principal, SpecialUse};
use contract_store::{Isolation, KeyRange, RangeRead, Store};
use contract_transport::connector::{
    AddressSpace, CONNECTIONS_PER_HOP, Route, SendConnector, SendConnectors,
};
use contract_transport::courier::Manner;
use contract_transport::inspection::Inspector;
use contract_transport::{Envelope, QueueAdmin, Recipient, Source, Submission, Transport};
use service_directory::{DirectoryConfig, DirectoryService};
use service_mailbox::MailboxService;
use service_transport::{Config, TransportService};
use std::sync::Arc;
use std::time::Duration;
use store_blobs::StoreBlobs;
use store_memory::MemoryStore;
use store_testing::TestStore;

pub(crate) const DOMAIN: &str = "rialto.test";

pub(crate) struct World {
    pub(crate) simulation: Simulation,
    pub(crate) env: Env,
    memory: Option<MemoryStore>,
    /// What everything runs on.
    pub(crate) dynamic: Arc<dyn Store>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) directory: Arc<DirectoryService>,
    /// Other servers, if the node speaks with any.
    outside: Option<Outside>,
    pub(crate) node: Node,
}

/// What one life of the node runs.
pub(crate) struct Node {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) mailboxes: Arc<MailboxService>,
    pub(crate) transport: Arc<TransportService>,
    /// Who looks into attachments.
    pub(crate) looker: Looker,
    /// What the services are found by; they do not hold it themselves.
    pub(crate) _local: Arc<LocalRouter>,
}

/// Runs a test in a world of its own, in simulated time, with the accounts `alice` and `bob`.
pub(crate) fn run<T, F: Future<Output = T>>(seed: u64, test: impl FnOnce(World) -> F) -> T {
    run_on(store_testing::open, seed, test)
}

/// As [`run`], for a test that needs the simulated store ([`World::memory`]); in runs over other
/// stores it is passed over.
pub(crate) fn run_simulated<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(World) -> F) {
    if store_testing::in_memory() {
        run_on(store_testing::memory, seed, test);
    }
}

fn run_on<T, F: Future<Output = T>>(
    open: impl FnOnce(&Env) -> TestStore,
    seed: u64,
    test: impl FnOnce(World) -> F,
) -> T {
    Universe::simulate(seed, async |simulation| {
        let TestStore { dynamic, memory } = open(&simulation.env());
        let world = World { memory, ..World::over(dynamic, simulation).await };
        world.account("alice", None).await;
        world.account("bob", None).await;
        test(world).await
    })
}

impl World {
    /// A world without accounts over a given store.
    pub(crate) async fn over(dynamic: Arc<dyn Store>, simulation: Simulation) -> Self {
        let env = simulation.env();
        let blobs: Arc<dyn Blobs> =
            Arc::new(StoreBlobs::open(dynamic.clone(), &env).await.unwrap());
        let directory =
            DirectoryService::start(DirectoryConfig::default(), dynamic.clone(), env.clone());
        let domain = Domain { name: DOMAIN.into(), kind: DomainKind::Authoritative, default: true };
        directory.create_domain(&Actor::System, domain).await.unwrap();
        let node = start(&env, &dynamic, &blobs, &directory, None).await;
        Self { simulation, env, memory: None, dynamic, blobs, directory, outside: None, node }
    }

    /// The simulated store, for faults and figures.
    pub(crate) fn memory(&self) -> &MemoryStore {
        self.memory.as_ref().expect("this test is run by run_simulated")
    }

    /// Another life of the node on the same store: everything in memory is gone.
    pub(crate) async fn restart(&mut self) {
        let deadline = Deadline::after(Duration::from_secs(60));
        let _late = self.node.transport.stop(deadline).await;
        let _late = self.node.mailboxes.stop(deadline).await;
        let Self { env, dynamic, blobs, directory, outside, .. } = &*self;
        self.node = start(env, dynamic, blobs, directory, outside.as_ref()).await;
    }

    /// Another life of the node, which speaks with other servers; a connector sends everything to
    /// the mail exchangers.
    pub(crate) async fn relaying(&mut self, outside: &Outside) {
        self.outside = Some(outside.clone());
        self.restart().await;
        let new = connector("out", "*");
        self.node.transport.create_connector(&Actor::System, new).await.unwrap();
    }

    pub(crate) async fn account(&self, name: &str, quota: Option<Quota>) -> AccountId {
        let new = NewAccount {
            address: Address::new(name, DOMAIN),
            display_name: String::new(),
            password: None,
            kind: AccountKind::User,
            quota,
            role: Role::None,
        };
        self.directory.create_account(&Actor::System, new).await.unwrap().id
    }

    pub(crate) async fn group(&self, name: &str, members: &[String]) {
        let new = NewGroup {
            address: Address::new(name, DOMAIN),
            display_name: String::new(),
            members: members.iter().map(|member| address(member)).collect(),
            authenticated_only: false,
        };
        self.directory.create_group(&Actor::System, new).await.unwrap();
    }

    /// A message from `sender` (`""` is the null sender) to all of `recipients`.
    pub(crate) async fn submission(
        &self,
        sender: &str,
        recipients: &[&str],
        text: &str,
    ) -> Submission {
        let message = format!(
            "From: {sender}\r\nTo: {}\r\nSubject: test\r\nMessage-ID: <{text}@test>\r\n\r\n{text}\r\n",
            recipients.join(", ")
        );
        let mut upload = self.blobs.upload();
        upload.write(Bytes::from(message.clone())).await.unwrap();
        let staged = upload.finish().await.unwrap();
        Submission {
            queue: QueueId::new(self.env.clock.now(), self.env.random.u128()),
            envelope: Envelope {
                sender: (!sender.is_empty()).then(|| address(sender)),
                recipients: recipients.iter().map(|to| Recipient::plain(address(to))).collect(),
                authenticated: None,
                envelope_id: None,
                return_headers_only: false,
                require_tls: false,
                source: Source { ip: None, helo: "test".into(), protocol: "ESMTP".into() },
            },
            content: Content::of(&staged),
            parsed: Arc::new(codec_mime::parse(message.as_bytes())),
            staged: vec![staged],
        }
    }

    /// Accepts a message; gives its queue id.
    pub(crate) async fn send(&self, sender: &str, recipients: &[&str], text: &str) -> QueueId {
        let submission = self.submission(sender, recipients, text).await;
        let queue = submission.queue;
        self.node.transport.accept(submission).await.unwrap();
        queue
    }

    /// Checks every row of a mailbox against every other.
    pub(crate) async fn verify(&self, mailbox: AccountId) -> service_mailbox::Report {
        service_mailbox::verify(&self.dynamic, mailbox).await.unwrap()
    }

    /// How many rows there are under a prefix.
    pub(crate) async fn rows(&self, prefix: &[u8]) -> usize {
        let tx = self.dynamic.begin();
        let mut next = Some(RangeRead::all(&KeyRange::prefix(prefix)));
        let mut rows = 0;
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
            next = read.after(&page);
            rows += page.rows.len();
        }
        rows
    }

    /// Makes time go by at once.
    pub(crate) async fn later(&self, how_long: Duration) {
        self.simulation.clock.step_ms(i64::try_from(how_long.as_millis()).unwrap());
    }

    /// A change of somebody's mailbox, and the housekeeping that it brings with it.
    pub(crate) async fn touch(&self, name: &str) {
        let handle = self.handle(name).await;
        handle.subscribe("Anything".into(), true).await.unwrap();
        for _ in 0..10 {
            handle.folders().await.unwrap();
        }
    }

    /// Waits until nothing is queued any more; at most a simulated hour.
    pub(crate) async fn settle(&self) {
        self.settle_to(0).await;
    }

    /// Waits until no more than so many messages are queued; at most a simulated hour.
    pub(crate) async fn settle_to(&self, messages: u64) {
        for _ in 0..3_600 {
            if self.node.transport.count().await.unwrap() <= messages {
                return;
            }
            self.env.clock.sleep(Duration::from_secs(1)).await;
        }
        panic!("still queued: {:?}", self.node.transport.list(None, 10).await);
    }

    pub(crate) async fn handle(&self, name: &str) -> MailboxHandle {
        let account = self.directory.resolve(&address(name)).await.unwrap();
        let contract_directory::Resolved::Account(account) = account else {
            panic!("{name} is no account")
        };
        let session = SessionId(self.env.random.u128());
        let mailboxes = self.node.mailboxes.clone();
        MailboxHandle::new(mailboxes, account.id, Principal::System, session)
    }

    /// The sizes of all messages in somebody's Inbox, in order, in bytes.
    pub(crate) async fn inbox_sizes(&self, name: &str) -> Vec<u64> {
        let handle = self.handle(name).await;
        let inbox = SpecialUse::Inbox.folder_id();
        let view = handle.view(inbox).await.unwrap();
        let uids: Vec<_> = view.entries().map(|entry| entry.uid).collect();
        let metas = handle.meta(inbox, uids).await.unwrap();
        metas.iter().map(|(_, meta)| meta.content.size_bytes()).collect()
    }

    /// The texts of all messages in somebody's Inbox, in order.
    pub(crate) async fn inbox(&self, name: &str) -> Vec<String> {
        let handle = self.handle(name).await;
        let inbox = SpecialUse::Inbox.folder_id();
        let view = handle.view(inbox).await.unwrap();
        let uids: Vec<_> = view.entries().map(|entry| entry.uid).collect();
        let mut texts = Vec::new();
        for chunk in uids.chunks(256) {
            for (_, meta) in handle.meta(inbox, chunk.to_vec()).await.unwrap() {
                let bytes = meta.content.read_all(&self.blobs, 1 << 20).await.unwrap();
                texts.push(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        texts
    }
}

/// A connector to the mail exchangers of some domains.
pub(crate) fn connector(name: &str, pattern: &str) -> SendConnector {
    SendConnector {
        name: name.into(),
        enabled: true,
        spaces: vec![AddressSpace { pattern: pattern.into(), cost: 1 }],
        route: Route::MailExchangers,
        manner: Manner::default(),
        size_bytes_max: None,
        connections_max: CONNECTIONS_PER_HOP,
    }
}

/// `name` or `name@domain` as an address; the domain is ours by default.
pub(crate) fn address(text: &str) -> Address {
    match text.contains('@') {
        true => Address::parse_plain(text).unwrap(),
        false => Address::new(text, DOMAIN),
    }
}

/// Starts until it succeeds, as whatever starts nodes does: the commit of a start may fail, too.
async fn control(env: &Env, store: &Arc<dyn Store>) -> Arc<SingleNode> {
    let mut failures = 0;
    loop {
        match SingleNode::start(store.clone(), env).await {
            Ok(control) => return control,
            Err(error) => {
                failures += 1;
                assert!(error.kind == Kind::Unavailable && failures < 10, "{error:?}");
            }
        }
    }
}

async fn start(
    env: &Env,
    store: &Arc<dyn Store>,
    blobs: &Arc<dyn Blobs>,
    directory: &Arc<DirectoryService>,
    outside: Option<&Outside>,
) -> Node {
    let control: Arc<dyn Control> = control(env, store).await;
    let local = Arc::new(LocalRouter::new(true));
    let router = local.for_hosts();
    let parts = service_mailbox::Parts {
        env: env.clone(),
        store: store.clone(),
        blobs: blobs.clone(),
        control: control.clone(),
        directory: directory.clone(),
        router: router.clone(),
    };
    let mailboxes = service_mailbox::start(service_mailbox::Config::default(), parts, &local);
    let parts = service_transport::Parts {
        env: env.clone(),
        store: store.clone(),
        blobs: blobs.clone(),
        control: control.clone(),
        directory: directory.clone(),
        mailboxes: mailboxes.clone(),
        router,
    };
    let looker = Looker::default();
    let inspector = Some(Arc::new(looker.clone()) as Arc<dyn Inspector>);
    let config = Config { inspector, ..Config::new("node.rialto.test") };
    let transport = match outside {
        Some(outside) => {
            let courier = Arc::new(outside.clone());
            let signatures = Arc::new(service_sender_auth::Dkim);
            service_transport::start_signing(config, parts, courier, signatures, &local)
                .await
                .unwrap()
        }
        None => service_transport::start(config, parts, &local).await.unwrap(),
    };
    Node { control, mailboxes, transport, looker, _local: local }
}
