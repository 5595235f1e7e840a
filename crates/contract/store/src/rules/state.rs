//! One transaction on the client's side: everything but the snapshot and the commit itself.
//!
//! ```text
//!   Open ──begin_commit──▶ Committing ──end_commit──▶ Ended
//!     ▲                                                │
//!     └──────────── reset, retry_after ────────────────┘      cancel, a final error ──▶ Cancelled
//! ```

mod ending;

use super::commit::WatchRequest;
use super::{RangeSet, Snapshot, WriteMap, read, validate};
use crate::{
    AtomicOp, Durability, Isolation, KeyRange, KeySelector, Page, RangeRead, StoreError,
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
}
