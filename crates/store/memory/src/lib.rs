//! The store contract as a deterministic simulation that injects faults.
//!
//! A [`MemoryStore`] keeps all versions of the last five seconds, checks conflicts as FoundationDB
//! does, and loses everything with the process. It is the reference that other backends are
//! compared with, and what the tests of every service run on:
//!
//! ```
//! # use store_memory::MemoryStore;
//! # use contract_store::Store;
//! let store = MemoryStore::default();          // own clock, own seed, no faults
//! let transaction = store.begin();
//! transaction.set(b"key", b"value");
//! ```
//!
//! Nothing in it depends on anything but its clock, its seed and the order of the calls: the same
//! seed on a single-threaded runtime gives the same [`StoreStats::trace`].
//!
//! [`MemoryStore::inject`] makes it fail at random, [`MemoryStore::fail_next_commit`] on command.
//!
//! [`parts`] are for the stand-in for FoundationDB, which keeps its rows in the same way.

mod clock;
mod engine;
mod faults;
mod mvcc;
mod store;
mod transaction;
mod watch;

pub use clock::ManualClock;
pub use faults::{CommitFault, Faults, StoreStats};
pub use store::MemoryStore;

/// What another simulation of a store can be built from.
pub mod parts {
    pub use crate::faults::Dice;
    pub use crate::mvcc::Mvcc;
    pub use crate::watch::Watches;
}
