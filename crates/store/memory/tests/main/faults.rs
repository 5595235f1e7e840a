//! The faults: each does what it says, and a seed repeats a run.

use crate::backend::Memory;
use crate::contract::ROUGH;
use contract_store::suite::Backend;
use contract_store::suite::serialisability::{self, Size, Summary};
use contract_store::transact::BodyError;
use contract_store::{
    Attempt, Body, Durability, Isolation, KeyRange, RangeRead, Store, StoreError, Transaction,
    Watch, transact, transact_once,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use store_memory::{CommitFault, Faults, ManualClock, MemoryStore, StoreStats};

async fn value(store: &MemoryStore, key: &str) -> Option<String> {
    let value = store.begin().get(key.as_bytes(), Isolation::Serializable).await.unwrap();
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

async fn put(store: &MemoryStore, key: &str, text: &str) -> Result<(), StoreError> {
    let tx = store.begin();
    tx.set(key.as_bytes(), text.as_bytes());
    tx.commit().await.map(drop)
}

/// A scripted fault's error, and whether the write is there afterwards.
async fn check(fault: CommitFault, error: StoreError, there: bool) {
    let store = MemoryStore::default();
    store.fail_next_commit(fault);
    assert_eq!(put(&store, "a", "1").await, Err(error), "{fault:?}");
    assert_eq!(value(&store, "a").await.is_some(), there, "{fault:?}");
    put(&store, "b", "1").await.expect("only the next one");
    assert_eq!(store.stats().faults, 1);
}

#[tokio::test]
async fn scripted_faults_do_what_they_say() {
    check(CommitFault::Conflict, StoreError::Conflict, false).await;
    check(CommitFault::UnknownApplied, StoreError::CommitUnknown, true).await;
    check(CommitFault::UnknownNotApplied, StoreError::CommitUnknown, false).await;
    check(CommitFault::TooOld, StoreError::TooOld, false).await;
    check(CommitFault::Busy, StoreError::Busy(1051), false).await;
    check(CommitFault::OutOfSpace, StoreError::OutOfSpace, false).await;
}

#[tokio::test]
async fn a_late_commit_lands_later() {
    let store = MemoryStore::default();
    store.fail_next_commit(CommitFault::Late);
    assert_eq!(put(&store, "a", "late").await, Err(StoreError::Cancelled));
    store.land_late_commits();
    assert_eq!(value(&store, "a").await.as_deref(), Some("late"));
    assert_eq!(store.stats().late_landed, 1);
}

#[tokio::test]
async fn a_late_commit_lands_by_itself() {
    let store = MemoryStore::default();
    store.fail_next_commit(CommitFault::Late);
    assert_eq!(put(&store, "a", "late").await, Err(StoreError::Cancelled));
    for _ in 0..200 {
        value(&store, "a").await;
    }
    assert_eq!(value(&store, "a").await.as_deref(), Some("late"));
}

#[tokio::test]
async fn a_fence_stops_a_late_commit() {
    let store = MemoryStore::default();
    put(&store, "fence", "1").await.unwrap();
    let tx = store.begin();
    tx.get(b"fence", Isolation::Serializable).await.unwrap();
    tx.set(b"a", b"late");
    store.fail_next_commit(CommitFault::Late);
    assert_eq!(tx.commit().await, Err(StoreError::Cancelled));
    put(&store, "fence", "2").await.unwrap();
    store.land_late_commits();
    assert_eq!(value(&store, "a").await, None);
    assert_eq!(store.stats().late_dropped, 1);
}

#[tokio::test]
async fn a_crash_loses_what_waited_for_the_next_commit() {
    let store = MemoryStore::default();
    put(&store, "a", "durable").await.unwrap();
    let tx = store.begin();
    tx.set_durability(Durability::WithNext);
    tx.set(b"a", b"not yet");
    tx.commit().await.unwrap();
    let open = store.begin();
    open.read_version().await.unwrap();
    let watcher = store.begin();
    let watch = watcher.watch(b"a");
    watcher.commit().await.unwrap();
    store.crash();
    assert_eq!(value(&store, "a").await.as_deref(), Some("durable"));
    assert_eq!(watch.await, Err(StoreError::Cancelled));
    assert_eq!(open.read_version().await, Err(StoreError::Cancelled));
}

/// Appends to a log unless the marker says that this was done.
struct AppendOnce;

impl Body<bool> for AppendOnce {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<bool, BodyError>> {
        async move {
            if attempt.maybe_committed
                && tx.get(b"marker", Isolation::Serializable).await?.is_some()
            {
                return Ok(false);
            }
            let log = tx.get(b"log", Isolation::Serializable).await?.unwrap_or_default();
            tx.set(b"log", &[&log[..], b"x"].concat());
            tx.set(b"marker", b"");
            Ok(true)
        }
        .boxed()
    }
}

#[tokio::test]
async fn transact_once_never_repeats_an_unknown_commit() {
    for fault in [CommitFault::UnknownApplied, CommitFault::UnknownNotApplied, CommitFault::Late] {
        let memory = MemoryStore::default();
        let store: Arc<dyn Store> = Arc::new(memory.clone());
        memory.fail_next_commit(fault);
        let outcome = transact_once(&store, AppendOnce).await;
        assert!(matches!(outcome, Err(Err(_))), "{fault:?}");
        assert_eq!(memory.stats().commits, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn transact_retries_what_is_safe() {
    let memory = MemoryStore::default();
    let store: Arc<dyn Store> = Arc::new(memory.clone());
    for fault in [CommitFault::Conflict, CommitFault::TooOld, CommitFault::Busy] {
        memory.fail_next_commit(fault);
    }
    assert!(transact(&store, AppendOnce).await.unwrap());
    let StoreStats { commits, applied, begun, .. } = memory.stats();
    assert_eq!((commits, applied, begun), (4, 1, 1), "one transaction, four commits");
}

#[tokio::test]
async fn short_pages_lose_nothing() {
    let store = MemoryStore::default();
    for number in 0..50 {
        put(&store, &format!("{number:02}"), "").await.unwrap();
    }
    store.inject(Faults { short_pages: 1.0, ..Faults::default() });
    let tx = store.begin();
    let mut next = Some(RangeRead::all(&KeyRange::new(&b""[..], &b"\xff"[..])));
    let (mut rows, mut pages) = (0, 0);
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
        assert!(page.rows.len() <= 3);
        next = read.after(&page);
        rows += page.rows.len();
        pages += 1;
    }
    assert_eq!(rows, 50);
    assert!(pages >= 17, "{pages}");
}

async fn traced(seed: u64) -> (Summary, StoreStats) {
    let memory = Memory::with(seed, ROUGH);
    let backend: Arc<dyn Backend> = memory.clone();
    let summary = serialisability::check(&backend, 7, Size { clients: 6, transactions: 40 }).await;
    (summary, memory.store().stats())
}

#[tokio::test]
async fn the_same_seed_gives_the_same_run() {
    let (first, second, other) = (traced(5).await, traced(5).await, traced(6).await);
    assert_eq!(first, second);
    assert_ne!(first.1.trace, other.1.trace);
    assert!(first.1.faults > 20, "{:?}", first.1);
}

/// A committed watch.
async fn watch(store: &MemoryStore, key: &str) -> Watch {
    let tx = store.begin();
    let watch = tx.watch(key.as_bytes());
    tx.commit().await.unwrap();
    watch
}

#[tokio::test]
async fn watches_are_limited_and_abandoned_ones_do_not_count() {
    let store = MemoryStore::default();
    store.set_watches_max(3);
    let kept = [watch(&store, "a").await, watch(&store, "b").await, watch(&store, "c").await];
    assert_eq!(watch(&store, "d").await.await, Err(StoreError::TooManyWatches));
    assert_eq!(store.stats().watches, 3);
    drop(kept);
    put(&store, "e", "1").await.unwrap();
    let mut e = watch(&store, "e").await;
    assert!(futures::poll!(&mut e).is_pending());
}

#[tokio::test]
async fn old_versions_are_forgotten() {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryStore::seeded(clock.clone(), 3);
    let before = store.begin();
    before.read_version().await.unwrap();
    for number in 0..2_000 {
        put(&store, "a", &number.to_string()).await.unwrap();
        clock.advance(Duration::from_millis(50));
    }
    let tx = store.begin();
    assert_eq!(value(&store, "a").await.as_deref(), Some("1999"));
    tx.set_read_version(before.read_version().await.unwrap());
    assert_eq!(tx.get(b"a", Isolation::Serializable).await, Err(StoreError::TooOld));
}
