//! A world of real processes, faults, a workload, an oracle, and one file per invariant.
//!
//! ```text
//! scenario ─▶ world (processes) ◀─ fault
//!     │           ▲
//!     ├─▶ workload┘──▶ ledger (what was acknowledged)
//!     └─▶ observe ──▶ checkers (one invariant each) ◀─ ledger
//! ```
//!
//! A scenario is a seeded story: start a node, load it, hurt it, heal it, look at what is there,
//! and hold that against what was acknowledged. The seed fixes the workload and the plan of the
//! faults; the operating system fixes the rest, so a replay is near, not exact.
// This program drives real processes in real time; the rules for servers do not concern it.
#![allow(clippy::disallowed_methods)]

pub mod admin;
pub mod binary;
pub mod checkers;
pub mod cluster;
pub mod failure;
pub mod fault;
pub mod figures;
pub mod history;
pub mod imap;
pub mod journal;
pub mod ledger;
pub mod message;
pub mod net;
pub mod observe;
pub mod ports;
pub mod random;
pub mod roundtrip;
pub mod scenario;
pub mod schedule;
pub mod smtp;
pub mod standin;
pub mod switch;
pub mod workload;
pub mod world;
