//! The blob store over the store in memory: the contract's promises, under faults, and what only
//! this implementation promises.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod cost;
mod damage;
mod faults;
mod leftovers;
mod stream;

use base::env::{Clock, Env};
use contract_blob::suite::World;
use contract_store::{Isolation, KeyRange, KeyValue, RangeRead, Store};
use std::sync::Arc;
use store_blobs::StoreBlobs;
use store_memory::{Faults, ManualClock, MemoryStore};

/// A world and the handles below it.
pub(crate) struct Bench {
    pub(crate) store: MemoryStore,
    /// The store's own clock: moving it makes transactions too old.
    pub(crate) store_clock: Arc<ManualClock>,
    pub(crate) blobs: StoreBlobs,
    pub(crate) world: World,
    env: Env,
}

impl Bench {
    pub(crate) async fn new(seed: u64) -> Self {
        let store_clock = Arc::new(ManualClock::default());
        let store = MemoryStore::seeded(store_clock.clone(), seed);
        let clock = Arc::new(ManualClock::default());
        let env = Env { clock: clock.clone() as Arc<dyn Clock>, ..Env::simulated(seed) };
        let dynamic: Arc<dyn Store> = Arc::new(store.clone());
        let blobs = StoreBlobs::open(dynamic.clone(), &env).await.unwrap();
        let world = World {
            store: dynamic,
            blobs: Arc::new(blobs.clone()),
            advance: Box::new(move |by| clock.advance(by)),
        };
        Self { store, store_clock, blobs, world, env }
    }

    /// Another process on the same store, with the same clock.
    pub(crate) async fn second(&self) -> StoreBlobs {
        let env = Env { clock: self.env.clock.clone(), ..Env::simulated(99) };
        StoreBlobs::open(Arc::new(self.store.clone()), &env).await.unwrap()
    }

    /// All rows that begin so.
    pub(crate) async fn rows(&self, prefix: &[u8]) -> Vec<KeyValue> {
        let tx = self.store.begin();
        let mut rows = Vec::new();
        let mut next = Some(RangeRead::all(&KeyRange::prefix(prefix)));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
            next = read.after(&page);
            rows.extend(page.rows);
        }
        rows
    }

    /// Nothing but the hash key may be left when nobody holds anything.
    pub(crate) async fn assert_empty(&self) {
        let left: Vec<String> =
            self.rows(b"B").await.iter().map(|row| row.key.escape_ascii().to_string()).collect();
        assert_eq!(left, ["BK"]);
    }
}

async fn world(faults: Faults) -> World {
    let bench = Bench::new(1).await;
    bench.store.inject(faults);
    bench.world
}

mod contract {
    contract_blob::blob_suite!(super::world(super::Faults::default()));
}

/// Pages that end early, and other tasks in between.
mod contract_in_short_pages {
    const FAULTS: super::Faults = super::Faults {
        short_pages: 0.5,
        interleave: 0.5,
        conflict: 0.0,
        commit_unknown_applied: 0.0,
        commit_unknown_not_applied: 0.0,
        late_commit: 0.0,
        stall: 0.0,
        too_old: 0.0,
        busy: 0.0,
    };
    contract_blob::blob_suite!(super::world(FAULTS));
}
