//! Finding the owner of a target, and bringing requests there.
//!
//! ```text
//!   session ─▶ ClusterRouter ─┬─ mine and served ─▶ LocalRouter ─▶ host ─▶ actor
//!                             ├─ another node's ──▶ Carrier ═══ link ═══▶ Dispatch ─▶ LocalRouter
//!                             └─ nobody serves it ▶ waits for a newer state, or for the fence
//! ```
//!
//! Who owns a slot, this node takes from the last state that Raft has applied here; it may be out
//! of date, and the fence in the store catches that: the request comes back as
//! [`Kind::Fenced`](base::Kind::Fenced) and is sent again to the owner that a newer state names. So
//! a caller sees a takeover or a planned move as a pause, and nothing else.
//!
//! **Every request may have to be sent twice**: to a local owner that turns out to have been
//! overtaken as well as over a link. So the router keeps the encoded form of what it hands over.
//! Hosts take the value itself and use it up, and only the store can tell that the slot was lost,
//! when it is too late to ask for it back. Requests are small, bodies of messages travel as
//! references to blobs; `what_a_spare_copy_costs` in the tests shows the price beside that of a whole
//! call. It is small against an actor's turn and a transaction. Encoding only when there is reason
//! for doubt would be free but wrong: a node that was stopped for a while (a virtual machine that
//! moves) had no doubts before.
//!
//! **Nothing waits for ever**: a call ends with its deadline, and eight seconds after its trouble
//! began (an owner that falls silent was in trouble before its link is found dead) with [`Kind::Unavailable`](base::Kind::Unavailable). What waits is bounded for each slot
//! and altogether; more is [`Kind::Overloaded`](base::Kind::Overloaded).

mod carrier;
mod dispatch;
mod journey;
mod meter;
mod pace;
mod request;
mod router;
#[cfg(test)]
mod tests;
mod waiting;

#[cfg(test)]
pub(crate) use carrier::Carrier;
pub(crate) use dispatch::Dispatch;
pub(crate) use meter::{Averages, Meter};
pub(crate) use pace::{Readings, Stopwatch};
pub(crate) use router::ClusterRouter;

use std::time::Duration;

/// How long a call goes on after its trouble began: nobody owned the slot, or its owner could not
/// be reached. The client must be told within ten seconds, and a session has its part to do, too.
const PATIENCE: Duration = Duration::from_secs(8);

/// How long a link may have been dead when it is found to be: its caller has waited for so long
/// already, without having been worked for.
const LINK_SILENCE: Duration = Duration::from_secs(3);

/// A request that was under way for so long was being worked on; what comes then is new trouble.
const WORKED: Duration = Duration::from_secs(5);

/// The waits before a request is sent again, if nothing changes meanwhile.
const BACKOFF_FIRST: Duration = Duration::from_millis(25);
const BACKOFF_LONGEST: Duration = Duration::from_millis(200);

/// How many nodes may pass a request on behind the one that it came to first.
const HOPS_MAX: u8 = 2;

/// A request that was given more time than this may take minutes by its nature: how long it takes
/// says nothing about its node.
const BULK: Duration = Duration::from_secs(15);

/// How long an owner waits to hear from Raft what its asker has heard already.
const LAG_MAX: Duration = Duration::from_secs(5);
