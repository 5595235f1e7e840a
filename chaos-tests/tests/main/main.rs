//! The scenarios as tests. `RIALTO_TIER=full` runs the long tier, `RIALTO_SEED` replays a seed.
//!
//! They drive whole servers, so they run one after the other: two at once on a small machine would
//! only measure each other.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, clippy::disallowed_methods)]

mod cluster;
mod cluster_store;
mod faults;
mod gate;
mod mutants;
mod roundtrips;
mod scan;

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Runs one scenario, alone, and shows its seed and figures.
fn scenario<T, F>(name: &str, story: impl FnOnce(u64) -> F) -> T
where
    F: Future<Output = T>,
{
    let _turn: MutexGuard<'_, ()> = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let seed = chaos_tests::scenario::seed_from_env();
    eprintln!("{name}: RIALTO_SEED={seed}");
    let begun = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(story(seed));
    eprintln!("{name}: {:.1} s", begun.elapsed().as_secs_f64());
    outcome
}
