//! Commits with an unknown end, crashes, and random schedules over a failing store.

use crate::Bench;
use contract_blob::suite::{content, random_schedule};
use contract_blob::{Blobs, Place};
use store_memory::{CommitFault, Faults};

#[tokio::test]
async fn an_unknown_commit_never_counts_twice() {
    for fault in [CommitFault::UnknownApplied, CommitFault::UnknownNotApplied] {
        for size in [5_000, 300_000] {
            let bench = Bench::new(1).await;
            let bytes = content(1, size);
            let staged = bench.world.stage(&bytes).await;
            bench.store.fail_next_commit(fault);
            bench.world.hold(&staged, "item").await.unwrap();
            assert_eq!(bench.rows(b"BR").await.len(), 1);
            assert_eq!(bench.rows(b"BM").await.len(), 1);
            assert_eq!(bench.rows(b"BL").await.len(), 0);
            assert_eq!(bench.rows(b"BX").await.len(), 0, "its own upload was given up");
            assert!(bench.world.read(staged.id, 0..size as u64).await.unwrap() == bytes);

            bench.store.fail_next_commit(fault);
            bench.world.release(staged.id, "item").await;
            bench.world.pass_grace();
            for _ in 0..3 {
                bench.store.fail_next_commit(fault);
                bench.world.collect_all().await;
            }
            bench.assert_empty().await;
        }
    }
}

#[tokio::test]
async fn what_finish_returned_survives_a_crash() {
    let bench = Bench::new(1).await;
    let bytes = content(1, 1_000_000);
    let staged = bench.world.stage(&bytes).await;
    assert!(matches!(staged.place, Place::Uploaded { .. }));
    bench.store.crash();
    bench.world.hold(&staged, "item").await.unwrap();
    bench.store.crash();
    assert!(bench.world.read(staged.id, 0..1_000_000).await.unwrap() == bytes);
}

#[tokio::test]
async fn a_collection_lost_in_a_crash_is_done_again() {
    let bench = Bench::new(1).await;
    for size in [5_000, 300_000] {
        let staged = bench.world.stage(&content(1, size)).await;
        bench.world.hold(&staged, "item").await.unwrap();
        bench.world.release(staged.id, "item").await;
        bench.world.pass_grace();
        for _ in 0..2 {
            assert_eq!(bench.world.collect_all().await.removed, 1);
            bench.store.crash();
        }
        bench.world.collect_all().await;
        bench.assert_empty().await;
    }
}

/// A batch of chunks that lands after its upload was cleared away would never be found again.
#[tokio::test]
async fn a_late_batch_of_a_dead_upload_does_not_land() {
    let bench = Bench::new(1).await;
    let mut upload = bench.blobs.upload();
    upload.write(content(1, 1_000_000).into()).await.unwrap();
    assert!(!bench.rows(b"BD").await.is_empty());
    bench.store.fail_next_commit(CommitFault::Late);
    assert!(upload.write(content(2, 1_000_000).into()).await.is_err());
    bench.world.pass_lease();
    bench.world.collect_all().await;
    bench.store.land_late_commits();
    bench.assert_empty().await;
}

async fn schedules(seeds: std::ops::Range<u64>, faults: Faults) {
    for seed in seeds {
        let bench = Bench::new(seed).await;
        bench.store.inject(faults);
        eprintln!("seed {seed}");
        random_schedule(&bench.world, seed).await;
        bench.store.inject(Faults::default());
        bench.store.land_late_commits();
        bench.world.pass_lease();
        bench.world.collect_all().await;
        bench.assert_empty().await;
    }
}

#[tokio::test]
async fn random_schedules_interleave() {
    schedules(0..12, Faults { interleave: 0.6, short_pages: 0.2, ..Faults::default() }).await;
}

#[tokio::test]
async fn random_schedules_over_unknown_commits() {
    let faults = Faults {
        conflict: 0.05,
        commit_unknown_applied: 0.1,
        commit_unknown_not_applied: 0.1,
        too_old: 0.02,
        busy: 0.02,
        interleave: 0.5,
        short_pages: 0.2,
        ..Faults::default()
    };
    schedules(100..112, faults).await;
}

#[tokio::test]
async fn random_schedules_over_late_commits() {
    let faults = Faults { late_commit: 0.08, interleave: 0.5, ..Faults::default() };
    schedules(200..212, faults).await;
}
