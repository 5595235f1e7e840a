//! Deliver: a queued message for one recipient, exactly once.
//!
//! The transaction that writes the item writes the dedupe row as well, and ends the queue entry if
//! this was the last recipient. So a delivery that is asked for again, by whatever node and after
//! whatever crash, finds its row and does nothing. It also reads the fence of the queue that asks
//! and the entry itself: for a queue that has got another owner, or a message that has left it,
//! nothing is delivered and nothing ended. These are the parts; `gather` makes several deliveries
//! in one transaction.

use crate::message::{self, Arrival};
use crate::rows::keys::Keys;
use crate::unit::Unit;
use base::{Error, Kind, Result, Timestamp};
use bytes::Bytes;
use contract_mailbox::{Delivered, Delivery, Flags, SpecialUse};
use contract_store::{BodyError, Isolation, Transaction};
use contract_transport::authentication;
use contract_transport::rows::{self as queue_rows, Ended};
use contract_transport::tracking::{self, Event, Involved, Origin, Tracked};

/// For how long dedupe rows are kept, in milliseconds from the message's acceptance; longer than
/// that as long as the message is in the queue (suspended, or set aside as poison).
pub(crate) const DEDUPE_MS: i64 = 7 * 24 * 3600 * 1000;

/// The delivery's dedupe key.
pub(crate) fn key(keys: Keys, delivery: &Delivery) -> Bytes {
    keys.delivery(delivery.queue, delivery.generation)
}

/// Whether the delivery was made before.
pub(crate) async fn was_made(
    tx: &dyn Transaction,
    keys: Keys,
    delivery: &Delivery,
) -> Result<bool, BodyError> {
    Ok(tx.get(&key(keys, delivery), Isolation::Serializable).await?.is_some())
}

/// Whether the queue that asks may still ask; see [`Delivery::queue_fence`].
pub(crate) async fn is_wanted(
    tx: &dyn Transaction,
    delivery: &Delivery,
) -> Result<bool, BodyError> {
    match &delivery.queue_fence {
        Some(owner) => queue_rows::is_in_hands(tx, owner, delivery.queue).await,
        None => Ok(true),
    }
}

/// What a queue is told that may not ask any more: it looks again and finds the same.
pub(crate) fn unwanted(delivery: &Delivery) -> Error {
    let text = "The message has left the queue, or the queue has another owner";
    Error::new(Kind::Conflict, text).detail(delivery.queue)
}

/// Writes the item and the dedupe row. The caller has found that there is room, that the delivery
/// is wanted and that it was not made before.
pub(crate) async fn run(unit: &mut Unit<'_>, delivery: &Delivery) -> Result<Delivered, BodyError> {
    let is_junk = authentication::is_junk(&delivery.content);
    let role = if is_junk { SpecialUse::Junk } else { SpecialUse::Inbox };
    let folder = role.folder_id();
    let prefix = return_path(delivery);
    let prefix_bytes = prefix.len() as u64;
    let arrival = Arrival {
        folder,
        content: delivery.content.clone().with_prefix(prefix),
        staged: &[],
        parsed: (*delivery.parsed).clone().shifted(prefix_bytes),
        flags: Flags::default(),
        received: received(unit.now, delivery.accepted),
    };
    let entry = message::add(unit, arrival).await?;
    unit.tx.set(&key(unit.keys, delivery), b"");
    Ok(Delivered::New { folder, item: entry.item, uid: entry.uid })
}

/// Tracks that the delivery was made, or that it had been made before.
pub(crate) fn track(unit: &Unit<'_>, delivery: &Delivery, reply: &Delivered) -> Result<()> {
    let event = match reply {
        Delivered::New { .. } => Event::Deliver,
        Delivered::Before => Event::DuplicateDeliver,
    };
    let place = (unit.now, unit.node());
    let event = Tracked::new(place, event, Origin::StoreDriver, delivery.queue);
    let to = Involved::told(delivery.recipient.clone(), "2.1.5", "");
    tracking::record(unit.tx, &event.about([to]).since(delivery.accepted))
}

/// Ends the queue entry if this delivery, which is wanted, was the last of its message; says
/// whether it was. A message that has got a state meanwhile is in somebody else's hands (another
/// life of its queue, which may have found more recipients), and stays.
pub(crate) async fn end_queue_entry(
    unit: &Unit<'_>,
    delivery: &Delivery,
) -> Result<bool, BodyError> {
    if !delivery.ends_queue_entry {
        return Ok(false);
    }
    let (tx, queue, content) = (unit.tx, delivery.queue, &delivery.content);
    let slot = unit.queue_slot(queue);
    let state = queue_rows::state_head_key(slot, queue);
    if tx.get(&state, Isolation::Serializable).await?.is_some() {
        return Ok(false);
    }
    queue_rows::finish(tx, unit.blobs, slot, queue, content, Ended::Finished);
    Ok(true)
}

/// The header that final delivery puts in front (RFC 5321 §4.4).
fn return_path(delivery: &Delivery) -> Bytes {
    match &delivery.return_path {
        Some(address) => format!("Return-Path: <{address}>\r\n").into(),
        None => Bytes::from_static(b"Return-Path: <>\r\n"),
    }
}

/// The moment of arrival: when it was accepted, unless a clock is wrong.
fn received(now: Timestamp, accepted: Timestamp) -> Timestamp {
    accepted.min(now)
}
