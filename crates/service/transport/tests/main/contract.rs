//! The contract suite over one node, with and without faults in the store.

use crate::world::{self, address};
use async_trait::async_trait;
use base::env::Env;
use base::env::sim::test_seed;
use base::{Deadline, QueueId, Slot, Timestamp};
use contract_blob::Blobs;
use contract_store::Store;
use contract_transport::suite::{self, Ends, World};
use contract_transport::tracking::MessageTracking;
use contract_transport::{QueueAdmin, Transport};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use store_memory::{CommitFault, Faults, MemoryStore};
use tokio::sync::Mutex;

/// The service's test world as the suite sees it.
struct Over {
    env: Env,
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    /// The store where it can be made to fail.
    memory: Option<MemoryStore>,
    world: Mutex<world::World>,
}

#[async_trait]
impl World for Over {
    async fn transport(&self) -> Arc<dyn Transport> {
        self.world.lock().await.node.transport.clone()
    }

    async fn queue(&self) -> Arc<dyn QueueAdmin> {
        self.world.lock().await.node.transport.clone()
    }

    async fn tracking(&self) -> Arc<dyn MessageTracking> {
        self.world.lock().await.node.transport.clone()
    }

    fn blobs(&self) -> Arc<dyn Blobs> {
        self.blobs.clone()
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    async fn slot(&self, queue: QueueId) -> Slot {
        self.world.lock().await.node.control.slot_of_queue(queue)
    }

    async fn group(&self, name: &str, members: &[&str]) {
        let members: Vec<String> = members.iter().map(|one| address(one).to_string()).collect();
        self.world.lock().await.group(name, &members).await;
    }

    async fn inbox(&self, name: &str) -> Vec<String> {
        self.world.lock().await.inbox(name).await
    }

    async fn stop_mailboxes(&self) {
        let deadline = Deadline::after(Duration::from_secs(60));
        self.world.lock().await.node.mailboxes.stop(deadline).await.unwrap();
    }

    async fn restart(&self) {
        self.world.lock().await.restart().await;
    }

    fn silence(&self, is_silent: bool) -> bool {
        let memory = self.memory.as_ref();
        memory.inspect(|memory| memory.set_silent(is_silent)).is_some()
    }

    fn next_commit(&self, ends: Ends) -> bool {
        let Some(memory) = &self.memory else { return false };
        memory.fail_next_commit(match ends {
            Ends::UnknownMade => CommitFault::UnknownApplied,
            Ends::UnknownNotMade => CommitFault::UnknownNotApplied,
            Ends::Late => CommitFault::Late,
        });
        true
    }

    fn land(&self) {
        if let Some(memory) = &self.memory {
            memory.land_late_commits();
        }
    }

    fn now(&self) -> Timestamp {
        self.env.clock.now()
    }

    fn random(&self) -> u128 {
        self.env.random.u128()
    }

    async fn pass(&self, how_long: Duration) {
        self.env.clock.sleep(how_long).await;
    }
}

/// Runs all cases with each seed, and then names those that failed.
fn run(seeds: Range<u64>, faults: Faults) {
    let mut failed = Vec::new();
    for seed in seeds {
        for (name, case) in suite::cases() {
            eprintln!("seed {seed}: {name}");
            let run = || world::run(seed, async |world| case(over(world, faults)).await);
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                failed.push(format!("{name} with seed {seed}"));
            }
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

fn over(world: world::World, faults: Faults) -> Arc<dyn World> {
    let is_memory = store_testing::kind() == store_testing::Kind::Memory;
    let memory = is_memory.then(|| world.memory().clone());
    if let Some(memory) = &memory {
        memory.inject(faults);
    }
    Arc::new(Over {
        env: world.env.clone(),
        store: world.dynamic.clone(),
        blobs: world.blobs.clone(),
        memory,
        world: Mutex::new(world),
    })
}

#[test]
fn the_contract_holds() {
    run(test_seed()..test_seed() + 1, Faults::default());
}

#[test]
fn the_contract_holds_under_conflicts_and_unknown_commits() {
    if store_testing::in_memory() {
        let faults = Faults {
            conflict: 0.05,
            commit_unknown_applied: 0.03,
            commit_unknown_not_applied: 0.03,
            short_pages: 0.1,
            interleave: 0.3,
            ..Faults::default()
        };
        run(test_seed()..test_seed() + 2, faults);
    }
}
