//! What a transaction hands to its backend to commit, and what follows from the outcome.

use super::{Mutation, RangeSet};
use crate::{Durability, Retry, StoreError, StoreResult, Version};
use bytes::Bytes;
use futures::channel::oneshot;

/// A watch that waits for its transaction's commit, or for the change.
#[derive(Debug)]
pub struct WatchRequest {
    /// The watched key.
    pub key: Bytes,
    /// What the transaction saw there when the watch was set.
    pub expected: Option<Bytes>,
    /// Who waits.
    pub reply: oneshot::Sender<StoreResult<()>>,
}

/// What a backend needs to commit.
#[derive(Debug, Default)]
pub struct CommitRequest {
    /// The version that was read, if anything was.
    pub read_version: Option<Version>,
    /// What must not have changed since.
    pub reads: RangeSet,
    /// What counts as written besides the mutations.
    pub writes: RangeSet,
    /// The writes in order; [`Mutation::resolve`] them with the stamp.
    pub mutations: Vec<Mutation>,
    /// To be registered if the commit succeeds, else failed.
    pub watches: Vec<WatchRequest>,
    /// When to report.
    pub durability: Durability,
    /// Size of mutations and conflict ranges, in bytes.
    pub size_bytes: usize,
    pub(super) generation: u64,
}

impl CommitRequest {
    /// Whether there is nothing to write: such a commit always succeeds.
    pub fn is_read_only(&self) -> bool {
        self.mutations.is_empty() && self.writes.is_empty()
    }
}

/// Fails all watches of a commit that failed.
pub(super) fn fail_watches(watches: Vec<WatchRequest>, error: &StoreError) {
    for watch in watches {
        // Nobody may be listening any more.
        let _ = watch.reply.send(Err(error.clone()));
    }
}

/// Says which commit of a transaction's life it was; from [`CommitRequest::ticket`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitTicket(pub(super) u64);

impl CommitRequest {
    /// To be given to [`super::TransactionState::end_commit`].
    pub fn ticket(&self) -> CommitTicket {
        CommitTicket(self.generation)
    }
}

/// The error of a stamp whose commit failed so.
pub(super) fn stamp_error(error: &StoreError) -> StoreError {
    match error.retry() {
        Retry::Safe | Retry::MaybeCommitted => StoreError::NotCommitted,
        Retry::MayLandLate | Retry::Never => error.clone(),
    }
}

/// How long to wait before the next attempt, in milliseconds: about 10 for versions that are too
/// old or too new, else doubling from 10 up to 1,000, with jitter (fact 10).
pub fn backoff_ms(error: &StoreError, retries: u32, roll: u64) -> u64 {
    if matches!(error, StoreError::TooOld | StoreError::FutureVersion) {
        return 10;
    }
    let ceiling = 10_u64.saturating_mul(1 << retries.min(10)).min(1_000);
    1 + roll % ceiling
}
