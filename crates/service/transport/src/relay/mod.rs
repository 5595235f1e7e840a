//! Queues for other servers: one per next hop, owned by the actor of the hop's slot.
//!
//! - `rows` are the keys, `record` is a message that waits; `hand_over` writes it, in the
//!   transaction that takes its recipients out of the submission queue.
//! - `actor` owns the hops of one slot and starts `run`s; a run opens connections (`lane`), each of
//!   which transfers message after message; `settle` writes down what came of each.
//! - `schedule` decides when to try again; `aging` tells of delays and ends what has expired, when
//!   a hop cannot be reached.
//! - `resubmit` sends messages back to be routed anew: when an administrator says so, and when the
//!   send connectors have changed so that a hop has no connector any more, or what waited for one
//!   has it now. What no connector takes waits in hops of its own ([`Hop::unreachable`]).
//! - `admin` and `hops` are for administrators.
//!
//! [`Hop::unreachable`]: contract_transport::relay::Hop::unreachable
//!
//! Nothing looks at what is not due: messages of a hop that cannot be reached lie below it and are
//! read when it is tried again; messages that wait on their own stand in the order of their time.

pub(crate) mod actor;
mod admin;
mod aging;
pub(crate) mod hand_over;
pub(crate) mod hops;
mod lane;
pub(crate) mod record;
pub(crate) mod resubmit;
pub(crate) mod rows;
mod run;
mod schedule;
pub(crate) mod settle;
