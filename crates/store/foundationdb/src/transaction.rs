//! The contract's transaction over the client's.

use crate::metered::InFlight;
use crate::range::is_snapshot;
use crate::settled::settled;
use crate::slot::Slot;
use crate::{Shared, errors};
use async_trait::async_trait;
use bytes::Bytes;
use contract_store::rules::validate;
use contract_store::{
    AtomicOp, Committed, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, StoreError,
    StoreResult, Transaction, Version, Versionstamp, Watch,
};
use foundationdb::options::{ConflictRangeType, MutationType, TransactionOption};
use foundationdb::{TransactionCommitError, TransactionCommitted};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::runtime::Handle;

pub(crate) struct FdbTransaction {
    pub(crate) shared: Arc<Shared>,
    /// Shared with the commit's task. Never locked across an await.
    pub(crate) slot: Arc<Mutex<Slot>>,
}

impl FdbTransaction {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.meters.transaction_begins();
        let slot = Arc::new(Mutex::new(Slot::new(&shared)));
        Self { shared, slot }
    }

    /// Runs a write on the client's transaction, if it is taken.
    fn write(
        &self,
        legal: StoreResult<()>,
        key_bytes: usize,
        payload_bytes: usize,
        write: impl FnOnce(&foundationdb::Transaction),
    ) {
        if let Some(transaction) = self.slot.lock().takes(legal, key_bytes, payload_bytes) {
            write(transaction);
        }
    }

    fn add_conflict(&self, range: &KeyRange, kind: ConflictRangeType) -> StoreResult<()> {
        let bytes = range.begin.len() + range.end.len();
        let mut slot = self.slot.lock();
        match slot.takes_conflict(validate::range(range), bytes)? {
            Some(transaction) => {
                let range = self.shared.space.outer_range(range);
                transaction
                    .add_conflict_range(&range.begin, &range.end, kind)
                    .map_err(errors::of_read)
            }
            None => Ok(()),
        }
    }
}

impl Drop for FdbTransaction {
    fn drop(&mut self) {
        self.shared.meters.transaction_ends();
    }
}

#[async_trait]
impl Transaction for FdbTransaction {
    async fn read_version(&self) -> StoreResult<Version> {
        let reading = self.slot.lock().usable()?.get_read_version();
        settled(reading).await.map_err(errors::of_read)
    }

    fn set_read_version(&self, version: Version) {
        if let Ok(transaction) = self.slot.lock().usable() {
            transaction.set_read_version(version);
        }
    }

    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>> {
        let reading = {
            let mut slot = self.slot.lock();
            let transaction = slot.usable()?;
            validate::key(key)?;
            let snapshot = is_snapshot(isolation);
            let reading = self.shared.space.with(key, |key| transaction.get(key, snapshot));
            slot.has_read(2 * key.len() + 1, isolation);
            reading
        };
        let value = settled(reading).await.map_err(errors::of_read)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes> {
        self.resolve(selector, isolation).await
    }

    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page> {
        self.read_page(read, isolation).await
    }

    fn set(&self, key: &[u8], value: &[u8]) {
        let legal = validate::write(key, value);
        self.write(legal, key.len(), key.len() + value.len(), |transaction| {
            self.shared.space.with(key, |key| transaction.set(key, value));
        });
    }

    fn clear(&self, key: &[u8]) {
        self.write(validate::key(key), key.len(), key.len(), |transaction| {
            self.shared.space.with(key, |key| transaction.clear(key));
        });
    }

    fn clear_range(&self, range: &KeyRange) {
        let legal = validate::range(range);
        if legal.is_ok() && range.is_empty() {
            return;
        }
        let payload_bytes = range.begin.len() + range.end.len();
        self.write(legal, range.begin.len(), payload_bytes, |transaction| {
            let range = self.shared.space.outer_range(range);
            transaction.clear_range(&range.begin, &range.end);
        });
    }

    fn atomic(&self, op: AtomicOp, key: &[u8], param: &[u8]) {
        let (key, param) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(param));
        let legal = validate::atomic(op, &key, &param);
        self.write(legal, key.len(), key.len() + param.len(), |transaction| {
            let space = &self.shared.space;
            let key = match op {
                AtomicOp::SetVersionstampedKey => space.outer_stamped(&key),
                _ if space.is_whole() => key,
                _ => space.outer(&key),
            };
            transaction.atomic_op(&key, &param, mutation_type(op));
        });
    }

    fn add_read_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.add_conflict(range, ConflictRangeType::Read)
    }

    fn add_write_conflict(&self, range: &KeyRange) -> StoreResult<()> {
        self.add_conflict(range, ConflictRangeType::Write)
    }

    fn watch(&self, key: &[u8]) -> Watch {
        let mut slot = self.slot.lock();
        let watching = slot.usable().and_then(|transaction| {
            validate::written_key(key)?;
            Ok(self.shared.space.with(key, |key| transaction.watch(key)))
        });
        match watching {
            Ok(watching) => {
                slot.has_read(2 * key.len() + 1, Isolation::Serializable);
                settled(watching).map(|fired| fired.map_err(errors::of_read)).boxed()
            }
            Err(error) => async move { Err(error) }.boxed(),
        }
    }

    fn versionstamp(&self) -> BoxFuture<'static, StoreResult<Versionstamp>> {
        let stamping = self.slot.lock().usable().map(|transaction| transaction.get_versionstamp());
        match stamping {
            Ok(stamping) => settled(stamping)
                .map(|stamp| {
                    let stamp = stamp.map_err(errors::of_read)?;
                    // Ten bytes, says the C API; anything else is a fault of the library.
                    stamp.first_chunk().copied().ok_or(StoreError::Other(4100))
                })
                .boxed(),
            Err(error) => async move { Err(error) }.boxed(),
        }
    }

    fn set_durability(&self, _durability: Durability) {
        // Every commit is durable when it is reported.
    }

    fn set_batch_priority(&self) {
        if let Ok(transaction) = self.slot.lock().usable()
            && let Err(error) = transaction.set_option(TransactionOption::PriorityBatch)
        {
            tracing::debug!(code = error.code(), "no batch priority");
        }
    }

    fn approximate_size(&self) -> usize {
        self.slot.lock().size_bytes()
    }

    async fn commit(&self) -> StoreResult<Committed> {
        let (commit, answer) = {
            let (reply, answer) = oneshot::channel();
            let (transaction, generation) = self.slot.lock().begin_commit()?;
            let shared = self.shared.clone();
            let in_flight = InFlight::new(&shared);
            let slot = self.slot.clone();
            let commit = Commit { shared, slot, generation, reply, _in_flight: in_flight };
            (commit.run(transaction.commit()), answer)
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(commit)),
            Err(_) => commit.await,
        }
        // Without an answer the runtime is going down: nobody knows.
        answer.await.unwrap_or(Err(StoreError::Cancelled))
    }

    fn committed_version(&self) -> Version {
        self.slot.lock().committed_version()
    }

    async fn on_error(&self, error: StoreError) -> StoreResult<()> {
        let (back_off, generation) = self.slot.lock().begin_retry(&self.shared, &error)?;
        self.shared.meters.retry(&error);
        let outcome = settled(back_off).await;
        self.slot.lock().end_retry(generation, outcome)
    }

    fn reset(&self) {
        self.slot.lock().reset(&self.shared);
    }

    fn cancel(&self) {
        self.slot.lock().cancel();
    }
}

/// A commit under way, which goes on to its end whoever goes away.
struct Commit {
    shared: Arc<Shared>,
    slot: Arc<Mutex<Slot>>,
    generation: u64,
    reply: oneshot::Sender<StoreResult<Committed>>,
    /// Goes after everything else is done.
    _in_flight: InFlight,
}

impl Commit {
    async fn run(
        self,
        committing: impl Future<Output = Result<TransactionCommitted, TransactionCommitError>> + Unpin,
    ) {
        let begun = self.shared.clock.monotonic();
        let outcome = settled(committing).await;
        let answer = match &outcome {
            // It has happened, even if the client should not tell its version.
            Ok(committed) => Ok(Committed { version: committed.committed_version().unwrap_or(-1) }),
            Err(failed) => Err(errors::of_commit(**failed)),
        };
        let took = self.shared.clock.monotonic().saturating_sub(begun);
        self.shared.meters.commit_ends(&answer, took);
        let version = answer.as_ref().map_or(-1, |committed| committed.version);
        self.slot.lock().end_commit(self.generation, outcome, version);
        // Nobody may be waiting any more.
        let _ = self.reply.send(answer);
    }
}

fn mutation_type(op: AtomicOp) -> MutationType {
    match op {
        AtomicOp::Add => MutationType::Add,
        AtomicOp::BitAnd => MutationType::BitAnd,
        AtomicOp::BitOr => MutationType::BitOr,
        AtomicOp::BitXor => MutationType::BitXor,
        AtomicOp::AppendIfFits => MutationType::AppendIfFits,
        AtomicOp::Max => MutationType::Max,
        AtomicOp::Min => MutationType::Min,
        AtomicOp::ByteMax => MutationType::ByteMax,
        AtomicOp::ByteMin => MutationType::ByteMin,
        AtomicOp::CompareAndClear => MutationType::CompareAndClear,
        AtomicOp::SetVersionstampedKey => MutationType::SetVersionstampedKey,
        AtomicOp::SetVersionstampedValue => MutationType::SetVersionstampedValue,
    }
}
