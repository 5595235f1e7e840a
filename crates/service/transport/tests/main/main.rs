//! The transport service over the real mailbox and directory services, on the store that
//! `RIALTO_TEST_STORE` names.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod accept;
mod connectors;
mod contract;
mod courier;
mod dmarc_reports;
mod endurance;
mod expiry;
mod faults;
mod forwarding;
mod groups;
mod inspecting;
mod languages;
mod late;
mod listing;
mod lost_ways;
mod outgoing;
mod owners;
#[path = "../../../mailbox/tests/placement.rs"]
mod placement;
mod pressure;
mod received_reports;
mod receiving;
mod relay_admin;
mod relay_faults;
mod relay_times;
mod remote_domains;
mod reports;
mod restrictions;
mod resubmit;
mod retries;
mod rules;
mod scanners;
mod signing;
mod takeover;
mod tls_reports;
mod together;
mod tracking;
mod world;
