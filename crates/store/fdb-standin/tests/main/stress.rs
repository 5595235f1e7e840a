//! Futures and transactions ended at all moments, by many threads, while the server fails.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::api::{Database, Fut, Paging, Transaction};
use fdb_standin::server::{Faults, ServerOptions, spawn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store_memory::parts::Dice;

/// How many callbacks were called.
static CALLED: AtomicUsize = AtomicUsize::new(0);

const PAGING: Paging =
    Paging { limit: 0, target_bytes: 0, mode: -1, iteration: 1, snapshot: false, reverse: false };

fn iterations(default: u64) -> u64 {
    std::env::var("RIALTO_STANDIN_STRESS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// One call at random; many give a future.
fn call(tx: &Transaction, dice: &mut Dice) -> Option<Fut> {
    let key = [b'k', dice.below(20) as u8];
    Some(match dice.below(14) {
        0 | 1 => tx.get(&key, dice.below(2) == 0),
        2 => tx.get_key(&(key.to_vec(), false, 3), false),
        3 => tx.get_range(&(b"k".to_vec(), false, 1), &(b"l".to_vec(), false, 1), PAGING),
        4 => tx.read_version(),
        5 => tx.watch(&key),
        6 => tx.versionstamp(),
        7 => tx.commit(),
        8 => tx.on_error([1020, 1021, 1007, 2000][dice.below(4) as usize]),
        9 => {
            tx.set(&key, &dice.u64().to_le_bytes());
            return None;
        }
        10 => {
            tx.atomic(2, &key, &[1]);
            return None;
        }
        11 => {
            tx.clear_range(&key, &[b'k', key[1].saturating_add(1)]);
            return None;
        }
        12 => {
            tx.reset();
            return None;
        }
        _ => {
            tx.set_option(500, &(dice.below(20) as i64).to_le_bytes()).unwrap();
            return None;
        }
    })
}

/// Works on one transaction, and gives how many callbacks it set.
fn work(database: &Database, dice: &mut Dice) -> usize {
    let tx = database.begin();
    let (mut futures, mut callbacks) = (Vec::new(), 0);
    for _ in 0..dice.below(12) {
        let Some(future) = call(&tx, dice) else { continue };
        if dice.below(2) == 0 {
            future.count_callback(&CALLED);
            callbacks += 1;
        }
        match dice.below(6) {
            0 => future.cancel(),
            1 => drop(future),
            2 => _ = future.wait_at_most(Duration::from_millis(1)),
            _ => futures.push(future),
        }
    }
    if dice.below(3) == 0 {
        tx.cancel();
    }
    if dice.below(2) == 0 {
        drop(tx);
        for future in &futures {
            // A watch does not become ready.
            let _ = future.wait_at_most(Duration::from_millis(2));
        }
    }
    callbacks
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a thread that waits for another one")]
fn everything_may_end_at_any_moment() {
    let faults = Faults {
        conflicts: 0.1,
        unknown: 0.1,
        late: 0.05,
        too_old: 0.05,
        busy: 0.05,
        slow_ranges: 0.3,
        slow_ms: 20,
        late_ms: 20,
        recover_every_s: 0,
    };
    let server = spawn(ServerOptions { faults, ..ServerOptions::default() }).unwrap();
    let database = Database::open(&server.cluster_text());
    let count = iterations(400);
    let set: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|seed| {
                let (database, server) = (&database, &server);
                scope.spawn(move || {
                    let mut dice = Dice::new(seed);
                    let mut set = 0;
                    for number in 0..count {
                        if number % 100 == 99 && seed == 0 {
                            server.die(Duration::from_millis(20));
                        }
                        if number % 100 == 49 && seed == 0 {
                            server.recover(Duration::from_millis(20));
                        }
                        set += work(database, &mut dice);
                    }
                    set
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    // Every callback is called in the end, and once.
    for _ in 0..3_000 {
        if CALLED.load(Ordering::SeqCst) >= set {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(CALLED.load(Ordering::SeqCst), set);
    assert!(set > 100);
    // And all is as before.
    server.settle();
    let tx = database.begin();
    tx.set(b"alive", b"1");
    assert_eq!(tx.commit().wait(), Ok(()));
}

#[test]
fn hundreds_of_transactions_are_in_flight_at_once() {
    let server = spawn(ServerOptions::default()).unwrap();
    let database = Database::open(&server.cluster_text());
    for round in 0..5_u32 {
        let begin = |number: u32| {
            let tx = database.begin();
            let read = tx.get(format!("k{number}").as_bytes(), false);
            tx.set(format!("k{number}").as_bytes(), &round.to_le_bytes());
            let commit = tx.commit();
            (tx, read, commit)
        };
        let all: Vec<_> = (0..800).map(begin).collect();
        let expected = round.checked_sub(1).map(|before| before.to_le_bytes().to_vec());
        for (_, read, commit) in &all {
            assert_eq!(read.value(), Ok(expected.clone()));
            assert_eq!(commit.wait(), Ok(()));
        }
    }
    let stats = server.stats();
    assert_eq!((stats.applied, stats.read_versions), (4_000, 4_000), "no round trip too many");
    assert_eq!(stats.gets, 4_000);
    assert!(stats.groups < 4_000, "many share one group");
}

#[test]
fn counters_are_right_under_contention_and_unknown_commits() {
    let faults = Faults { conflicts: 0.05, unknown: 0.05, ..Faults::default() };
    let server = spawn(ServerOptions { faults, ..ServerOptions::default() }).unwrap();
    let database = Database::open(&server.cluster_text());
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let database = &database;
            scope
                .spawn(move || (0..25).for_each(|n| increment(database, &format!("{worker}/{n}"))));
        }
    });
    let value = database.begin().get(b"counter", false).value().unwrap().unwrap();
    assert_eq!(value, 200_u64.to_le_bytes());
}

/// Adds 1 once, whatever happens: a marker tells whether it was done.
fn increment(database: &Database, marker: &str) {
    let tx = database.begin();
    loop {
        let attempt = || {
            if tx.get(marker.as_bytes(), false).value()?.is_some() {
                return Ok(());
            }
            let value = tx.get(b"counter", false).value()?;
            let value = value.map_or(0, |value| u64::from_le_bytes(value.try_into().unwrap()));
            tx.set(b"counter", &(value + 1).to_le_bytes());
            tx.set(marker.as_bytes(), b"");
            tx.commit().wait()
        };
        match attempt() {
            Ok(()) => return,
            Err(code) => assert_eq!(tx.on_error(code).wait(), Ok(()), "{code}"),
        }
    }
}
