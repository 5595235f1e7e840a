//! What makes a node a member of its cluster: identity, links, Raft, detection, fences and moves,
//! put together.
//!
//! ```text
//!   no identity ──start──▶ founded ─┐
//!        │                          ├──▶ started ──begin──▶ living ──leave──▶ draining ──stop──▶
//!        └──join_cluster──▶ member ─┘       ▲                 │  ▲
//!                                           └──── restart ────┘  └─ declared dead and back
//! ```
//!
//! - A node *starts* with what stands in `data/cluster/` ([`ClusterNode::start`]): it listens,
//!   links up with the others and takes part in Raft. Services can be built on its control and
//!   router meanwhile.
//! - It *begins* when they are registered ([`ClusterNode::begin`]): it sends heartbeats, is
//!   declared alive, and takes its slots in the store.
//! - What the leader decides is in `lead`, how slots are moved in `moving`, what every node does
//!   as states are applied in `follow`. Each is a task that ends with the node; none waits for
//!   another.
//!
//! Nothing here decides who may write: that is the fence in the store. All of this may be late,
//! wrong or twice, and costs time only.

mod admin;
mod admission;
mod exchange;
mod follow;
mod founding;
mod identity;
mod join;
mod lead;
mod loads;
mod moving;
mod node;
mod outlook;
mod roster;
mod rows;
mod setup;
mod shared;
#[cfg(test)]
mod tests;
mod watching;

pub use join::join_cluster;
pub use node::ClusterNode;
pub(crate) use rows::ClusterRow;
pub use setup::{ClusterSetup, JoinSetup, MemberOptions};
