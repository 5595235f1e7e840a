//! Who owns what, and how to reach it.
//!
//! One machine runs the code of a cluster: [`SingleNode`] is the [`contract_control::Control`] of
//! an installation with one node. It finds (or founds) the [`Installation`], takes over every slot
//! in the store before anything is served, and from then on answers from memory. [`OwnedRouter`]
//! lets through what this node owns; links to other nodes will stand behind it.

mod confirm;
pub mod detect;
mod installation;
pub mod link;
pub mod pki;
pub mod placement;
pub mod raft;
mod renewal;
mod router;
mod single;
mod takeover;

pub use installation::Installation;
pub use router::OwnedRouter;
pub use single::SingleNode;
