//! The rows of a queued message, shared by everybody who writes one.
//!
//! - `Q/m/<slot><queue id>` the entry ([`QueueEntry`]); its presence means "not finished".
//! - `Q/s/<slot><queue id>…` the state of its recipients, written only when a first round did not
//!   finish; the owner's business.
//!
//! The entry holds its blobs under [`holder`].

use crate::{QueueEntry, Submission};
use base::{QueueId, Slot, Timestamp, wire};
use bytes::Bytes;
use contract_blob::{Blobs, Holder};
use contract_store::keys::{KeyBuilder, KeyReader};
use contract_store::{BodyError, KeyRange, Transaction};

/// The version byte of an entry.
const ENTRY_VERSION: u8 = 1;

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

/// Reads an entry.
///
/// # Errors
/// [`base::Kind::Corrupt`].
pub fn decode_entry(row: &[u8]) -> base::Result<QueueEntry> {
    wire::decode_row(ENTRY_VERSION, row)
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
    for staged in &submission.staged {
        blobs.hold(tx, staged, &holder).await?;
    }
    tx.set(&entry_key(slot, submission.queue), &wire::encode_row(ENTRY_VERSION, &entry)?);
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
    tx.clear_range(&KeyRange::prefix(&state_prefix(slot, queue)));
    for id in content.blobs() {
        blobs.release(tx, id, &holder(queue));
    }
}
