//! The contract suite over the one-node control, with and without faults in the store.

use crate::slot;
use async_trait::async_trait;
use base::Slot;
use base::env::Env;
use base::env::sim::test_seed;
use base::universe::Universe;
use cluster::SingleNode;
use contract_control::Control;
use contract_control::suite::{self, Ends, Weather, World};
use contract_store::Store;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use store_memory::{CommitFault, Faults, MemoryStore};

/// Lives of one node, each of which takes everything from the one before.
struct Lives {
    env: Env,
    store: MemoryStore,
    faults: Faults,
}

#[async_trait]
impl World for Lives {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn slots(&self) -> Vec<Slot> {
        [3, 7, 2048, 4095].map(slot).to_vec()
    }

    async fn first(&self) -> Arc<dyn Control> {
        self.take_over().await
    }

    /// Until it succeeds, as whatever starts nodes does.
    async fn take_over(&self) -> Arc<dyn Control> {
        for _ in 0..20 {
            if let Ok(node) = SingleNode::start(self.store(), &self.env).await {
                return node;
            }
        }
        panic!("no start succeeds");
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
                    case(Arc::new(Lives { env, store, faults })).await;
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
fn the_contract_holds_while_reads_interleave() {
    let faults = Faults { interleave: 0.7, ..Faults::default() };
    run(test_seed()..test_seed() + 2, faults);
}

#[test]
fn the_contract_holds_under_conflicts_and_unknown_commits() {
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
    run(test_seed()..test_seed() + 4, faults);
}
