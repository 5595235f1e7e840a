//! Messages that expire while their recipients cannot be resolved or their bytes cannot be read:
//! the sender is told of every recipient, once; and a long downtime alone lets nothing expire.

use crate::world::{World, address, run_simulated};
use async_trait::async_trait;
use base::router::LocalRouter;
use base::{AccountId, Address, Deadline, Error, Kind, Result};
use contract_directory::{
    Account, Admission, Directory, Domain, Expansion, GroupId, LoginAttempt, Resolved,
};
use contract_store::{Isolation, KeyRange, RangeRead, Store};
use contract_transport::{QueueAdmin, RecipientState};
use service_directory::DirectoryService;
use service_transport::Config;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use store_blobs::StoreBlobs;
use tokio::sync::watch;

const HOUR: Duration = Duration::from_secs(3600);

/// A directory that answers of everybody but `alice` too late, while it is told to.
struct Slow {
    directory: Arc<DirectoryService>,
    is_slow: AtomicBool,
}

#[async_trait]
impl Directory for Slow {
    async fn resolve(&self, wanted: &Address) -> Result<Resolved> {
        if self.is_slow.load(Ordering::Relaxed) && *wanted != address("alice") {
            return Err(Error::new(Kind::Timeout, "The directory was too slow"));
        }
        self.directory.resolve(wanted).await
    }

    async fn account(&self, id: AccountId) -> Result<Arc<Account>> {
        self.directory.account(id).await
    }

    fn watch(&self, account: AccountId) -> watch::Receiver<()> {
        self.directory.watch(account)
    }

    async fn authenticate(&self, attempt: &LoginAttempt) -> Result<Arc<Account>> {
        self.directory.authenticate(attempt).await
    }

    async fn may_send_as(&self, account: &Account, from: &Address) -> Result<bool> {
        self.directory.may_send_as(account, from).await
    }

    async fn domains(&self) -> Result<Vec<Arc<Domain>>> {
        self.directory.domains().await
    }

    async fn expand_admitted(
        &self,
        group: GroupId,
        cursor: u64,
        limit: usize,
        admission: &dyn Admission,
    ) -> Result<Expansion> {
        self.directory.expand_admitted(group, cursor, limit, admission).await
    }
}

/// Another life of the node whose transport asks a slow directory.
async fn restart_slow(world: &mut World) -> Arc<Slow> {
    world.restart().await;
    let _late = world.node.transport.stop(Deadline::after(Duration::from_secs(60))).await;
    let store: Arc<dyn Store> = Arc::new(world.memory().clone());
    let is_slow = AtomicBool::new(true);
    let directory = Arc::new(Slow { directory: world.directory.clone(), is_slow });
    let local = Arc::new(LocalRouter::new(true));
    let parts = service_transport::Parts {
        env: world.env.clone(),
        // Nothing is remembered of blobs either.
        blobs: Arc::new(StoreBlobs::open(store.clone(), &world.env).await.unwrap()),
        store,
        control: world.node.control.clone(),
        directory: directory.clone(),
        mailboxes: world.node.mailboxes.clone(),
        router: local.clone(),
    };
    let config = Config::new("node.rialto.test");
    world.node.transport = service_transport::start(config, parts, &local).await.unwrap();
    directory
}

/// A message from alice to bob and carol, after three days without a node. `begun`: both had been
/// resolved before, and wait.
async fn three_days_old(world: &mut World, begun: bool) -> Arc<Slow> {
    world.account("carol", None).await;
    world.node.mailboxes.stop(Deadline::after(Duration::from_secs(5))).await.unwrap();
    if !begun {
        restart_slow(world).await;
    }
    world.send("alice", &["bob", "carol"], "old").await;
    world.env.clock.sleep(Duration::from_secs(3)).await;
    let before = attempts(world).await;
    assert!(before.len() == 2 && before.iter().all(|attempts| *attempts >= 1), "{before:?}");
    let deadline = Deadline::after(Duration::from_secs(60));
    let _late = world.node.transport.stop(deadline).await;
    world.later(72 * HOUR).await;
    restart_slow(world).await
}

/// How often each recipient of the one queued message has been tried.
async fn attempts(world: &World) -> Vec<u32> {
    let listed = world.node.transport.list(None, 10).await.unwrap();
    let attempts = |state: &RecipientState| match state {
        RecipientState::Waiting { attempts, .. } => *attempts,
        other => panic!("{other:?}"),
    };
    listed[0].recipients.iter().map(|(_, state)| attempts(state)).collect()
}

/// The reports of failures in alice's Inbox; those of delays are not asked for.
async fn failures(world: &World) -> Vec<String> {
    let mut told = world.inbox("alice").await;
    told.retain(|report| report.contains("Action: failed"));
    told
}

/// One report of failures has come, which says of both that the message has expired.
async fn is_told_once(world: &World) {
    world.settle().await;
    world.env.clock.sleep(HOUR).await;
    let told = failures(world).await;
    assert_eq!(told.len(), 1, "{told:?}");
    for name in ["bob", "carol"] {
        let line = format!("Final-Recipient: rfc822; {name}@rialto.test");
        assert_eq!(told[0].matches(&line).count(), 1, "{}", told[0]);
        assert!(world.inbox(name).await.is_empty(), "{name}");
    }
    assert_eq!(told[0].matches("Status: 4.4.7").count(), 2, "{}", told[0]);
}

/// Half an hour after the downtime the message is still there, and nobody has been told of its end.
async fn is_tried_for_a_while(world: &World) {
    world.env.clock.sleep(HOUR / 2).await;
    assert_eq!(world.node.transport.count().await.unwrap(), 1);
    assert!(failures(world).await.is_empty());
}

#[test]
fn who_cannot_be_resolved_until_the_end_is_named() {
    for begun in [false, true] {
        run_simulated(71, async |mut world| {
            let _slow = three_days_old(&mut world, begun).await;
            is_tried_for_a_while(&world).await;
            is_told_once(&world).await;
        });
    }
}

#[test]
fn after_a_downtime_there_is_time_to_come_back() {
    for begun in [false, true] {
        run_simulated(72, async |mut world| {
            let slow = three_days_old(&mut world, begun).await;
            is_tried_for_a_while(&world).await;
            slow.is_slow.store(false, Ordering::Relaxed);
            world.settle().await;
            world.env.clock.sleep(HOUR).await;
            assert!(failures(&world).await.is_empty());
            for name in ["bob", "carol"] {
                assert_eq!(world.inbox(name).await.len(), 1, "{name}");
            }
        });
    }
}

#[test]
fn a_message_that_cannot_be_read_until_the_end_is_reported() {
    for begun in [false, true] {
        run_simulated(73, async |mut world| {
            let slow = three_days_old(&mut world, begun).await;
            damage_blobs(&world).await;
            slow.is_slow.store(false, Ordering::Relaxed);
            is_tried_for_a_while(&world).await;
            // On the schedule, not every second.
            let tried = attempts(&world).await;
            assert!(tried.iter().all(|attempts| (2..ATTEMPTS_MAX).contains(attempts)), "{tried:?}");
            is_told_once(&world).await;
        });
    }
}

/// More than a recipient is tried in half an hour.
const ATTEMPTS_MAX: u32 = 15;

/// Damages every stored chunk of every blob.
async fn damage_blobs(world: &World) {
    let tx = world.memory().begin();
    let chunks = RangeRead::all(&KeyRange::prefix(b"BD"));
    let page = tx.get_range(&chunks, Isolation::Snapshot).await.unwrap();
    assert!(!page.rows.is_empty());
    page.rows.iter().for_each(|row| tx.set(&row.key, b"damaged"));
    tx.commit().await.unwrap();
}
