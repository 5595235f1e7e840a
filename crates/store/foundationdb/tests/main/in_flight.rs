//! Hundreds of transactions at once.

use crate::world::World;
use base::env::Env;
use contract_store::{AtomicOp, Isolation, KeyRange, RangeRead, Store};
use futures::future::join_all;
use std::sync::Arc;

const TRANSACTIONS: usize = 600;

#[tokio::test]
async fn six_hundred_commits_are_in_flight_at_once() {
    World::whole().run(check_at_once).await;
}

async fn check_at_once(world: Arc<World>) {
    let store = world.store();
    let open: Vec<_> = (0..TRANSACTIONS).map(|_| store.begin()).collect();
    let reads = join_all(open.iter().map(|tx| tx.get(b"shared", Isolation::Snapshot))).await;
    assert!(reads.iter().all(|read| *read == Ok(None)));
    for (number, tx) in open.iter().enumerate() {
        tx.set(format!("own/{number:04}").as_bytes(), b"1");
        tx.atomic(AtomicOp::Add, b"sum", &1_u64.to_le_bytes());
    }
    // On one thread: all are begun before the first answer is looked at.
    let commits = join_all(open.iter().map(|tx| tx.commit())).await;
    assert!(commits.iter().all(Result::is_ok));
    let stats = store.stats();
    assert_eq!(stats.committing_max, TRANSACTIONS as u64, "{stats:?}");
    assert_eq!(stats.transactions_max, TRANSACTIONS as u64, "{stats:?}");
    let sum = store.begin().get(b"sum", Isolation::Serializable).await.unwrap().unwrap();
    assert_eq!(sum, (TRANSACTIONS as u64).to_le_bytes()[..]);
    let own = KeyRange::prefix(b"own/");
    let page = store.begin();
    let page = page.get_range(&RangeRead::all(&own), Isolation::Snapshot).await.unwrap();
    assert_eq!(page.rows.len(), TRANSACTIONS);
}

/// So many clients, each doing one transaction after another.
const CLIENTS: usize = 500;
const PER_CLIENT: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_clients_go_on_and_on() {
    World::whole().run(check_clients).await;
}

/// Half of the transactions read a row and write another, a quarter only read, a quarter append to
/// a range that all of them write to.
async fn check_clients(world: Arc<World>) {
    let clock = Env::real().clock;
    let store = world.store();
    let begun = clock.monotonic();
    let clients: Vec<_> =
        (0..CLIENTS).map(|client| tokio::spawn(work(store.clone(), client))).collect();
    for client in clients {
        client.await.unwrap();
    }
    let took = clock.monotonic() - begun;
    let stats = store.stats();
    let per_second = (CLIENTS * PER_CLIENT) as f64 / took.as_secs_f64();
    println!("{per_second:.0} transactions/s with {CLIENTS} clients in {took:?}: {stats:?}");
    assert!(stats.transactions_max >= 500, "{stats:?}");
    assert_eq!(stats.conflicts + stats.unknown + stats.may_land + stats.failed, 0, "{stats:?}");
    assert_eq!((stats.transactions, stats.committing), (0, 0), "{stats:?}");
    let range = RangeRead::all(&KeyRange::prefix(b"log/"));
    let mut next = Some(range);
    let (tx, mut rows) = (store.begin(), 0);
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
        next = read.after(&page);
        rows += page.rows.len();
    }
    assert_eq!(rows, CLIENTS * PER_CLIENT / 4);
}

async fn work(store: Arc<store_foundationdb::FoundationDb>, client: usize) {
    for number in 0..PER_CLIENT {
        let tx = store.begin();
        let own = format!("own/{client:04}/{number:04}");
        tx.get(own.as_bytes(), Isolation::Serializable).await.unwrap();
        match number % 4 {
            0 | 1 => tx.set(own.as_bytes(), &[b'v'; 200]),
            2 => {}
            _ => tx.set(format!("log/{number:04}/{client:04}").as_bytes(), b""),
        }
        tx.commit().await.unwrap();
    }
}
