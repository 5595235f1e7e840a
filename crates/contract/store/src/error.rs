//! Why a store operation failed, and what may be done about it.
//!
//! Each variant stands for a FoundationDB error code ([`StoreError::code`]), so that the recorded
//! behaviour of the real database can be compared directly. What a caller must know is
//! [`StoreError::retry`].

use bytes::Bytes;
use thiserror::Error as ThisError;

/// The result of a store operation.
pub type StoreResult<T> = Result<T, StoreError>;

/// What went wrong in the store.
#[derive(Clone, Debug, PartialEq, Eq, ThisError)]
pub enum StoreError {
    /// 1007: the read version is older than five seconds.
    #[error("the transaction is too old")]
    TooOld,
    /// 1009: the read version lies in the future.
    #[error("the read version lies in the future")]
    FutureVersion,
    /// 1020: somebody changed what was read.
    #[error("conflict with another transaction")]
    Conflict,
    /// 1021: the commit may or may not have happened; it will not happen later.
    #[error("it is not known whether the commit happened")]
    CommitUnknown,
    /// 1025: cancelled. A commit in flight may still happen later: re-fence before relying on it.
    #[error("cancelled; a commit in flight may still happen")]
    Cancelled,
    /// 1031: timed out; like [`StoreError::Cancelled`]. We never set timeouts; a backend may.
    #[error("timed out; a commit in flight may still happen")]
    TimedOut,
    /// 1036: reads a key that a pending versionstamp of the same transaction will write.
    #[error("the key waits for a versionstamp of this transaction")]
    Unreadable,
    /// 1037, 1042, 1051, 1078, 1213 and the like: the store is busy or behind; code inside.
    #[error("the store is busy (code {0})")]
    Busy(i32),
    /// 2004: a key outside what users may use.
    #[error("the key is outside the legal range")]
    KeyOutsideLegalRange,
    /// 2005: the range ends before it begins.
    #[error("the range ends before it begins")]
    InvertedRange,
    /// 2017: used after or during its commit.
    #[error("the transaction was used during or after its commit")]
    UsedDuringCommit,
    /// 2020: the commit whose stamp was asked for failed with a conflict or unknown.
    #[error("the commit was not made, so it has no versionstamp")]
    NotCommitted,
    /// 2021: a read-only transaction has no commit version.
    #[error("a read-only transaction has no commit version")]
    NoCommitVersion,
    /// 2101: over 10,000,000 bytes.
    #[error("the transaction is larger than 10,000,000 bytes")]
    TransactionTooLarge,
    /// 2102: a key over 10,000 bytes.
    #[error("a key is larger than 10,000 bytes")]
    KeyTooLarge,
    /// 2103: a value over 100,000 bytes.
    #[error("a value is larger than 100,000 bytes")]
    ValueTooLarge,
    /// 1032: over the number of watches that one client may have.
    #[error("too many watches")]
    TooManyWatches,
    /// 1038: an operator locked the database.
    #[error("the database is locked")]
    Locked,
    /// No room on the disk. Nothing was written; reads go on.
    #[error("no space left on the device")]
    OutOfSpace,
    /// What is stored for this key cannot be trusted: its checksum is wrong. Everything else is
    /// served as before; a range can be read on from behind the key.
    #[error("the row with key {} is damaged: {what}", key.escape_ascii())]
    Damaged {
        /// The damaged row; empty where it is not even known which rows it concerns.
        key: Bytes,
        /// How it shows.
        what: String,
    },
    /// The store has stopped for good: a sync failed, it was closed. The text says what and where.
    #[error("the store has stopped: {0}")]
    Stopped(String),
    /// Writing is stopped for a while, on purpose; reading goes on. Nothing was written, and nothing
    /// of the commit can land. The text says why.
    #[error("writing is stopped: {0}")]
    Closed(String),
    /// Any other code of a backend.
    #[error("store error {0}")]
    Other(i32),
}

/// What a caller may do after an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Nothing happened; run the transaction again.
    Safe,
    /// It may have happened but cannot happen later: read the transaction's own marker, then
    /// decide.
    MaybeCommitted,
    /// It may have happened or happen later: raise the fence's renewal first, then as
    /// [`Retry::MaybeCommitted`].
    MayLandLate,
    /// Trying again will not help.
    Never,
}

impl StoreError {
    /// What may be done.
    pub fn retry(&self) -> Retry {
        match self {
            Self::TooOld | Self::FutureVersion | Self::Conflict | Self::Busy(_) | Self::Locked => {
                Retry::Safe
            }
            Self::CommitUnknown => Retry::MaybeCommitted,
            Self::Cancelled | Self::TimedOut => Retry::MayLandLate,
            _ => Retry::Never,
        }
    }

    /// The FoundationDB error code; 1510 (`io_error`) for what only we have.
    pub fn code(&self) -> i32 {
        match self {
            Self::TooOld => 1007,
            Self::FutureVersion => 1009,
            Self::Conflict => 1020,
            Self::CommitUnknown => 1021,
            Self::Cancelled => 1025,
            Self::TimedOut => 1031,
            Self::TooManyWatches => 1032,
            Self::Unreadable => 1036,
            Self::Locked => 1038,
            Self::OutOfSpace | Self::Damaged { .. } | Self::Stopped(_) | Self::Closed(_) => 1510,
            Self::KeyOutsideLegalRange => 2004,
            Self::InvertedRange => 2005,
            Self::UsedDuringCommit => 2017,
            Self::NotCommitted => 2020,
            Self::NoCommitVersion => 2021,
            Self::TransactionTooLarge => 2101,
            Self::KeyTooLarge => 2102,
            Self::ValueTooLarge => 2103,
            Self::Busy(code) | Self::Other(code) => *code,
        }
    }

    /// The error for a FoundationDB code.
    pub fn from_code(code: i32) -> Self {
        match code {
            1007 => Self::TooOld,
            1009 => Self::FutureVersion,
            1020 => Self::Conflict,
            1021 => Self::CommitUnknown,
            1025 => Self::Cancelled,
            1031 => Self::TimedOut,
            1032 => Self::TooManyWatches,
            1036 => Self::Unreadable,
            1037 | 1042 | 1051 | 1078 | 1079 | 1213 | 1223 => Self::Busy(code),
            1038 => Self::Locked,
            2004 => Self::KeyOutsideLegalRange,
            2005 => Self::InvertedRange,
            2017 => Self::UsedDuringCommit,
            2020 => Self::NotCommitted,
            2021 => Self::NoCommitVersion,
            2101 => Self::TransactionTooLarge,
            2102 => Self::KeyTooLarge,
            2103 => Self::ValueTooLarge,
            other => Self::Other(other),
        }
    }
}

impl From<StoreError> for base::Error {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::OutOfSpace => {
                Self::new(base::Kind::OutOfSpace, "Insufficient system storage").detail(error)
            }
            StoreError::Damaged { .. } => Self::corrupt(error),
            StoreError::Stopped(_) => Self::unavailable(error),
            // Not "unavailable": that would leave whoever asked in doubt about what he has written.
            StoreError::Closed(_) => {
                let text = "Nothing can be changed for a while; reading goes on";
                Self::new(base::Kind::Overloaded, text).detail(error)
            }
            other if other.retry() != Retry::Never => Self::unavailable(error),
            _ => Self::internal(format!("store: {error}")),
        }
    }
}
