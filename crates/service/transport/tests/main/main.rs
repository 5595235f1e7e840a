//! The transport service over the real mailbox and directory services, on the store that
//! `RIALTO_TEST_STORE` names.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod accept;
mod contract;
mod endurance;
mod expiry;
mod faults;
mod groups;
mod late;
mod listing;
mod owners;
#[path = "../../../mailbox/tests/placement.rs"]
mod placement;
mod reports;
mod retries;
mod takeover;
mod together;
mod world;
