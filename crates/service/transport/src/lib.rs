//! The transport service: accepting mail on any node, and one actor per slot that categorises and
//! delivers what was accepted.
//!
//! - `accept` is one transaction; the message is durable when it returns, and an answer is there
//!   by the deadline.
//! - `actor` owns the queue of one slot and starts rounds; `round` resolves, expands and delivers;
//!   `settle` writes down what came of it; `bounce` tells the sender; `retry` decides when to try
//!   again; `due` and `wake` wake the slots that have something to do later; `queues` is what both kinds
//!   of queue have in common; `admin` is what an
//!   administrator may do, `list` what is there to be seen.
//! - `pressure` watches what the node is short of, and tells whose mail waits for that.
//! - What is for other servers goes by the send connectors (`connectors`, `routing`) to the queue
//!   of its next hop: `relay`.
//!
//! Inside the cluster delivery is exactly once: the mailbox keeps a dedupe row for each delivery,
//! so a round may be repeated at any time, by any owner.

mod accept;
mod actor;
mod admin;
mod bounce;
mod connectors;
mod context;
mod doors;
mod due;
mod export;
mod follow;
mod forget;
mod guard;
mod list;
mod messages;
mod met;
mod organisation;
mod pressure;
mod queues;
mod receive;
mod relay;
mod remote_domains;
mod reports;
mod retry;
mod round;
mod routing;
mod rules;
mod scanners;
mod service;
mod settle;
mod signing;
mod stage;
mod state;
mod sts;
mod success;
mod survey;
mod table;
mod targets;
mod tracking;
mod wake;

pub use bounce::Language;
pub use context::Config;
pub use pressure::{Monitor, PressureConfig, Thresholds};
pub use service::{Parts, TransportService, start, start_relaying, start_signing};
pub use sts::StoredPolicies;
