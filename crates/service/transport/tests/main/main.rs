//! The transport service over the real mailbox and directory services, on the store that
//! `RIALTO_TEST_STORE` names.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod accept;
mod endurance;
mod expiry;
mod faults;
mod groups;
mod late;
mod listing;
mod owners;
mod reports;
mod retries;
mod together;
mod world;
