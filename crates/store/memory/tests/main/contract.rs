//! The suite, the vectors, and serialisability without and with faults.

use crate::backend::Memory;
use contract_store::suite::serialisability::{self, Size, Summary};
use contract_store::suite::{self, Backend, vectors};
use std::sync::Arc;
use store_memory::Faults;

/// Every fault at once, often enough that a short run meets all of them.
pub(crate) const ROUGH: Faults = Faults {
    conflict: 0.05,
    commit_unknown_applied: 0.05,
    commit_unknown_not_applied: 0.05,
    late_commit: 0.1,
    stall: 0.02,
    too_old: 0.01,
    short_pages: 0.3,
    busy: 0.02,
    interleave: 0.3,
};

#[tokio::test]
async fn keeps_the_whole_contract() {
    let not_run = suite::run_all(Memory::faultless()).await;
    assert!(not_run.is_empty(), "{not_run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keeps_the_whole_contract_on_many_threads() {
    suite::run_all(Memory::faultless()).await;
}

/// How many cases must be replayed at least, so that they cannot disappear silently.
const VECTORS_FLOOR: usize = 655;

#[tokio::test]
async fn behaves_as_the_recorded_foundationdb() {
    let Some(directory) = vectors::directory() else {
        println!("no vectors here (RIALTO_FDB_VECTORS): skipped");
        return;
    };
    let report = vectors::replay(&Memory::faultless(), &directory).await;
    println!("{report}");
    assert!(report.failed.is_empty(), "{report}");
    assert!(report.replayed >= VECTORS_FLOOR, "{report}");
}

async fn history(seed: u64, faults: Faults) -> Summary {
    let backend: Arc<dyn Backend> = Memory::with(seed, faults);
    serialisability::check(&backend, seed, Size { clients: 8, transactions: 60 }).await
}

/// The seeds to run: `count` from `RIALTO_SEED` on (0 if unset).
fn seeds(count: u64) -> std::ops::Range<u64> {
    let first = std::env::var("RIALTO_SEED").map_or(0, |_| base::env::sim::test_seed());
    let count = std::env::var("RIALTO_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(count);
    first..first + count
}

#[tokio::test]
async fn is_serialisable() {
    for seed in seeds(20) {
        let summary = history(seed, Faults::default()).await;
        assert!(summary.happened > 50 && summary.conflicts > 10, "seed {seed}: {summary:?}");
        assert_eq!(summary.unknown, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn is_serialisable_on_many_threads() {
    for seed in seeds(5) {
        let summary = history(seed, Faults::default()).await;
        assert!(summary.happened > 50, "seed {seed}: {summary:?}");
    }
}

#[tokio::test]
async fn is_serialisable_under_faults() {
    let (mut unknown, mut unknown_happened) = (0, 0);
    for seed in seeds(20) {
        let summary = history(seed, ROUGH).await;
        assert!(summary.happened > 50, "seed {seed}: {summary:?}");
        unknown += summary.unknown;
        unknown_happened += summary.unknown_happened;
    }
    assert!(unknown_happened > 0 && unknown_happened < unknown, "{unknown_happened} of {unknown}");
}
