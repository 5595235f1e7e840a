//! Deliveries and mailbox commands over FoundationDB's stand-in, while one commit in twenty is
//! unknown, one in twenty meets a conflict that nobody caused, and one in a hundred lands late.
//!
//! Twenty clients at once, each with a mailbox of its own: they send messages to one another and
//! append, flag, copy, move and expunge in their own mailbox, and send a command again until it is
//! answered. Nothing may be lost, nothing doubled, and in the end the model, the folders' counters
//! and the verifier agree.
//!
//! 2,000 operations; 100,000 with `RIALTO_TIER=full`, or as many as `RIALTO_OPERATIONS` says.

mod client;
mod ledger;

use crate::world::World;
use base::env::sim::test_seed;
use base::universe::Universe;
use client::Client;
use contract_store::Store;
use fdb_standin::server::{Faults, ServerHandle};
use futures::future::join_all;
use ledger::Ledger;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const MAILBOXES: usize = 20;

/// The node is started anew between two parts.
const PARTS: usize = 4;

const FAULTS: Faults = Faults {
    conflicts: 0.05,
    unknown: 0.05,
    late: 0.01,
    too_old: 0.0,
    busy: 0.0,
    slow_ranges: 0.0,
    slow_ms: 0,
    late_ms: 300,
    recover_every_s: 0,
};

/// What all clients see.
struct Scene {
    world: World,
    ledger: Ledger,
    /// The number of the next message.
    number: AtomicU64,
}

impl Scene {
    fn next_number(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }
}

fn operations() -> usize {
    let told = std::env::var("RIALTO_OPERATIONS").ok().and_then(|text| text.parse().ok());
    let full = std::env::var("RIALTO_TIER").is_ok_and(|tier| tier == "full");
    told.unwrap_or(if full { 100_000 } else { 2_000 })
}

#[test]
fn nothing_is_lost_or_doubled_by_unknown_and_late_commits() {
    // It has a store of its own, whatever store is named.
    if store_testing::in_memory() {
        let (store, server) = store_testing::standin(test_seed());
        endure(store, &server, operations());
    }
}

/// Without the rows by which a command that comes again is known, the same test fails: it would
/// notice what it is there to notice.
#[test]
fn a_store_without_answers_of_commands_is_noticed() {
    if !store_testing::in_memory() {
        return;
    }
    let (store, server) = store_testing::standin(test_seed());
    // `A<account>x<session>` and `A<account>d<delivery>`.
    let is_marker =
        |key: &[u8]| key.first() == Some(&b'A') && matches!(key.get(9), Some(b'x' | b'd'));
    let store = store_testing::forgetful(store, is_marker);
    let endured = std::panic::catch_unwind(AssertUnwindSafe(|| endure(store, &server, 800)));
    assert!(endured.is_err(), "nothing was noticed");
}

fn endure(store: Arc<dyn Store>, server: &ServerHandle, operations: usize) {
    let seed = test_seed();
    Universe::simulate(seed, async |simulation| {
        let world = World::over(store, simulation).await;
        let mut clients = Vec::new();
        for index in 0..MAILBOXES {
            let account = world.account(&client::name(index), None).await;
            clients.push(Client::new(index, account, seed));
        }
        let ledger = Ledger::new(MAILBOXES);
        let mut scene = Scene { world, ledger, number: AtomicU64::new(1) };
        server.set_faults(FAULTS);
        for part in 0..PARTS {
            let each = operations.div_ceil(PARTS * MAILBOXES);
            join_all(clients.iter_mut().map(|client| client.work(&scene, each))).await;
            if part + 1 < PARTS {
                scene.world.restart().await;
            }
        }
        let stats = server.stats();
        server.settle();
        scene.world.restart().await;
        scene.world.settle().await;
        let mut messages = 0;
        for client in &mut clients {
            messages += client.end(&scene).await;
        }
        scene.ledger.assert_settled();
        let sum = |count: fn(&Client) -> u64| clients.iter().map(count).sum::<u64>();
        eprintln!(
            "{operations} operations: {} messages made, {messages} there; {} commands sent again, \
             {} submissions settled by asking; {} commits, {} faults, {} unknown, {} landed late, \
             {} conflicts; {} simulated seconds",
            scene.next_number(),
            sum(|client| client.again),
            sum(|client| client.asked),
            stats.commits,
            stats.faults,
            stats.unknown,
            server.stats().late_landed,
            stats.conflicts,
            scene.world.env.clock.monotonic().as_secs(),
        );
        assert!(stats.unknown > operations as u64 / 100, "too few faults to tell: {stats:?}");
    });
}
