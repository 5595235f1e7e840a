//! What is counted, for operators (`metrics`) and for tests ([`Stats`]).

use crate::Shared;
use contract_store::{Committed, Retry, StoreError, StoreResult};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// What has happened since a store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions that exist now.
    pub transactions: u64,
    /// The most that existed at once.
    pub transactions_max: u64,
    /// Commits in flight now.
    pub committing: u64,
    /// The most that were in flight at once.
    pub committing_max: u64,
    /// Commits that wrote and succeeded.
    pub commits: u64,
    /// Commits that conflicted.
    pub conflicts: u64,
    /// Commits whose outcome was unknown but final.
    pub unknown: u64,
    /// Commits that could still happen after they were reported.
    pub may_land: u64,
    /// Commits that failed otherwise.
    pub failed: u64,
    /// Transactions begun again by `on_error`.
    pub retries: u64,
}

/// A number that goes up and down, and its highest.
#[derive(Default)]
struct Level {
    now: AtomicU64,
    max: AtomicU64,
}

impl Level {
    fn up(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.max.fetch_max(now, Ordering::Relaxed);
    }

    /// Whether it is zero now.
    fn down(&self) -> bool {
        self.now.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

#[derive(Default)]
pub(crate) struct Meters {
    transactions: Level,
    committing: Level,
    commits: AtomicU64,
    conflicts: AtomicU64,
    unknown: AtomicU64,
    may_land: AtomicU64,
    failed: AtomicU64,
    retries: AtomicU64,
    /// Told when no commit is in flight.
    idle: Notify,
}

impl Meters {
    pub(crate) fn transaction_begins(&self) {
        self.transactions.up();
        metrics::gauge!("rialto_store_transactions_in_flight").increment(1.0);
    }

    pub(crate) fn transaction_ends(&self) {
        self.transactions.down();
        metrics::gauge!("rialto_store_transactions_in_flight").decrement(1.0);
    }

    /// Read-only commits, which ask nobody, are not counted.
    pub(crate) fn commit_ends(&self, outcome: &StoreResult<Committed>, took: Duration) {
        if matches!(outcome, Ok(Committed { version: ..0 })) {
            return;
        }
        metrics::histogram!("rialto_store_commit_seconds").record(took);
        let count = |counter: &AtomicU64| _ = counter.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(_) => {
                count(&self.commits);
                metrics::counter!("rialto_store_commits_total").increment(1);
            }
            Err(StoreError::Conflict) => {
                count(&self.conflicts);
                metrics::counter!("rialto_store_conflicts_total").increment(1);
            }
            Err(error) => match error.retry() {
                Retry::MaybeCommitted => {
                    count(&self.unknown);
                    metrics::counter!("rialto_store_unknown_commits_total").increment(1);
                }
                Retry::MayLandLate => {
                    count(&self.may_land);
                    metrics::counter!("rialto_store_late_commits_total").increment(1);
                }
                Retry::Safe | Retry::Never => count(&self.failed),
            },
        }
    }

    pub(crate) fn retry(&self, error: &StoreError) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        let code = error.code().to_string();
        metrics::counter!("rialto_store_retries_total", "code" => code).increment(1);
    }

    pub(crate) async fn no_commits(&self) {
        loop {
            // Listening begins before looking, so that no end is missed.
            let idle = self.idle.notified();
            if self.committing.now.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            transactions: read(&self.transactions.now),
            transactions_max: read(&self.transactions.max),
            committing: read(&self.committing.now),
            committing_max: read(&self.committing.max),
            commits: read(&self.commits),
            conflicts: read(&self.conflicts),
            unknown: read(&self.unknown),
            may_land: read(&self.may_land),
            failed: read(&self.failed),
            retries: read(&self.retries),
        }
    }
}

/// One commit in flight, until it is dropped.
pub(crate) struct InFlight(Arc<Shared>);

impl InFlight {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.meters.committing.up();
        Self(shared.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let meters = &self.0.meters;
        if meters.committing.down() {
            meters.idle.notify_waiters();
        }
    }
}
