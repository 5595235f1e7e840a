//! The store itself and its handles for tests.

use crate::clock::ManualClock;
use crate::engine::Engine;
use crate::faults::{CommitFault, Faults, StoreStats};
use crate::transaction::MemoryTransaction;
use base::env::{Clock, Random};
use bytes::Bytes;
use contract_store::{Store, Transaction};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;

/// What store and transactions share.
pub(crate) struct Shared {
    pub(crate) engine: Mutex<Engine>,
    pub(crate) clock: Arc<dyn Clock>,
    silent: watch::Sender<bool>,
}

impl Shared {
    /// Returns when the store answers.
    pub(crate) async fn answers(&self) {
        if !self.is_silent() {
            return;
        }
        let mut silent = self.silent.subscribe();
        while self.is_silent() && silent.changed().await.is_ok() {}
    }

    fn is_silent(&self) -> bool {
        *self.silent.borrow()
    }
}

/// A store in memory. Cloning gives another handle to the same store.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

/// A store with a clock that stands still and a fixed seed, for tests that need neither time nor
/// faults.
impl Default for MemoryStore {
    fn default() -> Self {
        Self::seeded(Arc::new(ManualClock::default()), 1)
    }
}

impl MemoryStore {
    /// An empty store; faults and versions follow from one number taken from `random`.
    pub fn new(clock: Arc<dyn Clock>, random: &dyn Random) -> Self {
        Self::seeded(clock, random.u64())
    }

    /// An empty store with a given seed.
    pub fn seeded(clock: Arc<dyn Clock>, seed: u64) -> Self {
        let engine = Mutex::new(Engine::new(seed, clock.monotonic()));
        let silent = watch::Sender::new(false);
        Self { shared: Arc::new(Shared { engine, clock, silent }) }
    }

    /// Makes it fail at random from now on; replaces what was set before.
    pub fn inject(&self, faults: Faults) {
        self.shared.engine.lock().faults = faults;
    }

    /// While it is silent no read and no commit gets an answer, as from a cluster whose machines
    /// cannot be reached. What waits goes on when it speaks again.
    pub fn set_silent(&self, is_silent: bool) {
        self.shared.silent.send_replace(is_silent);
    }

    /// Makes the next commit that writes fail so; several calls queue up. Goes before
    /// [`MemoryStore::inject`].
    pub fn fail_next_commit(&self, fault: CommitFault) {
        self.shared.engine.lock().script.push_back(fault);
    }

    /// Fires every watch that waits, though nothing has changed: a watch promises nothing more.
    pub fn fire_watches(&self) {
        self.shared.engine.lock().watches.fire_all();
    }

    /// From now on no commit that writes finds room on the disk, or each does again.
    pub fn set_full(&self, is_full: bool) {
        self.shared.engine.lock().is_full = is_full;
    }

    /// Lets all commits that were reported as cancelled land now, or fail if what they read has
    /// changed.
    pub fn land_late_commits(&self) {
        let now = self.shared.clock.monotonic();
        self.shared.engine.lock().land_all(now);
    }

    /// Damages the value of a key, as a bad disk does: who reads it gets
    /// [`contract_store::StoreError::Damaged`] until it is written anew.
    pub fn damage(&self, key: &[u8]) {
        self.shared.engine.lock().damaged.insert(Bytes::copy_from_slice(key));
    }

    /// Crashes and restarts: what was committed [`contract_store::Durability::WithNext`] and had
    /// no durable commit after it is lost; open transactions and watches fail.
    pub fn crash(&self) {
        let now = self.shared.clock.monotonic();
        self.shared.engine.lock().crash(now);
    }

    /// How many watches may wait at a time; [`contract_store::limits::WATCHES_MAX`] by default.
    pub fn set_watches_max(&self, max: usize) {
        self.shared.engine.lock().watches_max = max;
    }

    /// What it has done so far.
    pub fn stats(&self) -> StoreStats {
        self.shared.engine.lock().stats()
    }
}

impl Store for MemoryStore {
    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(MemoryTransaction::new(self.shared.clone()))
    }

    fn name(&self) -> &'static str {
        "memory"
    }
}
