//! Who owns what, and how to reach it.
//!
//! One machine runs the code of a cluster: [`SingleNode`] is the [`contract_control::Control`] of
//! an installation with one node. It finds (or founds) the [`Installation`], takes over every slot
//! in the store before anything is served, and from then on answers from memory; [`OwnedRouter`]
//! lets through what this node owns.
//!
//! A node of a cluster is a [`ClusterNode`] ([`member`]), put together from parts that know little
//! of each other:
//!
//! ```text
//!   placement  who is there and owns what: a pure state and its planner
//!   raft       replicates it                  detect  who is dead: pure, too
//!   fences     makes it true in the store     link, pki  connections between nodes
//!   route      finds the owner, and brings requests there
//! ```

mod confirm;
#[cfg(test)]
mod cost_tests;
pub mod detect;
#[allow(dead_code, reason = "its tests drive it step by step")]
mod fences;
mod installation;
pub mod link;
pub mod member;
pub mod pki;
pub mod placement;
pub mod raft;
mod renewal;
#[allow(unused_imports, reason = "its tests name what the member need not")]
mod route;
mod router;
mod single;
mod takeover;

pub use installation::Installation;
pub use member::{ClusterNode, ClusterSetup, JoinSetup, MemberOptions, join_cluster};
pub use router::OwnedRouter;
pub use single::SingleNode;
