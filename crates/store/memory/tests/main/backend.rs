//! The memory store as a backend of the suite.

use async_trait::async_trait;
use contract_store::Store;
use contract_store::suite::Backend;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use store_memory::{CommitFault, Faults, ManualClock, MemoryStore};

pub(crate) struct Memory {
    seed: u64,
    faults: Faults,
    clock: Arc<ManualClock>,
    last: Mutex<MemoryStore>,
}

impl Memory {
    /// A backend whose stores are without faults.
    pub(crate) fn faultless() -> Arc<dyn Backend> {
        Self::with(1, Faults::default())
    }

    pub(crate) fn with(seed: u64, faults: Faults) -> Arc<Self> {
        let last = Mutex::new(MemoryStore::default());
        // Where things stall, time passes.
        let clock =
            if faults.stall > 0.0 { ManualClock::stepping() } else { ManualClock::default() };
        Arc::new(Self { seed, faults, clock: Arc::new(clock), last })
    }

    pub(crate) fn store(&self) -> MemoryStore {
        self.last.lock().clone()
    }
}

#[async_trait]
impl Backend for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        let store = MemoryStore::seeded(self.clock.clone(), self.seed);
        store.inject(self.faults);
        *self.last.lock() = store.clone();
        Arc::new(store)
    }

    async fn advance(&self, by: Duration) -> bool {
        self.clock.advance(by);
        true
    }

    async fn next_commit_unknown(&self, made: bool) -> bool {
        let fault = if made { CommitFault::UnknownApplied } else { CommitFault::UnknownNotApplied };
        self.store().fail_next_commit(fault);
        true
    }

    async fn settle(&self) {
        self.store().inject(Faults::default());
        self.store().land_late_commits();
    }

    async fn crash(&self) -> Option<Arc<dyn Store>> {
        self.store().crash();
        Some(Arc::new(self.store()))
    }
}
