//! Links between nodes: one connection for each pair, over which both ask each other.
//!
//! [`Links`] keeps a link to every other node: the node with the lower id dials, the other one
//! accepts, and a link that breaks is dialled again with growing, scattered waits. The cluster
//! tells it who the others are ([`Links::set_peers`]); the remote router asks through
//! [`Links::call`] and [`Links::hint`], Raft through the control lane of the same link, and what
//! the others ask arrives at a [`LinkHandler`] ([`DeliverTo`] hands it to this node's router).
//!
//! A link is TLS 1.3 with certificates on both sides ([`crate::pki`]) over a stream of
//! [`base::env::Network`], so the simulation can run it. Over it go length-limited frames
//! ([`frame`]): a hello that settles who both are and which schema they speak, then requests,
//! replies, failures, hints, cancellations, credits, pings.
//!
//! Everything is bounded. Each side grants the other a [`Window`] per [`Lane`]: so many requests
//! and bytes may be unanswered. Who finds no credit waits for it until its deadline and is told
//! [`Kind::Overloaded`](base::Kind::Overloaded) then, or at once if too many wait already; nothing
//! is buffered for a peer that does not read. A peer that sends more than it was granted, or
//! anything else that it must not, loses its link.
//!
//! When a link breaks, every call that was under way fails and says whether its request may have
//! been executed ([`CallError::executed`]): the caller repeats what certainly was not, and asks
//! again under the same command id for what may have been.

mod connection;
mod error;
pub mod frame;
mod handler;
mod hello;
mod inbound;
mod joining;
mod outgoing;
mod peer;
mod pool;
mod reading;
mod security;
mod settings;
mod waiting;
mod window;

pub use connection::{Link, LinkStatus};
pub use error::{CallError, Executed};
pub use handler::{DeliverTo, Incoming, JoinHandler, LinkHandler};
pub use hello::Hello;
pub use joining::ask_to_join;
pub use outgoing::Outbound;
pub use pool::{Links, LinksSetup, PeerStatus};
pub use security::Security;
pub use settings::LinkSettings;
pub use window::{Lane, Window, Windows};

#[cfg(test)]
mod tests;
