//! The contract suite of [`Control`] over [`ClusterControl`]: nodes, and lives of the same node,
//! that take slots from each other.

use super::model::{Model, slot};
use crate::fences::{ClusterControl, Fences};
use crate::installation::Installation;
use crate::raft::Applied;
use async_trait::async_trait;
use base::env::Env;
use base::env::sim::test_seed;
use base::{BootId, NodeId, Slot, Universe};
use contract_control::Control;
use contract_control::suite::{self, Ends, Weather, World};
use contract_store::Store;
use parking_lot::Mutex;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use store_memory::{CommitFault, Faults, MemoryStore};
use tokio::sync::watch;

/// So many nodes take turns; the next life of one takes over from the others.
const NODES: u64 = 3;

struct Nodes {
    store: MemoryStore,
    faults: Faults,
    installation: Installation,
    history: Mutex<History>,
}

struct History {
    model: Model,
    lives: u64,
    /// What each life has heard from Raft; a loser hears no more.
    raft: Vec<watch::Sender<Applied>>,
}

impl Nodes {
    fn new(env: &Env, store: MemoryStore, faults: Faults) -> Self {
        let history = History { model: Model::new(NODES), lives: 0, raft: Vec::new() };
        let installation = Installation::draw(&*env.random);
        Self { store, faults, installation, history: Mutex::new(history) }
    }

    /// A life for which Raft has all slots.
    fn next_life(&self) -> (Arc<Fences>, watch::Receiver<Applied>) {
        let mut history = self.history.lock();
        history.lives += 1;
        let (node, boot) =
            (NodeId(1 + history.lives % NODES), BootId(2000 + u128::from(history.lives)));
        history.model.nodes.insert(node, (boot, true));
        for slot in self.slots() {
            history.model.give(slot, node);
        }
        let (raft, applied) = watch::channel(history.model.applied());
        history.raft.push(raft);
        (Fences::new(self.store(), node, boot), applied)
    }
}

#[async_trait]
impl World for Nodes {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn slots(&self) -> Vec<Slot> {
        [3, 7, 2048, 4095].map(slot).to_vec()
    }

    async fn first(&self) -> Arc<dyn Control> {
        self.take_over().await
    }

    async fn take_over(&self) -> Arc<dyn Control> {
        let (fences, applied) = self.next_life();
        tokio::spawn(fences.clone().keep_following(applied.clone(), |_| {}));
        while self.slots().into_iter().any(|slot| fences.holds(slot).is_none()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ClusterControl::new(fences, applied, self.installation.clone())
    }

    fn weather(&self, weather: Weather) {
        let busy = Faults { busy: 1.0, ..Faults::default() };
        self.store.set_silent(weather == Weather::Silent);
        self.store.inject(if weather == Weather::Busy { busy } else { self.faults });
    }

    fn next_commit(&self, ends: Ends) -> bool {
        self.store.fail_next_commit(match ends {
            Ends::UnknownMade => CommitFault::UnknownApplied,
            Ends::UnknownNotMade => CommitFault::UnknownNotApplied,
            Ends::Late => CommitFault::Late,
        });
        true
    }

    fn land(&self) {
        self.store.land_late_commits();
    }

    fn reads(&self) -> Option<u64> {
        Some(self.store.stats().point_reads)
    }
}

/// Runs all cases with each seed, and then names those that failed.
fn run(seeds: Range<u64>, faults: Faults) {
    let mut failed = Vec::new();
    for seed in seeds {
        for (name, case) in suite::cases() {
            eprintln!("seed {seed}: {name}");
            let run = || {
                Universe::run(seed, async |env| {
                    let store = MemoryStore::new(env.clock.clone(), &*env.random);
                    store.inject(faults);
                    case(Arc::new(Nodes::new(&env, store, faults))).await;
                });
            };
            if catch_unwind(AssertUnwindSafe(run)).is_err() {
                failed.push(format!("{name} with seed {seed}"));
            }
        }
    }
    assert!(failed.is_empty(), "failed: {failed:#?}");
}

#[test]
fn the_contract_holds() {
    run(0..1, Faults::default());
}

#[test]
fn the_contract_holds_under_conflicts_unknown_commits_and_interleaved_reads() {
    let faults = Faults {
        conflict: 0.1,
        commit_unknown_applied: 0.1,
        commit_unknown_not_applied: 0.1,
        busy: 0.02,
        too_old: 0.02,
        short_pages: 0.02,
        interleave: 0.3,
        ..Faults::default()
    };
    run(test_seed()..test_seed() + 2, faults);
}
