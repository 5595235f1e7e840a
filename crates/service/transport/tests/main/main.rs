//! The transport service over the real mailbox and directory services and a simulated store.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod accept;
mod faults;
mod groups;
mod reports;
mod retries;
mod world;
