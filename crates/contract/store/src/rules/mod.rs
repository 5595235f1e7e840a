//! The parts of the store contract that every backend of ours computes in the same way.
//!
//! Everything here is pure: no clock, no locks, no input or output. A backend brings a
//! [`Snapshot`] of one version and a way to commit; [`TransactionState`] does the rest of a
//! transaction: reading its own writes, collecting conflict ranges, deferring errors, counting
//! bytes. [`RecentWrites`] answers whether a commit conflicts, [`Mutation::resolve`] puts the
//! versionstamp in.
//!
//! The behaviour follows the recorded vectors of the real FoundationDB (`fdb-vectors/README.md`);
//! "fact N" in comments is a number in its list.

pub mod atomic;
pub mod commit;
pub mod cursor;
pub mod range_set;
pub mod read;
pub mod recent_writes;
pub mod stamp;
pub mod state;
#[cfg(test)]
mod tests;
pub mod validate;
pub mod write_map;

pub use commit::{CommitRequest, CommitTicket, WatchRequest, backoff_ms};
pub use cursor::{Cursor, Snapshot};
pub use range_set::RangeSet;
pub use recent_writes::RecentWrites;
pub use state::TransactionState;
pub use write_map::{Mutation, WriteMap};
