//! How a transaction ends and begins anew: commit, retry, reset, cancel.

use super::{Phase, TransactionState};
use crate::limits::TRANSACTION_BYTES_MAX;
use crate::rules::backoff_ms;
use crate::rules::commit::{CommitRequest, CommitTicket, WatchRequest, fail_watches, stamp_error};
use crate::{Retry, StoreError, StoreResult, Version, Versionstamp};

impl TransactionState {
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
