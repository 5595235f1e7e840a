//! The seam between callers and actors, wherever the actors run.
//!
//! A caller names a [`Target`] (which service, which key, which slot), hands over a [`Parcel`] and
//! a [`Deadline`], and gets a parcel back. The [`Router`] finds the owner. On the owner's node a
//! [`Host`] takes the parcel and puts it to the right actor. The cluster's router carries parcels
//! between nodes; [`LocalRouter`] serves one node and the tests.

mod local;
mod parcel;

pub use local::{HINT_TIME, HINTS_AT_ONCE, LocalRouter};
pub use parcel::{Message, Parcel};

use crate::deadline::Deadline;
use crate::error::Result;
use crate::{NodeId, Slot};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Which kind of actor is meant. The numbers are part of the protocol between nodes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServiceId(pub u16);

impl ServiceId {
    /// Mailboxes; the key is an [`AccountId`](crate::AccountId).
    pub const MAILBOX: Self = Self(1);
    /// The queue of accepted messages of one slot; the key is the slot's number.
    pub const QUEUE: Self = Self(2);
    /// News of mailboxes for a node that watches them, and of a node's interest for their owners;
    /// the key is an [`AccountId`](crate::AccountId) or 0. Served on every node.
    pub const WAKEUPS: Self = Self(3);
    /// What administrators ask of a certain node; the key is 0. Served on every node.
    pub const ADMIN: Self = Self(4);
    /// The queues of one slot for mail to other servers; the key is the slot's number.
    pub const RELAY: Self = Self(5);

    /// Whether its targets are served by the owner of their slot only. The others are served on
    /// every node, and are asked by node ([`Router::call_node`]).
    pub const fn is_owned(self) -> bool {
        matches!(self, Self::MAILBOX | Self::QUEUE | Self::RELAY)
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MAILBOX => f.write_str("mailbox"),
            Self::QUEUE => f.write_str("queue"),
            Self::WAKEUPS => f.write_str("wakeups"),
            Self::ADMIN => f.write_str("admin"),
            Self::RELAY => f.write_str("relay"),
            Self(other) => write!(f, "service{other}"),
        }
    }
}

impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who is addressed: one actor of one service.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Target {
    /// Which kind of actor.
    pub service: ServiceId,
    /// Which one of them: an account id, a slot number, …; the service says.
    pub key: u128,
    /// The slot it belongs to, which decides on its owner.
    pub slot: Slot,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x} in {}", self.service, self.key, self.slot)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Brings requests to the owner of a target, and replies back.
#[async_trait]
pub trait Router: Send + Sync {
    /// Asks and waits for the reply. The request may reach the target more than once (after a lost
    /// connection or a change of owner), so what it does must be named by a
    /// [`CommandId`](crate::CommandId) or be harmless to repeat.
    ///
    /// # Errors
    /// The target's own; [`Kind::Unavailable`](crate::Kind::Unavailable) if there is no owner,
    /// [`Kind::Timeout`](crate::Kind::Timeout) if the outcome is not known in time.
    async fn call(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel>;

    /// Tells without waiting. May be lost (it is when too many are under way), never blocks: only
    /// for what the target would find out by itself, later.
    fn hint(&self, target: Target, news: Parcel);

    /// Asks the host of the target's service on one node, whoever owns the slot; `node` may be
    /// this one.
    ///
    /// # Errors
    /// As [`Router::call`]; [`Kind::Unavailable`](crate::Kind::Unavailable) if there is no way to
    /// the node now.
    async fn call_node(
        &self,
        node: NodeId,
        target: Target,
        request: Parcel,
        deadline: Deadline,
    ) -> Result<Parcel>;

    /// Tells the host of the target's service on one node, as [`Router::hint`] does.
    fn hint_node(&self, node: NodeId, target: Target, news: Parcel);
}

impl dyn Router {
    /// [`Router::call`] with the parcels packed and opened.
    ///
    /// # Errors
    /// As [`Router::call`] and [`Parcel::open`].
    pub async fn ask<Q: Message, A: Message>(
        &self,
        target: Target,
        request: Q,
        deadline: Deadline,
    ) -> Result<A> {
        self.call(target, Parcel::typed(request), deadline).await?.open()
    }
}

/// What a service registers on each node, to serve its targets there.
#[async_trait]
pub trait Host: Send + Sync {
    /// Serves one request, or one hint, whose reply then goes nowhere. The future is dropped when
    /// the deadline passes: work that must be finished belongs into an actor.
    ///
    /// # Errors
    /// The service's own; [`Kind::Fenced`](crate::Kind::Fenced) if this node does not own the
    /// target's slot any more.
    async fn handle(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel>;

    /// These slots are this node's from now on, and their fences are in the store: what waits in
    /// them may go on. Returns at once.
    fn gained(&self, _slots: &[Slot]) {}

    /// These slots belong to others by now: actors of theirs are of no use any more (they could
    /// not commit anything). Returns at once.
    fn lost(&self, _slots: &[Slot]) {}

    /// This slot is about to be given to another node, but the router still brings requests for it.
    /// Work that may take longer than those can wait comes to its end, and no more of it is begun.
    /// [`Host::release`] comes next, or [`Host::gained`] if the slot stays.
    ///
    /// # Errors
    /// [`Kind::Timeout`](crate::Kind::Timeout) if something still runs at the deadline; the fence
    /// takes care of it.
    async fn prepare(&self, _slot: Slot, _deadline: Deadline) -> Result<()> {
        Ok(())
    }

    /// This slot is about to be given to another node, and the router brings no more requests for
    /// it: what runs is finished, nothing new is begun, its actors are unloaded.
    ///
    /// # Errors
    /// [`Kind::Timeout`](crate::Kind::Timeout) if something still runs at the deadline; the fence
    /// takes care of it.
    async fn release(&self, _slot: Slot, _deadline: Deadline) -> Result<()> {
        Ok(())
    }
}
