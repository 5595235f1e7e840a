//! The directory: accepted domains, mailboxes, aliases, groups, passwords, quotas.
//!
//! Everything stands in the store; a node holds caches only. How the parts meet:
//!
//! ```text
//! change/*  one transaction: rows + audit record + feed row + operation marker   (run.rs)
//! trim      feed entries and audit records that have had their time go
//! purge     mailboxes of accounts removed long ago are purged
//! feed      one watch per node on the feed's head; what it names leaves the caches
//! verify    reads every row and looks whether all of them fit together
//! watch     and wakes the sessions that wait for news of an account
//! resolve   exact name → account or group; positives from the cache, negatives from the store
//! login/*   verified-password cache → throttle → argon2id on its own threads
//! ```
//!
//! **Freshness.** A node that made a change sees it at once: its caches drop the thing before the
//! call returns. Other nodes follow the feed, normally within milliseconds; a lost wake-up is
//! made good by the poll ([`DirectoryConfig::poll_ms`]). A node that has not managed to read the
//! feed for [`DirectoryConfig::stale_after_ms`] stops trusting its caches and reads the store for
//! every answer, so that is the bound on the age of a positive answer. Negative answers are read
//! from the store each time and are never stale.
//!
//! **Time.** A lookup or sign-in waits ten seconds for the store at most and then says that it is
//! unavailable; larger work (lists, expanding a group) does so for each of its transactions.

mod account;
mod bootstrap;
mod cache;
mod change;
mod config;
mod expand;
mod feed;
mod found;
mod keys;
mod list;
mod login;
pub mod moving;
mod names;
mod purge;
mod read;
mod resolve;
mod rows;
mod service;
mod shares;
mod telemetry;
mod trim;
mod validate;
mod verify;
mod watch;

pub use bootstrap::Bootstrap;
pub use config::{DirectoryConfig, HashParameters};
pub use login::throttle::{Policy, ThrottleConfig};
pub use service::DirectoryService;
pub use verify::{Report, verify};
