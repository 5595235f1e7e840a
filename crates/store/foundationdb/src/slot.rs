//! What stands behind a transaction at each moment.
//!
//! ```text
//!          ┌──── commit ───▶ Committing ───▶ Committed, Failed ──┐
//!   Open ──┤                                                     ├── reset, on_error ──▶ Open
//!     ▲    └──── on_error ─▶ Away ── back-off ──▶ Open           │
//!     └──────────── reset ── Cancelled ◀── cancel, final error ──┘
//! ```
//!
//! The client's transaction moves through these states by value, so that nothing can be called on
//! it during its commit. A reset while it is away (its commit or back-off is under way) puts a
//! fresh one in its place; what was away is then not let in again.

use crate::Shared;
use crate::errors;
use contract_store::{Isolation, Retry, StoreError, StoreResult, Version};
use foundationdb::{
    FdbError, FdbResult, Transaction, TransactionCancelled, TransactionCommitError,
    TransactionCommitted,
};
use futures::FutureExt;
use futures::future::BoxFuture;

/// What a mutation and a conflict range take beyond their keys and values, in bytes
/// (`fdb-vectors`, `limits.jsonl`).
const MUTATION_BYTES: usize = 44;
const CONFLICT_BYTES: usize = 24;

enum Phase {
    Open(Transaction),
    Committing,
    Committed(TransactionCommitted),
    Failed(TransactionCommitError),
    /// The back-off of `on_error` has it, or it could not be made.
    Away,
    Cancelled(Option<TransactionCancelled>),
}

pub(crate) struct Slot {
    phase: Phase,
    /// Raised by every reset; an old one's commit or back-off finds nobody to report to.
    generation: u64,
    committed_version: Version,
    size_bytes: usize,
    /// Fails every read and the commit.
    deferred: Option<StoreError>,
    /// Fails the commit only.
    commit_error: Option<StoreError>,
    /// Something was called during or after the commit.
    misused: bool,
}

/// The back-off of `on_error`.
pub(crate) type BackOff = BoxFuture<'static, FdbResult<Transaction>>;

impl Slot {
    pub(crate) fn new(shared: &Shared) -> Self {
        let mut slot = Self {
            phase: Phase::Away,
            generation: 0,
            committed_version: -1,
            size_bytes: 0,
            deferred: None,
            commit_error: None,
            misused: false,
        };
        slot.renew(shared);
        slot
    }

    /// Puts a new transaction in; if none can be made, everything fails with the reason.
    fn renew(&mut self, shared: &Shared) {
        match shared.begin() {
            Ok(transaction) => self.phase = Phase::Open(transaction),
            Err(error) => {
                self.phase = Phase::Away;
                self.deferred = Some(error);
            }
        }
    }

    /// The transaction, if reads may go on.
    pub(crate) fn usable(&mut self) -> StoreResult<&Transaction> {
        match (&self.phase, &self.deferred) {
            (Phase::Cancelled(_), _) => Err(StoreError::Cancelled),
            (_, Some(error)) => Err(error.clone()),
            (Phase::Open(transaction), None) => Ok(transaction),
            _ => {
                self.misused = true;
                Err(StoreError::UsedDuringCommit)
            }
        }
    }

    /// The transaction, if it takes a write; a mistake is deferred, misuse is noted.
    pub(crate) fn takes(
        &mut self,
        legal: StoreResult<()>,
        key_bytes: usize,
        payload_bytes: usize,
    ) -> Option<&Transaction> {
        let Phase::Open(transaction) = &self.phase else {
            self.misused = true;
            return None;
        };
        if let Err(error) = legal {
            self.deferred.get_or_insert(error);
            return None;
        }
        self.size_bytes += MUTATION_BYTES + CONFLICT_BYTES + payload_bytes + 2 * key_bytes + 1;
        Some(transaction)
    }

    /// The transaction, if it takes a conflict range: an inverted one is refused and does no harm,
    /// any other mistake spoils the commit.
    pub(crate) fn takes_conflict(
        &mut self,
        legal: StoreResult<()>,
        bytes: usize,
    ) -> StoreResult<Option<&Transaction>> {
        match legal {
            Err(StoreError::InvertedRange) => return Err(StoreError::InvertedRange),
            Err(error) => {
                self.commit_error.get_or_insert(error);
                return Ok(None);
            }
            Ok(()) => {}
        }
        let Phase::Open(transaction) = &self.phase else {
            self.misused = true;
            return Ok(None);
        };
        self.size_bytes += CONFLICT_BYTES + bytes;
        Ok(Some(transaction))
    }

    /// Counts a read's conflict range.
    pub(crate) fn has_read(&mut self, bytes: usize, isolation: Isolation) {
        if isolation == Isolation::Serializable {
            self.size_bytes += CONFLICT_BYTES + bytes;
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn committed_version(&self) -> Version {
        self.committed_version
    }

    /// Takes the transaction out for its commit; with the number to come back with.
    pub(crate) fn begin_commit(&mut self) -> StoreResult<(Transaction, u64)> {
        self.usable()?;
        if let Some(error) = &self.commit_error {
            return Err(error.clone());
        }
        match std::mem::replace(&mut self.phase, Phase::Committing) {
            Phase::Open(transaction) => Ok((transaction, self.generation)),
            other => {
                self.phase = other;
                Err(StoreError::UsedDuringCommit)
            }
        }
    }

    /// Notes how the commit ended, and its version.
    pub(crate) fn end_commit(
        &mut self,
        generation: u64,
        outcome: Result<TransactionCommitted, TransactionCommitError>,
        version: Version,
    ) {
        if self.generation != generation || !matches!(self.phase, Phase::Committing) {
            return;
        }
        self.committed_version = version;
        self.phase = match outcome {
            Ok(committed) => Phase::Committed(committed),
            Err(failed) => Phase::Failed(failed),
        };
    }

    /// Takes the transaction out for its back-off; with the number to come back with.
    pub(crate) fn begin_retry(
        &mut self,
        shared: &Shared,
        error: &StoreError,
    ) -> StoreResult<(BackOff, u64)> {
        match &self.phase {
            Phase::Cancelled(_) => return Err(StoreError::Cancelled),
            Phase::Committing => return Err(StoreError::UsedDuringCommit),
            Phase::Committed(_) | Phase::Failed(_) if self.misused => {
                return Err(StoreError::UsedDuringCommit);
            }
            _ => {}
        }
        if !matches!(error.retry(), Retry::Safe | Retry::MaybeCommitted) {
            self.cancel();
            return Err(error.clone());
        }
        let cause = FdbError::from_code(error.code());
        let back_off = match std::mem::replace(&mut self.phase, Phase::Away) {
            // Keeps what the client knows of the failed commit.
            Phase::Failed(failed) if failed.code() == cause.code() => failed.on_error().boxed(),
            Phase::Failed(failed) => failed.reset().on_error(cause).boxed(),
            Phase::Open(transaction) => transaction.on_error(cause).boxed(),
            Phase::Committed(committed) => committed.reset().on_error(cause).boxed(),
            Phase::Committing | Phase::Cancelled(_) | Phase::Away => {
                shared.begin()?.on_error(cause).boxed()
            }
        };
        self.forget();
        Ok((back_off, self.generation))
    }

    /// Takes the transaction back after its back-off.
    pub(crate) fn end_retry(
        &mut self,
        generation: u64,
        outcome: FdbResult<Transaction>,
    ) -> StoreResult<()> {
        let ours = self.generation == generation && matches!(self.phase, Phase::Away);
        match outcome {
            Ok(transaction) if ours => self.phase = Phase::Open(transaction),
            Err(error) => {
                if ours {
                    self.phase = Phase::Cancelled(None);
                }
                return Err(errors::of_read(error));
            }
            Ok(_) => {}
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.generation += 1;
        self.size_bytes = 0;
        self.deferred = None;
        self.commit_error = None;
        self.misused = false;
    }

    /// Forgets everything but the committed version.
    pub(crate) fn reset(&mut self, shared: &Shared) {
        self.forget();
        let old = match std::mem::replace(&mut self.phase, Phase::Away) {
            Phase::Open(mut transaction) => {
                transaction.reset();
                Some(transaction)
            }
            Phase::Committed(committed) => Some(committed.reset()),
            Phase::Failed(failed) => Some(failed.reset()),
            Phase::Cancelled(cancelled) => cancelled.map(TransactionCancelled::reset),
            Phase::Committing | Phase::Away => None,
        };
        match old {
            Some(transaction) => self.phase = Phase::Open(transaction),
            None => self.renew(shared),
        }
    }

    /// Makes everything fail until a reset. A commit that is under way goes on to its end: it may
    /// have happened already.
    pub(crate) fn cancel(&mut self) {
        let cancelled = match std::mem::replace(&mut self.phase, Phase::Cancelled(None)) {
            Phase::Open(transaction) => Some(transaction.cancel()),
            Phase::Committed(committed) => Some(committed.reset().cancel()),
            Phase::Failed(failed) => Some(failed.reset().cancel()),
            Phase::Cancelled(cancelled) => cancelled,
            Phase::Committing | Phase::Away => None,
        };
        self.generation += 1;
        self.phase = Phase::Cancelled(cancelled);
    }
}
