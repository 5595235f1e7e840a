//! One transaction on the client's side: everything but the snapshot and the commit itself.
//!
//! ```text
//!   Open ──begin_commit──▶ Committing ──end_commit──▶ Ended
//!     ▲                                                │
//!     └──────────── reset, retry_after ────────────────┘      cancel, a final error ──▶ Cancelled
//! ```

use super::commit::{CommitRequest, CommitTicket, WatchRequest, fail_watches, stamp_error};
use super::{RangeSet, Snapshot, WriteMap, backoff_ms, read, validate};
use crate::limits::TRANSACTION_BYTES_MAX;
use crate::{
    AtomicOp, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, Retry, StoreError,
    StoreResult, Version, Versionstamp, Watch,
};
use bytes::Bytes;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;

/// What a mutation and a conflict range take beyond their keys and values, in bytes
/// (`limits.jsonl`, `approximate_size`).
const MUTATION_BYTES: usize = 44;
const CONFLICT_BYTES: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Open,
    Committing,
    Ended,
    Cancelled,
}

/// The state of one transaction. The backend guards it with a lock.
#[derive(Debug, Default)]
pub struct TransactionState {
    phase: Phase,
    writes: WriteMap,
    reads: RangeSet,
    explicit_writes: RangeSet,
    read_version: Option<Version>,
    /// Fails every read and the commit (fact 12).
    deferred: Option<StoreError>,
    /// Fails the commit only (fact 15).
    commit_error: Option<StoreError>,
    /// Something was called during or after the commit (fact 8).
    misused: bool,
    watches: Vec<WatchRequest>,
    stamps: Vec<oneshot::Sender<StoreResult<Versionstamp>>>,
    mutation_bytes: usize,
    durability: Durability,
    batch_priority: bool,
    committed_version: Option<Version>,
    retries: u32,
    generation: u64,
}

impl TransactionState {
    /// Whether reads may go on.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`], [`StoreError::UsedDuringCommit`], or a deferred error.
    pub fn usable(&mut self) -> StoreResult<()> {
        match (self.phase, &self.deferred) {
            (Phase::Cancelled, _) => Err(StoreError::Cancelled),
            (_, Some(error)) => Err(error.clone()),
            (Phase::Open, None) => Ok(()),
            (Phase::Committing | Phase::Ended, None) => {
                self.misused = true;
                Err(StoreError::UsedDuringCommit)
            }
        }
    }

    /// The read version, once it is fixed.
    pub fn read_version(&self) -> Option<Version> {
        self.read_version
    }

    /// Fixes the read version that the backend fetched.
    pub fn fix_read_version(&mut self, version: Version) {
        self.read_version = Some(version);
    }

    /// Takes the caller's read version; a mistake is deferred: 2011 for what is no version, 2010
    /// where it is fixed already (fact 20).
    pub fn set_read_version(&mut self, version: Version) {
        match self.read_version {
            _ if version <= 0 => self.defer(StoreError::Other(2011)),
            Some(_) => self.defer(StoreError::Other(2010)),
            None => self.read_version = Some(version),
        }
    }

    /// Makes all that follows fail, until a reset. The first mistake stays.
    pub fn defer(&mut self, error: StoreError) {
        self.deferred.get_or_insert(error);
    }

    fn depends_on(&mut self, range: &KeyRange, isolation: Isolation) {
        if isolation == Isolation::Serializable {
            for part in self.writes.dependent_parts(range) {
                self.reads.insert(&part);
            }
        }
    }

    /// A read that met a pending stamp fails the commit too.
    fn note<T>(&mut self, outcome: StoreResult<T>) -> StoreResult<T> {
        if let Err(StoreError::Unreadable) = &outcome {
            self.commit_error.get_or_insert(StoreError::Unreadable);
        }
        outcome
    }

    /// Reads a key; call [`Self::usable`] before.
    ///
    /// # Errors
    /// As [`crate::Transaction::get`].
    pub fn get(
        &mut self,
        base: &dyn Snapshot,
        key: &[u8],
        isolation: Isolation,
    ) -> StoreResult<Option<Bytes>> {
        validate::key(key)?;
        let value = self.note_of(|writes| read::get(base, writes, key))?;
        self.depends_on(&KeyRange::single(key), isolation);
        Ok(value)
    }

    fn note_of<T>(&mut self, read: impl FnOnce(&WriteMap) -> StoreResult<T>) -> StoreResult<T> {
        let outcome = read(&self.writes);
        self.note(outcome)
    }

    /// Resolves a selector; call [`Self::usable`] before.
    ///
    /// # Errors
    /// As [`crate::Transaction::get_key`].
    pub fn get_key(
        &mut self,
        base: &dyn Snapshot,
        selector: &KeySelector,
        isolation: Isolation,
    ) -> StoreResult<Bytes> {
        validate::selector(selector)?;
        let resolved = self.note_of(|writes| read::resolve(base, writes, selector))?;
        self.depends_on(&resolved.examined, isolation);
        Ok(resolved.key)
    }

    /// Reads a page, of at most `rows_max` rows if that is not 0; call [`Self::usable`] before.
    ///
    /// # Errors
    /// As [`crate::Transaction::get_range`].
    pub fn get_range(
        &mut self,
        base: &dyn Snapshot,
        wanted: &RangeRead,
        isolation: Isolation,
        rows_max: usize,
    ) -> StoreResult<Page> {
        validate::range_read(wanted)?;
        let (page, ranges) =
            self.note_of(|writes| read::get_range(base, writes, wanted, rows_max))?;
        for range in ranges {
            self.depends_on(&range, isolation);
        }
        Ok(page)
    }

    /// Whether a write is taken; a mistake is deferred, misuse is noted.
    fn takes(&mut self, legal: StoreResult<()>, payload_bytes: usize, key_bytes: usize) -> bool {
        if self.phase != Phase::Open {
            self.misused = true;
            return false;
        }
        if let Err(error) = legal {
            self.defer(error);
            return false;
        }
        self.mutation_bytes += MUTATION_BYTES + CONFLICT_BYTES + payload_bytes + 2 * key_bytes + 1;
        true
    }

    /// Writes a key.
    pub fn set(&mut self, key: &[u8], value: &[u8]) {
        if self.takes(validate::write(key, value), key.len() + value.len(), key.len()) {
            self.writes.set(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        }
    }

    /// Removes a key. One that is too long cannot be there.
    pub fn clear(&mut self, key: &[u8]) {
        if self.takes(validate::key(key), key.len(), key.len()) {
            self.writes.clear(Bytes::copy_from_slice(key));
        }
    }

    /// Removes a range.
    pub fn clear_range(&mut self, range: &KeyRange) {
        let legal = validate::range(range);
        if legal.is_ok() && range.is_empty() {
            return;
        }
        if self.takes(legal, range.begin.len() + range.end.len(), range.begin.len()) {
            self.writes.clear_range(range.clone());
        }
    }

    /// Applies an atomic operation.
    pub fn atomic(&mut self, op: AtomicOp, key: &[u8], param: &[u8]) {
        let (key, param) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(param));
        let legal = validate::atomic(op, &key, &param);
        if self.takes(legal, key.len() + param.len(), key.len())
            && let Err(error) = self.writes.atomic(op, key, param)
        {
            self.defer(error);
        }
    }

    /// Whether a conflict range is taken. An inverted one is refused and does no harm (fact 12).
    fn takes_conflict(&mut self, range: &KeyRange) -> StoreResult<bool> {
        match validate::range(range) {
            Err(StoreError::InvertedRange) => Err(StoreError::InvertedRange),
            Err(error) => {
                self.commit_error.get_or_insert(error);
                Ok(false)
            }
            Ok(()) if self.phase != Phase::Open => {
                self.misused = true;
                Ok(false)
            }
            Ok(()) => Ok(true),
        }
    }

    /// Adds a read conflict; on what the transaction has written itself it adds nothing (fact 4).
    ///
    /// # Errors
    /// [`StoreError::InvertedRange`].
    pub fn add_read_conflict(&mut self, range: &KeyRange) -> StoreResult<()> {
        if self.takes_conflict(range)? {
            self.depends_on(range, Isolation::Serializable);
        }
        Ok(())
    }

    /// Adds a write conflict.
    ///
    /// # Errors
    /// [`StoreError::InvertedRange`].
    pub fn add_write_conflict(&mut self, range: &KeyRange) -> StoreResult<()> {
        if self.takes_conflict(range)? {
            self.explicit_writes.insert(range);
        }
        Ok(())
    }

    /// Sets a watch on a key whose present value is read from `base` (facts 6 and 7).
    pub fn watch(&mut self, base: &dyn Snapshot, key: &[u8]) -> Watch {
        let expected = self
            .usable()
            .and_then(|()| validate::written_key(key))
            .and_then(|()| self.note_of(|writes| read::get(base, writes, key)));
        match expected {
            Ok(expected) => self.watch_value(key, expected),
            Err(error) => async move { Err(error) }.boxed(),
        }
    }

    fn watch_value(&mut self, key: &[u8], expected: Option<Bytes>) -> Watch {
        self.depends_on(&KeyRange::single(key), Isolation::Serializable);
        let (reply, answer) = oneshot::channel();
        self.watches.push(WatchRequest { key: Bytes::copy_from_slice(key), expected, reply });
        async move { answer.await.unwrap_or(Err(StoreError::Cancelled)) }.boxed()
    }

    /// The stamp of this transaction's commit (fact 16).
    pub fn versionstamp(&mut self) -> BoxFuture<'static, StoreResult<Versionstamp>> {
        if let Err(error) = self.usable() {
            return async move { Err(error) }.boxed();
        }
        let (reply, answer) = oneshot::channel();
        self.stamps.push(reply);
        async move { answer.await.unwrap_or(Err(StoreError::Cancelled)) }.boxed()
    }

    /// How the commit is reported.
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }

    /// Gives way to everything else.
    pub fn set_batch_priority(&mut self) {
        self.batch_priority = true;
    }

    /// Whether this is background work.
    pub fn is_batch_priority(&self) -> bool {
        self.batch_priority
    }

    /// Size of mutations and conflict ranges so far, in bytes.
    pub fn size_bytes(&self) -> usize {
        let conflicts = |set: &RangeSet| set.payload_bytes() + CONFLICT_BYTES * set.len();
        self.mutation_bytes + conflicts(&self.reads) + conflicts(&self.explicit_writes)
    }

    /// Takes out what is to be committed; nothing may be called until [`Self::end_commit`].
    ///
    /// # Errors
    /// What makes a commit impossible from the start; the transaction's watches and stamps have
    /// been told.
    pub fn begin_commit(&mut self) -> StoreResult<CommitRequest> {
        self.usable()?;
        let size_bytes = self.size_bytes();
        let too_large = size_bytes > TRANSACTION_BYTES_MAX;
        let refused = self.commit_error.clone();
        if let Some(error) = refused.or(too_large.then_some(StoreError::TransactionTooLarge)) {
            self.fail_waiters(&error);
            return Err(error);
        }
        self.phase = Phase::Committing;
        Ok(CommitRequest {
            read_version: self.read_version,
            reads: std::mem::take(&mut self.reads),
            writes: std::mem::take(&mut self.explicit_writes),
            mutations: self.writes.take_mutations(),
            watches: std::mem::take(&mut self.watches),
            durability: self.durability,
            size_bytes,
            generation: self.generation,
        })
    }

    /// Whether the transaction was reset, cancelled or used while the request was under way: then
    /// it must not be applied.
    ///
    /// # Errors
    /// [`StoreError::Cancelled`], [`StoreError::UsedDuringCommit`].
    pub fn still_commits(&self, request: &CommitRequest) -> StoreResult<()> {
        if self.generation != request.generation || self.phase == Phase::Cancelled {
            Err(StoreError::Cancelled)
        } else if self.misused {
            Err(StoreError::UsedDuringCommit)
        } else {
            Ok(())
        }
    }

    /// Notes how the commit ended: `None` for a read-only one, else its version and stamp. The
    /// backend passes the request's `watches` if it did not register them.
    ///
    /// # Errors
    /// The outcome's; [`StoreError::Cancelled`] if the transaction was cancelled meanwhile.
    pub fn end_commit(
        &mut self,
        ticket: CommitTicket,
        outcome: StoreResult<Option<(Version, Versionstamp)>>,
        watches: Vec<WatchRequest>,
    ) -> StoreResult<Version> {
        if let Err(error) = &outcome {
            fail_watches(watches, error);
        }
        if self.generation != ticket.0 || self.phase != Phase::Committing {
            return Err(StoreError::Cancelled);
        }
        self.phase = Phase::Ended;
        let stamp = match &outcome {
            Ok(Some((_, stamp))) => Ok(*stamp),
            Ok(None) => Err(StoreError::NoCommitVersion),
            Err(error) => Err(stamp_error(error)),
        };
        for reply in self.stamps.drain(..) {
            let _ = reply.send(stamp.clone());
        }
        let version = outcome?.map_or(-1, |(version, _)| version);
        self.committed_version = Some(version);
        Ok(version)
    }

    /// The version of the last commit; -1 before.
    pub fn committed_version(&self) -> Version {
        self.committed_version.unwrap_or(-1)
    }

    /// What [`crate::Transaction::on_error`] does: resets the transaction and tells how long to
    /// wait, in milliseconds; `roll` is any random number.
    ///
    /// # Errors
    /// The error passed in where it must not be retried; then everything is
    /// [`StoreError::Cancelled`] until a reset (fact 9).
    pub fn retry_after(&mut self, error: StoreError, roll: u64) -> StoreResult<u64> {
        if self.phase == Phase::Cancelled {
            return Err(StoreError::Cancelled);
        }
        if self.phase == Phase::Ended && self.misused {
            return Err(StoreError::UsedDuringCommit);
        }
        if !matches!(error.retry(), Retry::Safe | Retry::MaybeCommitted) {
            self.cancel();
            return Err(error);
        }
        let retries = self.retries;
        self.reset();
        self.retries = retries.saturating_add(1);
        Ok(backoff_ms(&error, retries, roll))
    }

    /// Forgets everything but the committed version (fact 20).
    pub fn reset(&mut self) {
        for reply in self.stamps.drain(..) {
            let _ = reply.send(Err(StoreError::Other(1100)));
        }
        self.fail_waiters(&StoreError::Cancelled);
        let (committed_version, generation) = (self.committed_version, self.generation + 1);
        *self = Self { committed_version, generation, ..Self::default() };
    }

    /// Makes everything fail with [`StoreError::Cancelled`] until a reset.
    pub fn cancel(&mut self) {
        self.phase = Phase::Cancelled;
        self.fail_waiters(&StoreError::Cancelled);
    }

    fn fail_waiters(&mut self, error: &StoreError) {
        fail_watches(std::mem::take(&mut self.watches), error);
        for reply in self.stamps.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
    }
}
