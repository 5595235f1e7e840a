//! The mailbox service: one actor for each mailbox in use, everything a mailbox can do, as rules
//! over rows.
//!
//! - [`MailboxService`] is what callers hold: it names the owner and asks through the router.
//! - [`start`] registers the host that serves this node's mailboxes.
//! - `actor` runs commands and reads, `job` those that take many transactions; `attempt` is one
//!   transaction of a command; `unit` its changes; `write/` and `read/` one file per request;
//!   `authorise` says who may; `rows/` what is stored and where.

mod activate;
mod actor;
mod associated;
mod attempt;
mod authorise;
mod cache;
mod compact;
mod content;
mod context;
mod drive;
mod gather;
mod guests;
mod handover;
mod job;
mod message;
mod news;
mod order;
mod purge;
mod read;
mod resume;
mod retry;
mod rows;
mod search;
mod select;
mod service;
mod sweep;
mod unit;
mod verify;
mod wakeups;
mod warning;
mod write;

pub use context::Config;
pub use service::{MailboxService, Parts, start};
pub use verify::{Report, next_mailbox, verify};

use base::QueueId;
use base::router::{ServiceId, Target};
use contract_control::Control;

/// Who categorises an accepted message.
fn queue_target(control: &dyn Control, queue: QueueId) -> Target {
    let slot = control.slot_of_queue(queue);
    Target { service: ServiceId::QUEUE, key: u128::from(slot.number()), slot }
}
