//! Stores that break a promise, to see that the serialisability check notices.

use async_trait::async_trait;
use bytes::Bytes;
use contract_store::suite::Backend;
use contract_store::suite::serialisability::{self, Size};
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, Store,
    StoreError, StoreResult, Transaction, Version, Versionstamp, Watch,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use store_memory::MemoryStore;

/// What is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    /// No read conflicts: snapshot isolation at most.
    ForgetsReads,
    /// Every tenth acknowledged commit is not made.
    LosesCommits,
    /// Every tenth read sees what is there now, not the transaction's version.
    ReadsTheNewest,
    /// Reads an old version although newer commits were acknowledged.
    StaleVersions,
}

struct BrokenBackend(Flaw);

#[async_trait]
impl Backend for BrokenBackend {
    async fn open(&self) -> Arc<dyn Store> {
        let counter = Arc::new(AtomicU64::new(0));
        Arc::new(Broken { store: MemoryStore::default(), flaw: self.0, counter })
    }
}

#[derive(Clone)]
struct Broken {
    store: MemoryStore,
    flaw: Flaw,
    counter: Arc<AtomicU64>,
}

impl Broken {
    fn strikes(&self, flaw: Flaw) -> bool {
        self.flaw == flaw && self.counter.fetch_add(1, Ordering::Relaxed) % 10 == 9
    }
}

impl Store for Broken {
    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(BrokenTransaction { tx: self.store.begin(), broken: self.clone() })
    }

    fn name(&self) -> &'static str {
        "broken"
    }
}

struct BrokenTransaction {
    tx: Box<dyn Transaction>,
    broken: Broken,
}

impl BrokenTransaction {
    fn isolation(&self, wanted: Isolation) -> Isolation {
        if self.broken.flaw == Flaw::ForgetsReads { Isolation::Snapshot } else { wanted }
    }
}

#[async_trait]
impl Transaction for BrokenTransaction {
    async fn read_version(&self) -> StoreResult<Version> {
        if self.broken.strikes(Flaw::StaleVersions) {
            self.tx.set_read_version(1_000_000);
        }
        self.tx.read_version().await
    }

    fn set_read_version(&self, version: Version) {
        self.tx.set_read_version(version);
    }

    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>> {
        if self.broken.strikes(Flaw::ReadsTheNewest) {
            return self.broken.store.begin().get(key, isolation).await;
        }
        self.tx.get(key, self.isolation(isolation)).await
    }

    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        self.tx.get_key(selector, self.isolation(isolation)).await
    }

    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page> {
        self.tx.get_range(read, self.isolation(isolation)).await
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.tx.set(key, value);
    }

    fn clear(&self, key: &[u8]) {
        self.tx.clear(key);
    }

    fn clear_range(&self, range: &KeyRange) {
        self.tx.clear_range(range);
    }

    fn atomic(&self, op: AtomicOp, key: &[u8], param: &[u8]) {
        self.tx.atomic(op, key, param);
    }

    fn add_read_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.tx.add_read_conflict(range)
    }

    fn add_write_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.tx.add_write_conflict(range)
    }

    fn watch(&self, key: &[u8]) -> Watch {
        self.tx.watch(key)
    }

    fn versionstamp(&self) -> BoxFuture<'static, StoreResult<Versionstamp>> {
        self.tx.versionstamp()
    }

    fn set_durability(&self, durability: Durability) {
        self.tx.set_durability(durability);
    }

    fn set_batch_priority(&self) {
        self.tx.set_batch_priority();
    }

    fn approximate_size(&self) -> usize {
        self.tx.approximate_size()
    }

    async fn commit(&self) -> StoreResult<Committed> {
        if self.tx.approximate_size() > 0 && self.broken.strikes(Flaw::LosesCommits) {
            return Ok(Committed { version: self.tx.read_version().await? + 1 });
        }
        self.tx.commit().await
    }

    fn committed_version(&self) -> Version {
        self.tx.committed_version()
    }

    async fn on_error(&self, error: StoreError) -> StoreResult<()> {
        self.tx.on_error(error).await
    }

    fn reset(&self) {
        self.tx.reset();
    }

    fn cancel(&self) {
        self.tx.cancel();
    }
}

#[tokio::test]
async fn the_serialisability_check_notices_every_flaw() {
    use Flaw::{ForgetsReads, LosesCommits, ReadsTheNewest, StaleVersions};
    for flaw in [ForgetsReads, LosesCommits, ReadsTheNewest, StaleVersions] {
        let backend: Arc<dyn Backend> = Arc::new(BrokenBackend(flaw));
        let size = Size { clients: 8, transactions: 60 };
        let check = serialisability::check(&backend, 1, size);
        assert!(AssertUnwindSafe(check).catch_unwind().await.is_err(), "{flaw:?} went unnoticed");
    }
}
