//! The contract suite, with and without faults in the store.

use crate::node_over;
use async_trait::async_trait;
use base::env::Env;
use base::universe::Universe;
use contract_directory::suite::{self, Node, World};
use contract_store::Store;
use std::sync::Arc;
use std::time::Duration;
use store_memory::Faults;
use store_testing::{in_memory, memory, open};

struct Over {
    env: Env,
    store: Arc<dyn Store>,
}

#[async_trait]
impl World for Over {
    async fn node(&self) -> Node {
        let service = node_over(&self.env, self.store.clone());
        Node { directory: service.clone(), admin: service }
    }

    async fn pass(&self, how_long: Duration) {
        self.env.clock.sleep(how_long).await;
    }
}

fn run(seeds: std::ops::Range<u64>, open: impl Fn(&Env) -> Arc<dyn Store>) {
    for seed in seeds {
        for (name, case) in suite::cases() {
            eprintln!("seed {seed}: {name}");
            Universe::run(seed, async |env| {
                let store = open(&env);
                case(Arc::new(Over { env, store })).await;
            });
        }
    }
}

fn run_with(seeds: std::ops::Range<u64>, faults: Faults) {
    if !in_memory() {
        return;
    }
    run(seeds, |env| {
        let store = memory(env);
        store.memory().inject(faults);
        store.dynamic
    });
}

#[test]
fn the_contract_holds() {
    run(0..1, |env| open(env).dynamic);
}

#[test]
fn the_contract_holds_under_conflicts_and_unknown_commits() {
    let faults = Faults {
        conflict: 0.1,
        commit_unknown_applied: 0.1,
        commit_unknown_not_applied: 0.1,
        interleave: 0.3,
        short_pages: 0.3,
        ..Faults::default()
    };
    run_with(0..4, faults);
}

#[test]
fn the_contract_holds_while_the_store_is_busy() {
    // Per read, and the largest transaction here makes 500: about one in three goes through.
    let faults = Faults { too_old: 0.001, busy: 0.001, interleave: 0.3, ..Faults::default() };
    run_with(0..2, faults);
}
