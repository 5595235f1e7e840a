//! The rows of a queued message, shared by everybody who writes one.
//!
//! - `Q/m/<slot><queue id>` the entry ([`QueueEntry`]); its presence means "not finished".
//! - `Q/p/<slot><queue id><piece>` the rest of an entry that is too long for one row.
//! - `Q/s/<slot><queue id><piece>` the state of its recipients, written only when a first round did
//!   not finish; the owner's business, but for the first piece being there at all.
//!
//! The entry holds its blobs under [`holder`].

use crate::{QueueEntry, Submission};
use base::{QueueId, Slot, Timestamp, wire};
use bytes::Bytes;
use contract_blob::{Blobs, Holder};
use contract_store::keys::{KeyBuilder, KeyReader};
use contract_store::{BodyError, Isolation, KeyRange, RangeRead, Transaction};

/// The version byte of an entry.
const ENTRY_VERSION: u8 = 1;

/// The longest piece of an entry, in bytes; below the value limit. A thousand recipients with
/// their original addresses take several.
const PIECE_BYTES: usize = 90_000;

/// Every entry of every slot.
pub const ENTRY_PREFIX: &[u8] = b"Q/m/";

/// The state rows of every slot.
pub const STATE_PREFIX: &[u8] = b"Q/s/";

/// The key of an entry.
pub fn entry_key(slot: Slot, queue: QueueId) -> Bytes {
    KeyBuilder::new(ENTRY_PREFIX).u16(slot.number()).u128(queue.0).build()
}

/// All entries of one slot.
pub fn slot_entries(slot: Slot) -> KeyRange {
    KeyRange::prefix(&KeyBuilder::new(ENTRY_PREFIX).u16(slot.number()).build())
}

/// The prefix of all state rows of one message.
pub fn state_prefix(slot: Slot, queue: QueueId) -> Bytes {
    KeyBuilder::new(STATE_PREFIX).u16(slot.number()).u128(queue.0).build()
}

/// Reads slot and queue id back from an entry's key.
pub fn parse_entry_key(key: &[u8]) -> Option<(Slot, QueueId)> {
    let mut reader = KeyReader::new(key, ENTRY_PREFIX)?;
    Some((Slot::new(reader.u16()?)?, QueueId(reader.u128()?)))
}

/// The name under which a queued message holds its blobs.
pub fn holder(queue: QueueId) -> Holder {
    Holder(KeyBuilder::new(b"q").u128(queue.0).build())
}

/// The first state row of a message; it is there once the message has a state other than "new".
pub fn state_head_key(slot: Slot, queue: QueueId) -> Bytes {
    KeyBuilder::new(&state_prefix(slot, queue)).u16(0).build()
}

fn pieces_prefix(slot: Slot, queue: QueueId) -> Bytes {
    KeyBuilder::new(b"Q/p/").u16(slot.number()).u128(queue.0).build()
}

/// The entry whose first row is given; the other pieces are read where there are any.
///
/// # Errors
/// [`base::Kind::Corrupt`]; the store's.
pub async fn read_entry(
    tx: &dyn Transaction,
    slot: Slot,
    queue: QueueId,
    first: &Bytes,
) -> Result<QueueEntry, BodyError> {
    if first.len() < PIECE_BYTES {
        return Ok(wire::decode_row(ENTRY_VERSION, first)?);
    }
    let mut whole = first.to_vec();
    let range = KeyRange::prefix(&pieces_prefix(slot, queue));
    let mut next = Some(RangeRead::all(&range));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        page.rows.iter().for_each(|row| whole.extend_from_slice(&row.value));
    }
    Ok(wire::decode_row(ENTRY_VERSION, &whole)?)
}

/// Writes an entry, in pieces where it must be.
fn write_entry(tx: &dyn Transaction, slot: Slot, entry: &QueueEntry) -> base::Result<()> {
    let bytes = wire::encode_row(ENTRY_VERSION, entry)?;
    let mut pieces = bytes.chunks(PIECE_BYTES);
    tx.set(&entry_key(slot, entry.queue), pieces.next().unwrap_or_default());
    for (number, piece) in (1..=u16::MAX).zip(pieces) {
        let key = KeyBuilder::new(&pieces_prefix(slot, entry.queue)).u16(number).build();
        tx.set(&key, piece);
    }
    Ok(())
}

/// Writes a submission's entry and takes hold of its blobs, in the caller's transaction. Writing
/// it again is writing it once. Gives the entry for the hint.
///
/// # Errors
/// The store's; those of [`Blobs::hold`].
pub async fn write(
    tx: &dyn Transaction,
    blobs: &dyn Blobs,
    slot: Slot,
    submission: &Submission,
    accepted: Timestamp,
) -> Result<QueueEntry, BodyError> {
    let entry = QueueEntry {
        queue: submission.queue,
        envelope: submission.envelope.clone(),
        content: submission.content.clone(),
        accepted,
    };
    let holder = holder(submission.queue);
    for id in submission.content.blobs() {
        match submission.staged.iter().find(|staged| staged.id == id) {
            Some(staged) => blobs.hold(tx, staged, &holder).await?,
            None => blobs.hold_stored(tx, id, &holder).await?,
        }
    }
    write_entry(tx, slot, &entry)?;
    Ok(entry)
}

/// Ends a message in the caller's transaction: its rows go, its blobs are released. Doing it twice
/// is doing it once.
pub fn finish(
    tx: &dyn Transaction,
    blobs: &dyn Blobs,
    slot: Slot,
    queue: QueueId,
    content: &contract_blob::Content,
) {
    tx.clear(&entry_key(slot, queue));
    tx.clear_range(&KeyRange::prefix(&pieces_prefix(slot, queue)));
    tx.clear_range(&KeyRange::prefix(&state_prefix(slot, queue)));
    for id in content.blobs() {
        blobs.release(tx, id, &holder(queue));
    }
}
