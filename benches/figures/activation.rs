//! Activation of a mailbox on its own: the first question to a mailbox whose actor does not run,
//! asked of the services directly, without a protocol around it. The store has just been opened;
//! what the kernel's file cache holds, it holds.

use super::support::{Bench, Contender, Memory, Scratch, message};
use base::env::Env;
use base::router::{LocalRouter, Router};
use base::{AccountId, Address, Deadline, SessionId};
use bytes::Bytes;
use cluster::{OwnedRouter, SingleNode};
use contract_blob::{Blobs, Content};
use contract_control::Control;
use contract_directory::{AccountKind, Directory, NewAccount, Resolved, Role};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::{MailboxHandle, Mailboxes, NewMessage, Principal, SpecialUse, Write};
use contract_store::Store;
use futures::stream::{self, StreamExt};
use service_directory::{Bootstrap, DirectoryConfig, DirectoryService};
use service_mailbox::MailboxService;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store_blobs::StoreBlobs;
use store_embedded::{EmbeddedStore, Options};

const DOMAIN: &str = "rialto.test";

/// Messages in each Inbox.
const MESSAGES: u64 = 10;

pub async fn run(bench: &mut Bench) {
    let count = bench.size(1_000, 10_000) as usize;
    let data = Scratch::new("activation");
    let world = World::open(data.path()).await;
    world.provision(count).await;
    world.close().await;

    let world = World::open(data.path()).await;
    let accounts = world.accounts(count).await;
    let own = Memory(vec![std::process::id()]);
    let before = own.now_kb();
    let mut cold = Vec::with_capacity(count);
    let mut warm = Vec::with_capacity(count);
    for account in &accounts {
        cold.push(world.ask(*account).await);
        warm.push(world.ask(*account).await);
    }
    let memory = own.now_kb().saturating_sub(before) as f64 / count as f64;
    let report = &mut bench.report;
    for (name, times) in [("cold", &mut cold), ("warm", &mut warm)] {
        times.sort_unstable();
        for (percent, at) in [("median", count / 2), ("99 %", count * 99 / 100)] {
            let name = format!("first question to a mailbox, {name}, {percent}");
            report.less(Contender::Rialto, &name, "µs", times[at].as_secs_f64() * 1e6);
        }
    }
    report.less(Contender::Rialto, "memory of an active mailbox", "kB", memory);
    report.note(&format!("{count} mailboxes of {MESSAGES} messages, one after the other"));
    world.close().await;
}

/// The parts that a mailbox needs.
struct World {
    env: Env,
    store: Arc<EmbeddedStore>,
    blobs: Arc<dyn Blobs>,
    directory: Arc<DirectoryService>,
    mailboxes: Arc<MailboxService>,
}

impl World {
    async fn open(data: &Path) -> Self {
        let env = Env::real();
        let embedded = EmbeddedStore::open(Options::new(data, env.clone())).unwrap();
        let store: Arc<dyn Store> = embedded.clone();
        let control: Arc<dyn Control> = SingleNode::start(store.clone(), &env).await.unwrap();
        let local = Arc::new(LocalRouter::new(false));
        let router: Arc<dyn Router> = Arc::new(OwnedRouter::new(control.clone(), local.clone()));
        let blobs: Arc<dyn Blobs> = Arc::new(StoreBlobs::open(store.clone(), &env).await.unwrap());
        let directory =
            DirectoryService::start(DirectoryConfig::default(), store.clone(), env.clone());
        let parts = service_mailbox::Parts {
            env: env.clone(),
            store,
            blobs: blobs.clone(),
            control,
            directory: directory.clone(),
            router,
        };
        let mailboxes = service_mailbox::start(service_mailbox::Config::default(), parts, &local);
        Self { env, store: embedded, blobs, directory, mailboxes }
    }

    /// Makes mailboxes user1 … userN with some messages each.
    async fn provision(&self, count: usize) {
        let accounts = (1..=count).map(|number| NewAccount {
            address: Address::new(format!("user{number}"), DOMAIN),
            display_name: String::new(),
            password: None,
            kind: AccountKind::User,
            quota: None,
            role: Role::None,
        });
        let first = Bootstrap { domain: DOMAIN.into(), accounts: accounts.collect() };
        self.directory.bootstrap(first).await.unwrap();
        stream::iter(self.accounts(count).await)
            .for_each_concurrent(32, |account| self.fill(account))
            .await;
    }

    async fn accounts(&self, count: usize) -> Vec<AccountId> {
        let mut accounts = Vec::with_capacity(count);
        for number in 1..=count {
            let address = Address::new(format!("user{number}"), DOMAIN);
            match self.directory.resolve(&address).await.unwrap() {
                Resolved::Account(account) => accounts.push(account.id),
                _ => panic!("no mailbox user{number}"),
            }
        }
        accounts
    }

    fn mailbox(&self, account: AccountId) -> MailboxHandle {
        let session = SessionId(self.env.random.u128());
        let mailboxes: Arc<dyn Mailboxes> = self.mailboxes.clone();
        MailboxHandle::new(mailboxes, account, Principal::Account(account), session)
    }

    async fn fill(&self, account: AccountId) {
        let mut messages = Vec::new();
        for number in 0..MESSAGES {
            let bytes = message(5_000, number);
            let mut upload = self.blobs.upload();
            upload.write(Bytes::from(bytes.clone())).await.unwrap();
            let staged = upload.finish().await.unwrap();
            messages.push(NewMessage {
                content: Content::of(&staged),
                staged: vec![staged],
                parsed: Arc::new(codec_mime::parse(&bytes)),
                flags: NamedFlags::default(),
                received: None,
            });
        }
        let append = Write::Append { folder: SpecialUse::Inbox.folder_id(), messages };
        self.mailbox(account).write(append).await.unwrap();
    }

    /// What SELECT asks.
    async fn ask(&self, account: AccountId) -> Duration {
        let mailbox = self.mailbox(account);
        let start = Instant::now();
        let view = mailbox.view(SpecialUse::Inbox.folder_id()).await.unwrap();
        let elapsed = start.elapsed();
        assert_eq!(view.info.counts.messages, MESSAGES);
        elapsed
    }

    async fn close(self) {
        self.mailboxes.stop(Deadline::after(Duration::from_secs(10))).await.unwrap();
        self.store.close().await.unwrap();
    }
}
