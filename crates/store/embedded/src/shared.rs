//! What the threads, the transactions and the store itself have in common.

use crate::health::Health;
use crate::options::Sizes;
use crate::queue::Queue;
use crate::table::current::Current;
use crate::wal::pool::Pool;
use crate::watches::Watches;
use base::env::Env;
use contract_store::rules::WatchRequest;
use contract_store::{StoreError, StoreResult};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// See the module's words.
pub(crate) struct Shared {
    pub(crate) env: Env,
    pub(crate) sizes: Sizes,
    pub(crate) health: Arc<Health>,
    pub(crate) queue: Queue,
    pub(crate) current: Current,
    pub(crate) pool: Pool,
    pub(crate) watches: Watches,
    pub(crate) counters: Counters,
    pub(crate) bell: Bell,
}

/// What happened so far.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) commits: AtomicU64,
    pub(crate) groups: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) checkpoints: AtomicU64,
    pub(crate) full_waits: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Wakes the applier.
#[derive(Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// There may be something to do.
    pub(crate) fn ring(&self) {
        *self.rung.lock() = true;
        self.changed.notify_all();
    }

    /// Waits until it rings, at most so long.
    pub(crate) fn wait(&self, at_most: Duration) {
        let mut rung = self.rung.lock();
        if !*rung {
            self.changed.wait_for(&mut rung, at_most);
        }
        *rung = false;
    }
}

impl Shared {
    /// Registers the watches of a transaction that has committed.
    pub(crate) fn register_watches(&self, watches: Vec<WatchRequest>) {
        self.watches.register(watches, |key| {
            self.health.check()?;
            let (view, version) = self.current.newest_held();
            view.get(key, version)
        });
    }

    /// The answer to a commit that comes after the end.
    pub(crate) fn closed<T>(&self) -> StoreResult<T> {
        self.health.check()?;
        Err(StoreError::Stopped("it is being closed".into()))
    }
}
