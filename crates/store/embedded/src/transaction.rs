//! One transaction. What it means is in `contract_store::rules`; here are the version that it
//! reads and the way to the committer.
//!
//! Reads run where they are called, on the async thread: a point read is a search in memory and,
//! failing that, in redb's page cache, some microseconds; a range read stops after 128 kB or 512
//! rows of a layer, a few hundred microseconds. Handing each to a blocking thread would cost more
//! than it takes (a hand-over is about 10 µs each way). Only a page that is in no cache waits for
//! the disk; on the machines that this store is for that is an SSD's tenth of a millisecond.

use crate::queue::{Outcome, Work};
use crate::shared::Shared;
use crate::table::View;
use async_trait::async_trait;
use bytes::Bytes;
use contract_store::limits::TRANSACTION_MS_MAX;
use contract_store::rules::{CommitRequest, Snapshot, TransactionState};
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, StoreError,
    StoreResult, Transaction, Version, Versionstamp, Watch,
};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// See the module's words.
pub(crate) struct EmbeddedTransaction {
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    state: TransactionState,
    reading: Option<Reading>,
}

/// The version that a transaction reads. The view is kept alive by the store, not by us.
#[derive(Clone)]
struct Reading {
    version: Version,
    view: Weak<View>,
    since: Duration,
}

/// One version of the database, for the length of one read; or why it cannot be read, which only
/// matters to reads that do not find all they need among the transaction's own writes.
struct At(StoreResult<(Arc<View>, Version)>);

impl At {
    fn there(&self) -> StoreResult<(&View, Version)> {
        match &self.0 {
            Ok((view, version)) => Ok((view, *version)),
            Err(error) => Err(error.clone()),
        }
    }
}

impl Snapshot for At {
    fn get(&self, key: &[u8]) -> StoreResult<Option<Bytes>> {
        let (view, version) = self.there()?;
        view.get(key, version)
    }

    fn scan(&self, range: &KeyRange, reverse: bool, rows: usize) -> StoreResult<Page> {
        let (view, version) = self.there()?;
        view.scan(range, version, reverse, rows)
    }
}

impl EmbeddedTransaction {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, inner: Mutex::new(Inner::default()) }
    }

    /// Fixes the read version if that has not happened yet.
    fn begin_reading(&self, inner: &mut Inner) -> StoreResult<Version> {
        self.shared.health.check()?;
        if let Some(reading) = &inner.reading {
            return Ok(reading.version);
        }
        let since = self.shared.env.clock.monotonic();
        let (version, view) = match inner.state.read_version() {
            None => {
                let (version, view) = self.shared.current.newest();
                inner.state.fix_read_version(version);
                (version, view)
            }
            Some(chosen) if chosen > self.shared.current.version() => {
                return Err(StoreError::FutureVersion);
            }
            Some(chosen) => {
                (chosen, self.shared.current.view_for(chosen, since).ok_or(StoreError::TooOld)?)
            }
        };
        inner.reading = Some(Reading { version, view, since });
        Ok(version)
    }

    /// What to read through.
    fn at(&self, inner: &mut Inner) -> StoreResult<At> {
        inner.state.usable()?;
        self.shared.health.check()?;
        Ok(At(self.view(inner)))
    }

    fn view(&self, inner: &mut Inner) -> StoreResult<(Arc<View>, Version)> {
        let version = self.begin_reading(inner)?;
        self.check_age(inner)?;
        let view = inner.reading.as_ref().and_then(|reading| reading.view.upgrade());
        Ok((view.ok_or(StoreError::TooOld)?, version))
    }

    /// # Errors
    /// [`StoreError::TooOld`] five seconds after the first read.
    fn check_age(&self, inner: &Inner) -> StoreResult<()> {
        let Some(reading) = &inner.reading else {
            return Ok(());
        };
        let age = self.shared.env.clock.monotonic().saturating_sub(reading.since);
        match age < Duration::from_millis(TRANSACTION_MS_MAX) {
            true => Ok(()),
            false => Err(StoreError::TooOld),
        }
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&mut TransactionState, &At) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let mut inner = self.inner.lock();
        let at = self.at(&mut inner)?;
        read(&mut inner.state, &at)
    }

    /// Sends a commit that writes on its way and waits for its end.
    async fn commit_writes(&self, request: CommitRequest, batch: bool) -> Outcome {
        let Some(permit) = self.shared.queue.place(request.size_bytes).await else {
            return (self.shared.closed(), request.watches);
        };
        // It may have been cancelled or misused while it waited for its place.
        if let Err(error) = self.inner.lock().state.still_commits(&request) {
            return (Err(error), request.watches);
        }
        let (reply, answer) = oneshot::channel();
        match self.shared.queue.put(Work { request, reply, batch, permit }) {
            Ok(()) => {}
            Err(work) => return (self.shared.closed(), work.request.watches),
        }
        // The committer answers each commit that it takes; if its thread died, nobody knows.
        answer.await.unwrap_or_else(|_| (Err(StoreError::CommitUnknown), Vec::new()))
    }
}

#[async_trait]
impl Transaction for EmbeddedTransaction {
    async fn read_version(&self) -> StoreResult<Version> {
        let mut inner = self.inner.lock();
        inner.state.usable()?;
        if let Some(version) = inner.state.read_version() {
            return Ok(version);
        }
        self.begin_reading(&mut inner)
    }

    fn set_read_version(&self, version: Version) {
        self.inner.lock().state.set_read_version(version);
    }

    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>> {
        self.read(|state, at| state.get(at, key, isolation))
    }

    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        self.read(|state, at| state.get_key(at, selector, isolation))
    }

    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page> {
        self.read(|state, at| state.get_range(at, read, isolation, 0))
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
        let mut inner = self.inner.lock();
        match self.at(&mut inner) {
            Ok(at) => inner.state.watch(&at, key),
            Err(error) => async move { Err(error) }.boxed(),
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
        let (request, batch, early) = {
            let mut inner = self.inner.lock();
            let batch = inner.state.is_batch_priority();
            let request = inner.state.begin_commit()?;
            let early = match request.is_read_only() {
                true => Ok(()),
                false => self.shared.health.check().and_then(|()| self.check_age(&inner)),
            };
            (request, batch, early)
        };
        let ticket = request.ticket();
        let (outcome, watches) = if let Err(error) = early {
            (Err(error), request.watches)
        } else if request.is_read_only() {
            self.shared.register_watches(request.watches);
            (Ok(None), Vec::new())
        } else {
            let (outcome, watches) = self.commit_writes(request, batch).await;
            (outcome.map(Some), watches)
        };
        let version = self.inner.lock().state.end_commit(ticket, outcome, watches)?;
        Ok(Committed { version })
    }

    fn committed_version(&self) -> Version {
        self.inner.lock().state.committed_version()
    }

    async fn on_error(&self, error: StoreError) -> StoreResult<()> {
        let wait_ms = {
            let mut inner = self.inner.lock();
            let roll = self.shared.env.random.u64();
            let wait_ms = inner.state.retry_after(error, roll)?;
            inner.reading = None;
            wait_ms
        };
        self.shared.env.clock.sleep(Duration::from_millis(wait_ms)).await;
        Ok(())
    }

    fn reset(&self) {
        let mut inner = self.inner.lock();
        inner.state.reset();
        inner.reading = None;
    }

    fn cancel(&self) {
        self.inner.lock().state.cancel();
    }
}
