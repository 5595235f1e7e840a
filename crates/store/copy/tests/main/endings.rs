//! How copies end: at no moment both stores may be served, whatever becomes of the last commits.

use crate::{all, begun, copy, cut_off, memory, put, refused};
use base::Kind;
use base::env::Env;
use bytes::Bytes;
use contract_store::{Isolation, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use store_copy::{
    Copy, Failed, GatedStore, Phase, Progress, Start, take_into_use, use_again, why_not_served,
};
use store_memory::{CommitFault, Faults, MemoryStore};
use tokio::sync::watch;

/// Runs a copy; does something when it has compared and only the ending is left.
async fn at_the_end(copy: &Copy, act: impl FnOnce()) -> Result<store_copy::Summary, Failed> {
    let (told, mut heard) = watch::channel(Progress::default());
    let act = async {
        heard.wait_for(|progress| progress.verified_rows > 0).await.unwrap();
        act();
    };
    tokio::join!(copy.run(&told), act).0
}

fn two(seed: u64) -> (Arc<dyn Store>, Arc<MemoryStore>, Arc<dyn Store>) {
    let target = memory(seed + 1_000);
    (memory(seed), target.clone(), target)
}

async fn one_row(store: &Arc<dyn Store>) {
    put(store, &[(Bytes::from_static(b"k"), Bytes::from_static(b"v"))]).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_ending_is_noticed_or_shut_out() {
    let (mut done, mut failed) = (0, 0);
    for seed in 0..40 {
        let (source, faulty, target) = two(seed);
        one_row(&source).await;
        let copy = Copy { patience: Duration::ZERO, ..copy(&source, &target) };
        let late = || faulty.fail_next_commit(CommitFault::Late);
        let outcome = at_the_end(&copy, late).await;
        assert_eq!(faulty.stats().faults, 1, "the ending has not been hit");
        faulty.land_late_commits();
        match outcome {
            Ok(_) => {
                done += 1;
                take_into_use(&target).await.unwrap();
                assert!(take_into_use(&source).await.is_err(), "seed {seed}: both are served");
            }
            Err(Failed { is_settled, .. }) => {
                failed += 1;
                assert!(is_settled);
                take_into_use(&source).await.unwrap();
                assert!(take_into_use(&target).await.is_err(), "seed {seed}: both are served");
            }
        }
    }
    assert!(done > 0 && failed > 0, "{done} done, {failed} failed: not both ways were taken");
}

#[tokio::test(start_paused = true)]
async fn an_ending_that_nobody_knows_of_keeps_the_source_closed() {
    let (source, faulty, target) = two(1);
    one_row(&source).await;
    let copy = Copy { patience: Duration::ZERO, ..copy(&source, &target) };
    let away = Faults { busy: 1.0, ..Faults::default() };
    let failed = at_the_end(&copy, || faulty.inject(away)).await.unwrap_err();
    assert!(!failed.is_settled, "{failed:?}");
    let why = take_into_use(&source).await.unwrap_err();
    assert!(why.text.contains("moved to there"), "{why}");
    // Another target is refused, and does not open it.
    let elsewhere: Arc<dyn Store> = memory(3);
    let other = Copy { target: elsewhere, target_name: "elsewhere".into(), ..copy_of(&copy) };
    let failed = other.run(&watch::Sender::default()).await.unwrap_err();
    assert_eq!((failed.error.kind, failed.is_settled), (Kind::Conflict, false));
    // As long as the first is away, nobody can tell.
    assert!(!copy.run(&watch::Sender::default()).await.unwrap_err().is_settled);
    faulty.inject(Faults::default());
    copy.run(&watch::Sender::default()).await.unwrap();
    take_into_use(&target).await.unwrap();
    assert!(take_into_use(&source).await.is_err());
}

fn copy_of(copy: &Copy) -> Copy {
    crate::copy(&copy.source, &copy.target)
}

#[tokio::test]
async fn a_source_that_has_moved_is_served_only_when_somebody_says_so() {
    let (source, target) = begun().await;
    assert_eq!(why_not_served(&source).await.unwrap(), None);
    let half = why_not_served(&target).await.unwrap().unwrap();
    assert!(half.contains("unfinished"), "{half}");
    copy(&source, &target).run(&watch::Sender::default()).await.unwrap();
    assert_eq!(why_not_served(&target).await.unwrap(), None);
    let error = take_into_use(&source).await.unwrap_err();
    assert!(error.text.contains("moved to there"), "{error}");
    let elsewhere = Copy { target_name: "elsewhere".into(), ..copy(&source, &(memory(9) as _)) };
    refused(&elsewhere, Kind::Conflict, "moved to there").await;
    // The copy has neither the mark nor anything else of it.
    assert_eq!(all(&source).await, all(&target).await);
    take_into_use(&target).await.unwrap();

    assert_eq!(use_again(&source, true).await.unwrap().as_deref(), Some("there"));
    assert!(take_into_use(&source).await.is_err(), "that was only a question");
    assert_eq!(use_again(&source, false).await.unwrap().as_deref(), Some("there"));
    assert_eq!(use_again(&source, false).await.unwrap(), None);
    take_into_use(&source).await.unwrap();
}

#[tokio::test]
async fn a_copy_that_fails_leaves_the_source_as_it_was() {
    let (source, target) = begun().await;
    put(&source, &[(Bytes::from_static(b"a"), Bytes::from_static(b"changed"))]).await;
    for is_source_shared in [false, true] {
        let copy = Copy { is_source_shared, ..copy(&source, &target) };
        let failed = copy.run(&watch::Sender::default()).await.unwrap_err();
        assert_eq!((failed.error.kind, failed.is_settled), (Kind::Conflict, true));
        take_into_use(&source).await.unwrap();
    }
}

#[tokio::test]
async fn a_finished_copy_is_not_thrown_away_but_does_not_outlive_a_change() {
    let (source, target) = begun().await;
    copy(&source, &target).run(&watch::Sender::default()).await.unwrap();
    let anew = Copy { start: Start::Anew, ..copy(&source, &target) };
    refused(&anew, Kind::AlreadyExists, "finished copy").await;
    use_again(&source, false).await.unwrap();
    refused(&anew, Kind::AlreadyExists, "finished copy").await;
    put(&source, &[(Bytes::from_static(b"a"), Bytes::from_static(b"changed"))]).await;
    refused(&copy(&source, &target), Kind::Conflict, "copy it anew").await;
    assert!(take_into_use(&target).await.is_err(), "it is old, and was done");
    anew.run(&watch::Sender::default()).await.unwrap();
    assert_eq!(all(&source).await, all(&target).await);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_away_for_a_while_is_waited_for() {
    let (source, faulty, target) = two(1);
    one_row(&source).await;
    faulty.inject(Faults { busy: 1.0, ..Faults::default() });
    let copy = Copy { patience: Duration::from_secs(300), ..copy(&source, &target) };
    let (told, mut heard) = watch::channel(Progress::default());
    let back = async {
        heard.wait_for(|progress| progress.is_waiting).await.unwrap();
        Env::real().clock.sleep(Duration::from_secs(100)).await;
        faulty.inject(Faults::default());
    };
    let (outcome, ()) = tokio::join!(copy.run(&told), back);
    assert_eq!(outcome.unwrap().rows, 1);
    assert_eq!((told.borrow().phase, told.borrow().is_waiting), (Phase::Done, false));
}

/// Two processes have the source open; only one of them copies.
#[tokio::test]
async fn a_mark_closes_every_gate_of_a_shared_store() {
    let (source, target): (Arc<dyn Store>, Arc<dyn Store>) = (memory(1), memory(2));
    let gate = GatedStore::shared(source.clone());
    let other: Arc<dyn Store> = gate.clone();
    one_row(&other).await;
    // This one has read already when the mark is set.
    let early = other.begin();
    early.get(b"k", Isolation::Serializable).await.unwrap();
    early.set(b"k", b"lost?");
    let blind = other.begin();
    blind.set(b"k", b"lost?");
    let copy = Copy { is_source_shared: true, ..copy(&source, &target) };
    assert!(cut_off(&copy, 1).await.is_none());
    assert!(gate.is_closed().await);
    assert_eq!(early.commit().await.unwrap_err(), StoreError::Conflict);
    assert!(matches!(blind.commit().await.unwrap_err(), StoreError::Closed(_)));
    early.on_error(StoreError::Conflict).await.unwrap();
    early.get(b"k", Isolation::Serializable).await.unwrap();
    early.set(b"k", b"lost?");
    assert!(matches!(early.commit().await.unwrap_err(), StoreError::Closed(_)));
    // Whoever starts now does not serve.
    let error = take_into_use(&other).await.unwrap_err();
    assert!(error.text.contains("is being copied to there"), "{error}");
    copy.run(&watch::Sender::default()).await.unwrap();
    assert!(gate.is_closed().await);
    use_again(&source, false).await.unwrap();
    assert!(!gate.is_closed().await);
    one_row(&other).await;
}

#[tokio::test]
async fn a_source_that_is_opened_again_while_it_is_copied_is_noticed() {
    let (source, target): (Arc<dyn Store>, Arc<dyn Store>) = (memory(1), memory(2));
    one_row(&source).await;
    let copy = Copy { is_source_shared: true, ..copy(&source, &target) };
    let opened = source.begin();
    opened.clear(b"\x00copy-moved");
    let opening = tokio::spawn({
        let (told, mut heard) = watch::channel(Progress::default());
        let run = async move { copy.run(&told).await };
        async move {
            let open = async {
                heard.wait_for(|progress| progress.verified_rows > 0).await.unwrap();
                opened.commit().await.unwrap();
            };
            tokio::join!(run, open).0
        }
    });
    let failed = opening.await.unwrap().unwrap_err();
    assert_eq!(failed.error.kind, Kind::Conflict, "{failed:?}");
    assert!(take_into_use(&target).await.is_err(), "it must not be served");
}
