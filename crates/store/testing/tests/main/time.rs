//! Simulated time and operations that take real time.

use crate::slow::Slow;
use base::env::Env;
use base::universe::Universe;
use contract_store::{
    Isolation, KeyRange, KeySelector, RangeRead, Store, StoreError, StoreResult, Transaction,
};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use store_testing::{Anchored, BackOff};

fn slow() -> Arc<dyn Store> {
    Arc::new(Anchored::new(Arc::new(Slow::default()), BackOff::OfTheStore, ()))
}

type Operation = for<'a> fn(&'a dyn Transaction) -> BoxFuture<'a, StoreResult<()>>;

const OPERATIONS: [(&str, Operation); 7] = [
    ("get", |tx| Box::pin(async { tx.get(b"a", Isolation::Snapshot).await.map(drop) })),
    ("get_range", |tx| {
        Box::pin(async {
            let read = RangeRead::all(&KeyRange::prefix(b"a"));
            tx.get_range(&read, Isolation::Snapshot).await.map(drop)
        })
    }),
    ("get_key", |tx| {
        Box::pin(async {
            let selector = KeySelector::first_greater_than(&b"a"[..]);
            tx.get_key(&selector, Isolation::Snapshot).await.map(drop)
        })
    }),
    ("read_version", |tx| Box::pin(async { tx.read_version().await.map(drop) })),
    ("versionstamp", |tx| Box::pin(async { tx.versionstamp().await.map(drop) })),
    ("on_error", |tx| Box::pin(tx.on_error(StoreError::Conflict))),
    ("commit", |tx| Box::pin(async { tx.commit().await.map(drop) })),
];

#[test]
fn time_does_not_jump_over_an_operation() {
    for (name, operation) in OPERATIONS {
        Universe::run(1, async |env| {
            let store = slow();
            let tx = store.begin();
            let late = env.clock.sleep(Duration::from_secs(3600));
            let outcome = tokio::select! {
                outcome = operation(&*tx) => outcome,
                () = late => panic!("an hour has gone by over {name}"),
            };
            outcome.unwrap();
            assert_eq!(env.clock.monotonic(), Duration::ZERO, "{name} takes no time");
            // And then it goes on.
            env.clock.sleep(Duration::from_secs(3600)).await;
            assert_eq!(env.clock.monotonic(), Duration::from_secs(3600), "{name}");
        });
    }
}

/// The same without what is tested, so that the test above can fail.
#[test]
fn it_does_jump_where_nothing_holds_it() {
    Universe::run(1, async |env| {
        let tx = Slow::default().begin();
        let late = env.clock.sleep(Duration::from_secs(3600));
        tokio::select! {
            _ = tx.get(b"a", Isolation::Snapshot) => panic!("time was held back"),
            () = late => {}
        }
    });
}

#[test]
fn one_of_many_operations_is_enough() {
    Universe::run(2, async |env| {
        let store = slow();
        let many = (0..200).map(|_| {
            let tx = store.begin();
            async move { tx.get(b"a", Isolation::Snapshot).await.map(drop) }
        });
        let late = env.clock.sleep(Duration::from_millis(1));
        tokio::select! {
            done = futures::future::try_join_all(many) => done.map(drop).unwrap(),
            () = late => panic!("a millisecond has gone by"),
        }
    });
}

/// An operation that nobody waits for any more holds nothing.
#[test]
fn who_gives_up_lets_time_go_on() {
    Universe::run(3, async |env| {
        let store = slow();
        let tx = store.begin();
        let mut reading = tx.get(b"a", Isolation::Snapshot);
        assert!(futures::poll!(&mut reading).is_pending());
        drop(reading);
        env.clock.sleep(Duration::from_secs(1)).await;
    });
}

async fn watched(store: &Arc<dyn Store>, env: &Env, key: &[u8]) -> Duration {
    let tx = store.begin();
    tx.set(key, b"1");
    let watch = store.begin().watch(b"key");
    let told = tokio::spawn(watch);
    tokio::task::yield_now().await;
    tx.commit().await.unwrap();
    let clock = env.clock.clone();
    let looking = tokio::spawn(async move {
        clock.sleep(Duration::from_secs(5)).await;
    });
    let _ = futures::future::select(told, looking).await;
    env.clock.monotonic()
}

#[test]
fn a_commit_waits_for_the_watches_it_concerns_and_for_no_others() {
    Universe::run(4, async |env| {
        assert_eq!(watched(&slow(), &env, b"key").await, Duration::ZERO);
    });
    Universe::run(4, async |env| {
        assert_eq!(watched(&slow(), &env, b"other").await, Duration::from_secs(5));
    });
}

/// Whatever store is named, a world of its own is empty, keeps what is written, and time waits.
#[test]
fn a_world_has_a_store_of_its_own() {
    for _ in 0..2 {
        Universe::run(5, async |env| {
            let stores = [store_testing::open(&env).dynamic, store_testing::open(&env).dynamic];
            for store in &stores {
                assert_eq!(get(store).await, None);
                let tx = store.begin();
                tx.set(b"key", b"value");
                tx.commit().await.unwrap();
                assert_eq!(get(store).await.as_deref(), Some(&b"value"[..]));
            }
            assert_eq!(env.clock.monotonic(), Duration::ZERO);
        });
    }
}

#[test]
fn a_standin_of_its_own_fails_as_it_is_told() {
    use fdb_standin::server::{CommitFault, Faults};
    if store_testing::is_real() {
        return;
    }
    Universe::run(6, async |env| {
        let (store, server) = store_testing::standin(1);
        server.script(CommitFault::UnknownApplied);
        let tx = store.begin();
        tx.set(b"key", b"value");
        assert_eq!(tx.commit().await.map(drop), Err(StoreError::CommitUnknown));
        assert_eq!(get(&store).await.as_deref(), Some(&b"value"[..]));
        server.set_faults(Faults { conflicts: 1.0, ..Faults::default() });
        let tx = store.begin();
        tx.clear(b"key");
        assert_eq!(tx.commit().await.map(drop), Err(StoreError::Conflict));
        assert_eq!(env.clock.monotonic(), Duration::ZERO);
    });
}

async fn get(store: &Arc<dyn Store>) -> Option<bytes::Bytes> {
    store.begin().get(b"key", Isolation::Serializable).await.unwrap()
}
