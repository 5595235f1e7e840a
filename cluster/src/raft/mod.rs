//! Raft, behind one thin wall: nobody else in Rialto knows that it is openraft.
//!
//! ```text
//!   RaftNode ── propose(Command) ──▶ leader ──▶ log on a majority's disks ──▶ ClusterState
//!      │  ▲                                        (RaftFile: raft.redb)          │
//!      │  └── serve(from, bytes) ◀── the node links                              ▼
//!      └──── RaftTransport::call ──▶ the node links                  applied(): a watch
//! ```
//!
//! What is replicated is [`crate::placement::ClusterState`] and nothing else: some commands per
//! day, a burst when a node dies. No client's request ever waits for Raft; a node serves from the
//! last state that it has applied, and the fence in the store catches it if that is out of date.
//!
//! How it is used: a node opens its [`RaftFile`] and starts a [`RaftNode`] on it; the founder calls
//! [`RaftNode::found`] once; every node hands what arrives on its links to [`RaftNode::serve`] and
//! follows [`RaftNode::applied`]; the leader calls [`RaftNode::mend_membership`] now and then and
//! proposes what [`crate::detect`] and [`crate::placement::plan`] say.

mod elections;
mod file;
mod log_store;
mod machine;
mod membership;
mod message;
mod network;
mod node;
mod options;
mod quiet;
#[cfg(test)]
mod tests;
mod types;

pub use file::{Identity, RaftFile};
pub use machine::Applied;
pub use network::RaftTransport;
pub use node::{Leadership, RaftNode};
pub use options::RaftOptions;
