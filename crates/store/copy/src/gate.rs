//! A store that can be closed for writing while it is copied: reads go on, commits that would
//! write fail as temporary errors.
//!
//! The gate of one process closes in memory. A store that others may have open as well is closed by
//! a mark in it: every transaction that writes reads the mark, and so conflicts with whoever sets
//! it. It is read beside the transaction's first read that counts for conflicts, which a
//! transaction that writes nearly always has, so it costs a read but no time.

use crate::marks;
use async_trait::async_trait;
use bytes::Bytes;
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, Store,
    StoreError, StoreResult, Transaction, Version, Versionstamp, Watch,
};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use tokio::sync::RwLock;

/// What a commit that would write is told while the gate is closed.
const CLOSED: &str = "the data is being moved to another store";

/// A store with a gate before its commits.
pub struct GatedStore {
    inner: Arc<dyn Store>,
    /// Whether it is closed. Every commit that writes holds it for reading, so that closing waits
    /// for all of them.
    closed: Arc<RwLock<bool>>,
    /// Whether the mark in the store closes it too.
    is_shared: bool,
}

impl GatedStore {
    /// Over a store that only this process has open; open.
    pub fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, closed: Arc::default(), is_shared: false })
    }

    /// Over a store that other processes may have open; open unless a mark in it says otherwise.
    pub fn shared(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, closed: Arc::default(), is_shared: true })
    }

    /// Lets no commit that writes through from now on; when this returns, none is under way.
    pub async fn close(&self) {
        *self.closed.write().await = true;
    }

    /// Lets them through again.
    pub async fn open(&self) {
        *self.closed.write().await = false;
    }

    /// Whether it is closed, as far as can be seen: a store that does not answer is not.
    pub async fn is_closed(&self) -> bool {
        if *self.closed.read().await {
            return true;
        }
        self.is_shared && marks::is_there(&*self.inner.begin()).await.unwrap_or(false)
    }

    /// The store behind the gate.
    pub fn inner(&self) -> &Arc<dyn Store> {
        &self.inner
    }
}

impl Store for GatedStore {
    fn begin(&self) -> Box<dyn Transaction> {
        let (inner, closed) = (self.inner.begin(), self.closed.clone());
        let mark = AtomicU8::new(if self.is_shared { UNKNOWN } else { ABSENT });
        Box::new(Gated {
            inner,
            closed,
            writes: AtomicBool::new(false),
            mark,
            is_shared: self.is_shared,
        })
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }
}

/// What a transaction knows of the mark.
const UNKNOWN: u8 = 0;
const ABSENT: u8 = 1;
const THERE: u8 = 2;

struct Gated {
    inner: Box<dyn Transaction>,
    closed: Arc<RwLock<bool>>,
    writes: AtomicBool,
    mark: AtomicU8,
    is_shared: bool,
}

impl Gated {
    /// Reads the mark, unless it has been read.
    async fn look(&self) -> StoreResult<()> {
        if self.mark.load(Ordering::Acquire) == UNKNOWN {
            let found = if marks::is_there(&*self.inner).await? { THERE } else { ABSENT };
            self.mark.store(found, Ordering::Release);
        }
        Ok(())
    }

    /// A read, and beside it that of the mark where the transaction looks as if it will write.
    async fn beside<T: Send>(
        &self,
        isolation: Isolation,
        read: impl Future<Output = StoreResult<T>> + Send,
    ) -> StoreResult<T> {
        if isolation == Isolation::Snapshot || self.mark.load(Ordering::Acquire) != UNKNOWN {
            return read.await;
        }
        // If the look fails, the commit looks again.
        let (answer, _) = futures::join!(read, self.look());
        answer
    }

    /// From the beginning, as after a retry.
    fn forget(&self) {
        self.writes.store(false, Ordering::Relaxed);
        if self.is_shared {
            self.mark.store(UNKNOWN, Ordering::Release);
        }
    }

    fn writing(&self) -> &dyn Transaction {
        self.writes.store(true, Ordering::Relaxed);
        &*self.inner
    }
}

#[async_trait]
impl Transaction for Gated {
    async fn read_version(&self) -> StoreResult<Version> {
        self.inner.read_version().await
    }

    fn set_read_version(&self, version: Version) {
        self.inner.set_read_version(version);
    }

    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>> {
        self.beside(isolation, self.inner.get(key, isolation)).await
    }

    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        self.beside(isolation, self.inner.get_key(selector, isolation)).await
    }

    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page> {
        self.beside(isolation, self.inner.get_range(read, isolation)).await
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.writing().set(key, value);
    }

    fn clear(&self, key: &[u8]) {
        self.writing().clear(key);
    }

    fn clear_range(&self, range: &KeyRange) {
        self.writing().clear_range(range);
    }

    fn atomic(&self, op: AtomicOp, key: &[u8], param: &[u8]) {
        self.writing().atomic(op, key, param);
    }

    fn add_read_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.inner.add_read_conflict(range)
    }

    fn add_write_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.writing().add_write_conflict(range)
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
        if !self.writes.load(Ordering::Relaxed) {
            return self.inner.commit().await;
        }
        let closed = self.closed.read().await;
        self.look().await?;
        if *closed || self.mark.load(Ordering::Acquire) == THERE {
            return Err(StoreError::Closed(CLOSED.to_owned()));
        }
        self.inner.commit().await
    }

    fn committed_version(&self) -> Version {
        self.inner.committed_version()
    }

    async fn on_error(&self, error: StoreError) -> StoreResult<()> {
        let outcome = self.inner.on_error(error).await;
        if outcome.is_ok() {
            self.forget();
        }
        outcome
    }

    fn reset(&self) {
        self.inner.reset();
        self.forget();
    }

    fn cancel(&self) {
        self.inner.cancel();
    }
}
