//! A store in real time for tests in simulated time.

use crate::anchor::{Anchor, Hold};
use crate::owed::{Watches, Written};
use async_trait::async_trait;
use bytes::Bytes;
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, Store,
    StoreError, StoreResult, Transaction, Version, Versionstamp, Watch,
};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::any::Any;
use std::sync::Arc;

/// Whose time the back-off of `on_error` takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackOff {
    /// The store's own: simulated time is held back meanwhile.
    OfTheStore,
    /// The runtime's: simulated time has to pass for it to end.
    OfTheRuntime,
}

struct Shared {
    /// Goes before what it stands on.
    store: Arc<dyn Store>,
    back_off: BackOff,
    anchor: Anchor,
    watches: Watches,
    _below: Box<dyn Any + Send + Sync>,
}

/// A store whose operations hold simulated time back: while one is outstanding, a paused tokio
/// clock does not jump, so that to the test it takes no time at all. A commit that changes a key
/// which is watched through the same store holds it until the watch was told, half a second at
/// most. Otherwise watches hold nothing.
pub struct Anchored {
    shared: Arc<Shared>,
}

impl Anchored {
    /// A store, and what is to be dropped after it and its last transaction.
    pub fn new<S: Store>(store: Arc<S>, back_off: BackOff, below: impl Any + Send + Sync) -> Self {
        let (anchor, watches) = (Anchor::default(), Watches::default());
        let shared = Shared { store, back_off, anchor, watches, _below: Box::new(below) };
        Self { shared: Arc::new(shared) }
    }
}

impl Store for Anchored {
    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(AnchoredTransaction {
            inner: self.shared.store.begin(),
            written: Mutex::default(),
            shared: self.shared.clone(),
        })
    }

    fn name(&self) -> &'static str {
        self.shared.store.name()
    }
}

struct AnchoredTransaction {
    inner: Box<dyn Transaction>,
    written: Mutex<Written>,
    shared: Arc<Shared>,
}

impl AnchoredTransaction {
    fn hold(&self) -> Hold {
        self.shared.anchor.hold()
    }
}

#[async_trait]
impl Transaction for AnchoredTransaction {
    async fn read_version(&self) -> StoreResult<Version> {
        let _hold = self.hold();
        self.inner.read_version().await
    }

    fn set_read_version(&self, version: Version) {
        self.inner.set_read_version(version);
    }

    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>> {
        let _hold = self.hold();
        self.inner.get(key, isolation).await
    }

    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        let _hold = self.hold();
        self.inner.get_key(selector, isolation).await
    }

    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page> {
        let _hold = self.hold();
        self.inner.get_range(read, isolation).await
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.written.lock().key(key);
        self.inner.set(key, value);
    }

    fn clear(&self, key: &[u8]) {
        self.written.lock().key(key);
        self.inner.clear(key);
    }

    fn clear_range(&self, range: &KeyRange) {
        self.written.lock().range(range);
        self.inner.clear_range(range);
    }

    fn atomic(&self, op: AtomicOp, key: &[u8], param: &[u8]) {
        self.written.lock().key(key);
        self.inner.atomic(op, key, param);
    }

    fn add_read_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.inner.add_read_conflict(range)
    }

    fn add_write_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.inner.add_write_conflict(range)
    }

    fn watch(&self, key: &[u8]) -> Watch {
        let watched = self.shared.watches.begin(key, &self.shared.anchor);
        let watch = self.inner.watch(key);
        async move {
            let _watched = watched;
            watch.await
        }
        .boxed()
    }

    fn versionstamp(&self) -> BoxFuture<'static, StoreResult<Versionstamp>> {
        let (stamp, anchor) = (self.inner.versionstamp(), self.shared.anchor.clone());
        async move {
            let _hold = anchor.hold();
            stamp.await
        }
        .boxed()
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
        let _hold = self.hold();
        let outcome = self.inner.commit().await;
        if outcome.is_ok() && self.shared.watches.any() {
            self.shared.watches.committed(&self.written.lock(), &self.shared.anchor);
        }
        outcome
    }

    fn committed_version(&self) -> Version {
        self.inner.committed_version()
    }

    async fn on_error(&self, error: StoreError) -> StoreResult<()> {
        let hold = (self.shared.back_off == BackOff::OfTheStore).then(|| self.hold());
        let outcome = self.inner.on_error(error).await;
        drop(hold);
        self.written.lock().clear();
        outcome
    }

    fn reset(&self) {
        self.written.lock().clear();
        self.inner.reset();
    }

    fn cancel(&self) {
        self.inner.cancel();
    }
}
