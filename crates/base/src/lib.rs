//! What every other crate stands on: values ([`ids`], [`error`]), the outside world behind traits
//! ([`mod@env`]), actors with bounded inboxes ([`actor`]), the way to reach an actor wherever it is
//! ([`router`]), the one serialisation of durable rows and node messages ([`wire`]), telemetry, and logs in
//! files of their own ([`logs`]).
//!
//! This crate knows no mail protocol and no store. It is the only place where the standard clock,
//! randomness and raw `ractor` sends may be used; everybody else is kept from them by `clippy.toml`.

#[allow(clippy::disallowed_methods, reason = "bounded addresses and their timers are made here")]
pub mod actor;
pub mod bounded;
#[allow(clippy::disallowed_methods, reason = "a deadline is a point of tokio's clock")]
pub mod deadline;
#[allow(clippy::disallowed_methods, reason = "this is where clocks and randomness come from")]
pub mod env;
pub mod error;
pub mod ids;
pub mod logs;
pub mod recent;
pub mod router;
pub mod telemetry;
pub mod universe;
pub mod wire;

pub use bounded::{ByteBudget, ByteShare};
pub use deadline::{Deadline, with_deadline};
pub use error::{Blame, Error, Kind, Permanence, Result};
pub use ids::{
    AccountId, Address, BootId, Change, ClusterKey, CommandId, Epoch, FolderId, ItemId, NodeId,
    QueueId, SessionId, Slot, Timestamp, Uid,
};
pub use recent::Recent;
pub use universe::Universe;
