//! A store that does not write what it should: the mutant with which a test of exactly-once work
//! proves that it would notice.

use async_trait::async_trait;
use bytes::Bytes;
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, Store,
    StoreError, StoreResult, Transaction, Version, Versionstamp, Watch,
};
use futures::future::BoxFuture;
use std::sync::Arc;

/// Whether a key's row is never written.
type Forgets = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// The same store, but that rows whose keys `forgets` names are never written: nobody who sets them
/// hears of it.
pub fn forgetful(
    store: Arc<dyn Store>,
    forgets: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
) -> Arc<dyn Store> {
    Arc::new(Forgetful { inner: store, forgets: Arc::new(forgets) })
}

struct Forgetful {
    inner: Arc<dyn Store>,
    forgets: Forgets,
}

impl Store for Forgetful {
    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(Forgetting { inner: self.inner.begin(), forgets: self.forgets.clone() })
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }
}

struct Forgetting {
    inner: Box<dyn Transaction>,
    forgets: Forgets,
}

#[async_trait]
impl Transaction for Forgetting {
    async fn read_version(&self) -> StoreResult<Version> {
        self.inner.read_version().await
    }

    fn set_read_version(&self, version: Version) {
        self.inner.set_read_version(version);
    }

    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>> {
        self.inner.get(key, isolation).await
    }

    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        self.inner.get_key(selector, isolation).await
    }

    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page> {
        self.inner.get_range(read, isolation).await
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        if !(self.forgets)(key) {
            self.inner.set(key, value);
        }
    }

    fn clear(&self, key: &[u8]) {
        self.inner.clear(key);
    }

    fn clear_range(&self, range: &KeyRange) {
        self.inner.clear_range(range);
    }

    fn atomic(&self, op: AtomicOp, key: &[u8], param: &[u8]) {
        self.inner.atomic(op, key, param);
    }

    fn add_read_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.inner.add_read_conflict(range)
    }

    fn add_write_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.inner.add_write_conflict(range)
    }

    fn watch(&self, key: &[u8]) -> Watch {
        self.inner.watch(key)
    }

    fn versionstamp(&self) -> BoxFuture<'static, StoreResult<Versionstamp>> {
        self.inner.versionstamp()
    }

    fn set_durability(&self, durability: Durability) {
        self.inner.set_durability(durability);
    }

    fn set_batch_priority(&self) {
        self.inner.set_batch_priority();
    }

    fn approximate_size(&self) -> usize {
        self.inner.approximate_size()
    }

    async fn commit(&self) -> StoreResult<Committed> {
        self.inner.commit().await
    }

    fn committed_version(&self) -> Version {
        self.inner.committed_version()
    }

    async fn on_error(&self, error: StoreError) -> StoreResult<()> {
        self.inner.on_error(error).await
    }

    fn reset(&self) {
        self.inner.reset();
    }

    fn cancel(&self) {
        self.inner.cancel();
    }
}
