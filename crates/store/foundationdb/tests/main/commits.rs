//! Commits that are abandoned, unknown, or late, and what `transact` makes of them.

use crate::world::World;
use contract_store::transact::BodyError;
use contract_store::{
    Attempt, Body, Isolation, KeyRange, Retry, Store, StoreError, Transaction, transact,
    transact_once,
};
use fdb_standin::server::CommitFault;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use store_foundationdb::FoundationDb;

async fn value(store: &FoundationDb, key: &str) -> Option<String> {
    let value = store.begin().get(key.as_bytes(), Isolation::Serializable).await.unwrap();
    value.map(|value| String::from_utf8(value.to_vec()).unwrap())
}

async fn put(store: &FoundationDb, key: &str, text: &str) -> Result<(), StoreError> {
    let tx = store.begin();
    tx.set(key.as_bytes(), text.as_bytes());
    tx.commit().await.map(drop)
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_its_commit() {
    World::whole().run(check_abandoned).await;
}

async fn check_abandoned(world: Arc<World>) {
    let store = world.store();
    for number in 0..20 {
        let key = format!("{number:02}");
        let tx = store.begin();
        tx.set(key.as_bytes(), b"1");
        let mut commit = tx.commit();
        assert!(futures::poll!(&mut commit).is_pending(), "a commit takes a round trip");
        drop(commit);
        drop(tx);
    }
    store.drain().await;
    assert_eq!(store.stats().commits, 20);
    assert_eq!(store.stats().committing, 0);
    let all = KeyRange::new(&b""[..], &b"\xff"[..]);
    let page = store.begin();
    let page = page.get_range(&contract_store::RangeRead::all(&all), Isolation::Snapshot).await;
    assert_eq!(page.unwrap().rows.len(), 20);
}

#[tokio::test]
async fn a_reset_during_a_commit_does_not_end_it() {
    World::whole().run(check_reset).await;
}

async fn check_reset(world: Arc<World>) {
    let store = world.store();
    let tx = store.begin();
    tx.set(b"a", b"1");
    let mut commit = tx.commit();
    assert!(futures::poll!(&mut commit).is_pending());
    assert_eq!(tx.get(b"a", Isolation::Snapshot).await, Err(StoreError::UsedDuringCommit));
    tx.reset();
    tx.set(b"b", b"2");
    commit.await.expect("the first goes on");
    tx.commit().await.expect("and so does the second");
    assert_eq!(
        (value(&store, "a").await, value(&store, "b").await),
        (Some("1".into()), Some("2".into()))
    );
}

#[tokio::test]
async fn faults_are_classed() {
    World::whole().run(check_classes).await;
}

async fn check_classes(world: Arc<World>) {
    let store = world.store();
    for (fault, retry, there) in [
        (CommitFault::Conflict, Retry::Safe, Some(false)),
        (CommitFault::TooOld, Retry::Safe, Some(false)),
        (CommitFault::UnknownApplied, Retry::MaybeCommitted, Some(true)),
        (CommitFault::UnknownNotApplied, Retry::MaybeCommitted, Some(false)),
        (CommitFault::Late, Retry::MayLandLate, None),
    ] {
        if !world.script(fault) {
            return;
        }
        let key = format!("{fault:?}");
        let error = put(&store, &key, "1").await.expect_err("a fault");
        assert_eq!(error.retry(), retry, "{fault:?}: {error}");
        if let Some(there) = there {
            assert_eq!(value(&store, &key).await.is_some(), there, "{fault:?}");
        }
        put(&store, "next", "1").await.expect("only the next one");
    }
    let stats = store.stats();
    let counted = (stats.conflicts, stats.unknown, stats.may_land, stats.failed, stats.commits);
    assert_eq!(counted, (1, 2, 1, 1, 5), "{stats:?}");
}

#[tokio::test]
async fn a_late_commit_lands_unless_a_fence_stops_it() {
    World::whole().run(check_fence).await;
}

async fn check_fence(world: Arc<World>) {
    let store = world.store();
    for fenced in [false, true] {
        put(&store, "fence", "1").await.unwrap();
        let tx = store.begin();
        tx.clear(b"a");
        tx.commit().await.unwrap();
        let tx = store.begin();
        tx.get(b"fence", Isolation::Serializable).await.unwrap();
        tx.set(b"a", b"late");
        if !world.script(CommitFault::Late) {
            return;
        }
        let error = tx.commit().await.expect_err("a fault");
        assert_eq!(error.retry(), Retry::MayLandLate, "{error}");
        if fenced {
            put(&store, "fence", "2").await.unwrap();
        }
        world.server().unwrap().settle();
        assert_eq!(value(&store, "a").await.is_some(), !fenced, "fenced: {fenced}");
    }
}

/// Appends to a log unless the marker says that this was done.
struct AppendOnce;

impl Body<()> for AppendOnce {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        async move {
            let marker = tx.get(b"marker", Isolation::Serializable).await?;
            if attempt.maybe_committed && marker.is_some() {
                return Ok(());
            }
            let log = tx.get(b"log", Isolation::Serializable).await?.unwrap_or_default();
            tx.set(b"log", &[&log[..], b"x"].concat());
            tx.set(b"marker", b"");
            Ok(())
        }
        .boxed()
    }
}

#[tokio::test]
async fn transact_goes_through_every_fault_that_is_safe() {
    World::whole().run(check_transact).await;
}

async fn check_transact(world: Arc<World>) {
    let store = world.store();
    let contract: Arc<dyn Store> = store.clone();
    for (number, fault) in
        [CommitFault::Conflict, CommitFault::TooOld, CommitFault::UnknownApplied].iter().enumerate()
    {
        if !world.script(*fault) {
            return;
        }
        let tx = store.begin();
        tx.clear(b"marker");
        // The script is for the next commit, which must be the one below.
        drop(tx);
        transact(&contract, AppendOnce).await.unwrap();
        assert_eq!(value(&store, "log").await.map(|log| log.len()), Some(number + 1), "{fault:?}");
        put(&store, "between", "1").await.unwrap();
        let tx = store.begin();
        tx.clear(b"marker");
        tx.commit().await.unwrap();
    }
    assert_eq!(store.stats().retries, 3);
    for fault in [CommitFault::UnknownApplied, CommitFault::UnknownNotApplied, CommitFault::Late] {
        world.script(fault);
        let outcome = transact_once(&contract, AppendOnce).await;
        assert!(matches!(outcome, Err(Err(_))), "{fault:?}: {outcome:?}");
    }
    assert_eq!(store.stats().retries, 3, "an unknown commit is not tried again");
}
