//! One transaction: the shared rules over a snapshot of the engine.

use crate::engine::{Engine, View};
use crate::store::Shared;
use async_trait::async_trait;
use bytes::Bytes;
use contract_store::rules::TransactionState;
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, StoreError,
    StoreResult, Transaction, Version, Versionstamp, Watch,
};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct MemoryTransaction {
    shared: Arc<Shared>,
    // Locked before the engine, never after it.
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    state: TransactionState,
    /// When the read version was current.
    since: Duration,
    /// The engine's generation when the transaction (or its last reset) began.
    generation: u64,
}

impl Inner {
    /// The read version, fixed now if it was not.
    fn version(&mut self, engine: &Engine, now: Duration) -> Version {
        self.state.read_version().unwrap_or_else(|| {
            let version = engine.latest();
            self.state.fix_read_version(version);
            self.since = now;
            version
        })
    }

    /// A transaction does not survive a crash of the store.
    fn alive(&mut self, engine: &Engine) -> StoreResult<()> {
        if self.generation != engine.generation {
            self.state.cancel();
        }
        self.state.usable()
    }
}

impl MemoryTransaction {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let mut engine = shared.engine.lock();
        engine.stats.begun += 1;
        let inner = Inner { generation: engine.generation, ..Inner::default() };
        drop(engine);
        Self { shared, inner: Mutex::new(inner) }
    }

    /// Runs a read on the transaction's snapshot.
    fn read<T>(
        &self,
        read: impl FnOnce(&mut TransactionState, &View<'_>) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let now = self.shared.clock.monotonic();
        let mut inner = self.inner.lock();
        let mut engine = self.shared.engine.lock();
        inner.alive(&engine)?;
        engine.land_some(now);
        let version = inner.version(&engine, now);
        let view = engine.snapshot(version, inner.since, now);
        read(&mut inner.state, &view)
    }

    /// What the faults do to a read: let others run, wait, or fail.
    async fn disturb(&self) -> StoreResult<()> {
        self.shared.answers().await;
        let (interleave, stall, outcome) = {
            let mut engine = self.shared.engine.lock();
            let faults = engine.faults;
            let interleave = engine.dice.happens(faults.interleave);
            let stall = stall(&mut engine);
            (interleave, stall, refusal(&mut engine))
        };
        if interleave {
            tokio::task::yield_now().await;
        }
        if let Some(stall) = stall {
            self.shared.clock.sleep(stall).await;
        }
        outcome
    }
}

/// How long an operation stalls, if it does.
fn stall(engine: &mut Engine) -> Option<Duration> {
    let faults = engine.faults;
    if !engine.dice.happens(faults.stall) {
        return None;
    }
    engine.stats.faults += 1;
    let stall_ms = 100 + engine.dice.below(7_900);
    engine.trace(stall_ms);
    Some(Duration::from_millis(stall_ms))
}

/// Whether a read is turned away.
fn refusal(engine: &mut Engine) -> StoreResult<()> {
    let faults = engine.faults;
    let error = if engine.dice.happens(faults.too_old) {
        StoreError::TooOld
    } else if engine.dice.happens(faults.busy) {
        StoreError::Busy([1037, 1051, 1213][engine.dice.below(3) as usize])
    } else {
        return Ok(());
    };
    engine.stats.faults += 1;
    engine.trace(error.code() as u64);
    Err(error)
}

#[async_trait]
impl Transaction for MemoryTransaction {
    async fn read_version(&self) -> StoreResult<Version> {
        self.disturb().await?;
        let now = self.shared.clock.monotonic();
        let mut inner = self.inner.lock();
        let engine = self.shared.engine.lock();
        inner.alive(&engine)?;
        Ok(inner.version(&engine, now))
    }

    fn set_read_version(&self, version: Version) {
        let mut inner = self.inner.lock();
        let known = self.shared.engine.lock().time_of(version);
        if inner.state.read_version().is_none() {
            inner.since = known.unwrap_or_default();
        }
        inner.state.set_read_version(version);
    }

    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>> {
        self.disturb().await?;
        let value = self.read(|state, view| state.get(view, key, isolation));
        self.shared.engine.lock().stats.point_reads += 1;
        value
    }

    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        self.disturb().await?;
        let key = self.read(|state, view| state.get_key(view, selector, isolation));
        self.shared.engine.lock().stats.point_reads += 1;
        key
    }

    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page> {
        self.disturb().await?;
        let rows_max = {
            let mut engine = self.shared.engine.lock();
            let probability = engine.faults.short_pages;
            if engine.dice.happens(probability) { 1 + engine.dice.below(3) as usize } else { 0 }
        };
        let page = self.read(|state, view| state.get_range(view, read, isolation, rows_max))?;
        let mut engine = self.shared.engine.lock();
        engine.stats.range_reads += 1;
        engine.stats.rows_read += page.rows.len() as u64;
        Ok(page)
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        self.inner.lock().state.set(key, value);
    }

    fn clear(&self, key: &[u8]) {
        self.inner.lock().state.clear(key);
    }

    fn clear_range(&self, range: &KeyRange) {
        self.inner.lock().state.clear_range(range);
    }

    fn atomic(&self, op: AtomicOp, key: &[u8], param: &[u8]) {
        self.inner.lock().state.atomic(op, key, param);
    }

    fn add_read_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.inner.lock().state.add_read_conflict(range)
    }

    fn add_write_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.inner.lock().state.add_write_conflict(range)
    }

    fn watch(&self, key: &[u8]) -> Watch {
        match self.read(|state, view| Ok(state.watch(view, key))) {
            Ok(watch) => watch,
            Err(error) => Box::pin(async move { Err(error) }),
        }
    }

    fn versionstamp(&self) -> BoxFuture<'static, StoreResult<Versionstamp>> {
        self.inner.lock().state.versionstamp()
    }

    fn set_durability(&self, durability: Durability) {
        self.inner.lock().state.set_durability(durability);
    }

    fn set_batch_priority(&self) {
        self.inner.lock().state.set_batch_priority();
    }

    fn approximate_size(&self) -> usize {
        self.inner.lock().state.size_bytes()
    }

    async fn commit(&self) -> StoreResult<Committed> {
        let mut request = {
            let mut inner = self.inner.lock();
            let engine = self.shared.engine.lock();
            inner.alive(&engine)?;
            inner.state.begin_commit()?
        };
        let ticket = request.ticket();
        // A commit takes a while: what is called meanwhile sees it under way.
        tokio::task::yield_now().await;
        self.shared.answers().await;
        let stalled = stall(&mut self.shared.engine.lock());
        if let Some(stalled) = stalled {
            self.shared.clock.sleep(stalled).await;
        }
        let now = self.shared.clock.monotonic();
        let mut inner = self.inner.lock();
        let mut engine = self.shared.engine.lock();
        if inner.generation != engine.generation {
            inner.state.cancel();
        }
        let outcome = match inner.state.still_commits(&request) {
            Ok(()) => engine.commit(&mut request, inner.since, now),
            Err(error) => Err(error),
        };
        drop(engine);
        let version = inner.state.end_commit(ticket, outcome, request.watches)?;
        Ok(Committed { version })
    }

    fn committed_version(&self) -> Version {
        self.inner.lock().state.committed_version()
    }

    async fn on_error(&self, error: StoreError) -> StoreResult<()> {
        let wait_ms = {
            let mut inner = self.inner.lock();
            let mut engine = self.shared.engine.lock();
            let roll = engine.dice.u64();
            let wait_ms = inner.state.retry_after(error, roll)?;
            inner.generation = engine.generation;
            wait_ms
        };
        self.shared.clock.sleep(Duration::from_millis(wait_ms)).await;
        Ok(())
    }

    fn reset(&self) {
        let mut inner = self.inner.lock();
        inner.state.reset();
        inner.generation = self.shared.engine.lock().generation;
    }

    fn cancel(&self) {
        self.inner.lock().state.cancel();
    }
}
