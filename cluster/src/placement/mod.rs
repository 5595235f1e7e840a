//! Who is in the cluster and which node owns which slot: the state that Raft replicates.
//!
//! ```text
//!             proposes Command                       applies, in the log's order
//!   planner ───────────────────▶ Raft (crate::raft) ─────────────────────────────▶ ClusterState
//!   (leader, pure functions)                                                       (every node)
//! ```
//!
//! [`ClusterState`] is a pure state machine: [`ClusterState::apply`] decides nothing that depends
//! on time, chance or floating point. Whatever needs judgement (where the slots of a dead node go,
//! what to rebalance, who votes) is computed on the leader by [`plan`] and travels *in* the
//! command, together with the epochs and boots that it was computed from. A command whose
//! assumptions no longer hold is refused or skipped slot by slot, so every command may be proposed
//! again after an unknown outcome, and two binaries whose planners differ still agree.
//!
//! Nothing here makes anybody the owner in the eyes of the store: that is the row `F/slot`
//! ([`contract_control::Fence`]), which the new owner writes with the epoch it finds here.

mod apply;
mod command;
mod moves;
mod nodes;
pub mod plan;
mod state;
#[cfg(test)]
pub(crate) mod tests;

pub use command::{
    Command, MoveAction, MoveStep, NodeProfile, Outcome, Refusal, Reply, Share, SlotAt, Spread,
};
pub use state::{ClusterState, Move, Node, NodeState, Phase, SlotOwner};
