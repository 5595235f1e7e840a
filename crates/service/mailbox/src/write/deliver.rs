//! Deliver: a queued message for one recipient, exactly once.
//!
//! The transaction that writes the item writes the dedupe row as well, and ends the queue entry if
//! this was the last recipient. So a delivery that is asked for again, by whatever node and after
//! whatever crash, finds its row and does nothing.

use crate::message::{self, Arrival};
use crate::rows::keys::Keys;
use crate::unit::Unit;
use base::{Result, Slot, Timestamp};
use bytes::Bytes;
use contract_blob::Blobs;
use contract_mailbox::{Delivered, Delivery, Flags, SpecialUse, WriteReply};
use contract_store::{BodyError, Isolation, Transaction};
use contract_transport::rows as queue_rows;

/// For how long dedupe rows are kept, in milliseconds; longer than anything stays in a queue.
pub(crate) const DEDUPE_MS: i64 = 7 * 24 * 3600 * 1000;

/// The delivery's dedupe key.
pub(crate) fn key(keys: Keys, delivery: &Delivery) -> Bytes {
    keys.delivery(delivery.queue, &delivery.recipient.folded(), delivery.generation)
}

/// Whether the delivery was made before.
pub(crate) async fn was_made(
    tx: &dyn Transaction,
    keys: Keys,
    delivery: &Delivery,
) -> Result<bool, BodyError> {
    Ok(tx.get(&key(keys, delivery), Isolation::Serializable).await?.is_some())
}

pub(super) async fn run(unit: &mut Unit<'_>, delivery: &Delivery) -> Result<WriteReply, BodyError> {
    message::check_room(unit, delivery.content.size_bytes())?;
    let folder = SpecialUse::Inbox.folder_id();
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
    end_queue_entry(unit.tx, unit.blobs, unit.queue_slot(delivery.queue), delivery).await?;
    Ok(WriteReply::Delivered(Delivered::New { folder, item: entry.item, uid: entry.uid }))
}

/// Ends the queue entry if this delivery was the last of its message. A message that has got a
/// state meanwhile is in somebody else's hands (another life of its queue, which may have found
/// more recipients), and stays.
pub(crate) async fn end_queue_entry(
    tx: &dyn Transaction,
    blobs: &dyn Blobs,
    slot: Slot,
    delivery: &Delivery,
) -> Result<(), BodyError> {
    if !delivery.ends_queue_entry {
        return Ok(());
    }
    let state = queue_rows::state_head_key(slot, delivery.queue);
    if tx.get(&state, Isolation::Serializable).await?.is_none() {
        queue_rows::finish(tx, blobs, slot, delivery.queue, &delivery.content);
    }
    Ok(())
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
