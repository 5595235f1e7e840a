//! The judgement behind the commands, as pure functions that run on the leader.
//!
//! - [`takeover`]: where the slots of a dead node go; [`orphans`]: slots without an owner.
//! - [`rebalance`]: planned moves that empty draining nodes and even out the load.
//! - [`membership`]: the next change of Raft's voters and learners.
//!
//! All measure with one scale ([`Loads`]): a slot weighs a quarter by being there and three
//! quarters by the load that its owner reports, so idle slots are spread as well, and a count and
//! a load never pull in two directions. Which slot goes where, among equals, is decided by
//! weighted rendezvous hashing, so a node that comes back gets much the same slots again.
//!
//! Floating point is fine here: what is decided travels in the command.

mod ledger;
mod loads;
mod membership;
mod rebalance;
mod rendezvous;
mod takeover;

pub use loads::Loads;
pub use membership::{MembershipStep, VOTERS_MAX, membership};
pub use rebalance::{Limits, Plan, rebalance};
pub use rendezvous::{preferred, score};
pub use takeover::{orphans, takeover};
