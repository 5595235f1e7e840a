//! The rows of a queued message, shared by everybody who writes one.
//!
//! - `Q/m/<slot><queue id>` the entry ([`QueueEntry`]); its presence means "not finished".
//! - `Q/p/<slot><queue id><piece>` the rest of an entry that is too long for one row.
//! - `Q/s/<slot><queue id><piece>` the state of its recipients, written only when a first round did
//!   not finish; the owner's business, but for the first piece being there at all.
//! - `Q/e/<slot><queue id>` what became of a message that has no entry any more ([`Ended`]), kept
//!   for [`ENDED_KEEP_MS`]. Every transaction that writes an entry reads it, so nothing is accepted
//!   again after it has ended, however late a commit lands.
//!
//! The entry holds its blobs under [`holder`].

use crate::{QueueEntry, Submission};
use base::{Error, Kind, QueueId, Slot, Timestamp, wire};
use bytes::Bytes;
use contract_blob::{Blobs, Holder};
use contract_control::Fence;
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

/// For how long is remembered what became of a message, in milliseconds from its queue id's time.
/// The slowest message that an SMTP session takes comes in for seven hours; its accept transaction
/// is over within seconds after that.
pub const ENDED_KEEP_MS: i64 = 24 * 3600 * 1000;

/// What became of a message that has no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// It was accepted, and is done: delivered, reported or removed.
    Finished,
    /// It was withdrawn before it was accepted, or before anybody had begun with it.
    Withdrawn,
}

impl Ended {
    const FINISHED: &'static [u8] = b"\x01f";
    const WITHDRAWN: &'static [u8] = b"\x01w";

    fn row(self) -> &'static [u8] {
        match self {
            Self::Finished => Self::FINISHED,
            Self::Withdrawn => Self::WITHDRAWN,
        }
    }
}

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

/// The key under which stands what became of a message.
fn ended_key(slot: Slot, queue: QueueId) -> Bytes {
    KeyBuilder::new(b"Q/e/").u16(slot.number()).u128(queue.0).build()
}

/// What is remembered of a slot's messages whose queue ids are older than a moment.
pub fn ended_before(slot: Slot, moment: Timestamp) -> KeyRange {
    let begin = KeyBuilder::new(b"Q/e/").u16(slot.number()).build();
    KeyRange::new(begin, ended_key(slot, QueueId::new(moment, 0)))
}

/// What became of a message that has ended; read with a conflict.
///
/// # Errors
/// [`Kind::Corrupt`]; the store's.
pub async fn ended(
    tx: &dyn Transaction,
    slot: Slot,
    queue: QueueId,
) -> Result<Option<Ended>, BodyError> {
    match tx.get(&ended_key(slot, queue), Isolation::Serializable).await?.as_deref() {
        None => Ok(None),
        Some(Ended::FINISHED) => Ok(Some(Ended::Finished)),
        Some(Ended::WITHDRAWN) => Ok(Some(Ended::Withdrawn)),
        Some(_) => Err(Error::corrupt(format!("{queue}: how it ended")).into()),
    }
}

/// Remembers in the caller's transaction what became of a message.
pub fn set_ended(tx: &dyn Transaction, slot: Slot, queue: QueueId, ended: Ended) {
    tx.set(&ended_key(slot, queue), ended.row());
}

/// Whether a message has an entry; read with a conflict.
///
/// # Errors
/// The store's.
pub async fn is_queued(
    tx: &dyn Transaction,
    slot: Slot,
    queue: QueueId,
) -> Result<bool, BodyError> {
    Ok(tx.get(&entry_key(slot, queue), Isolation::Serializable).await?.is_some())
}

/// Whether a message is in the queue of that owner, by the time of the caller's commit: then what
/// its owner asks for may be done. A stale owner's request, or one for a message that has ended
/// meanwhile, must come to nothing.
///
/// # Errors
/// The store's.
pub async fn is_in_hands(
    tx: &dyn Transaction,
    owner: &Fence,
    queue: QueueId,
) -> Result<bool, BodyError> {
    match owner.check(tx).await {
        Ok(()) => is_queued(tx, owner.slot, queue).await,
        Err(BodyError::Refused(error)) if error.kind == Kind::Fenced => Ok(false),
        Err(error) => Err(error),
    }
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

/// The entry of a message, if it has one; read with a conflict.
///
/// # Errors
/// As [`read_entry`].
pub async fn find_entry(
    tx: &dyn Transaction,
    slot: Slot,
    queue: QueueId,
) -> Result<Option<QueueEntry>, BodyError> {
    match tx.get(&entry_key(slot, queue), Isolation::Serializable).await? {
        Some(first) => read_entry(tx, slot, queue, &first).await.map(Some),
        None => Ok(None),
    }
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
/// [`Kind::Overloaded`] if the message was withdrawn, [`Kind::AlreadyExists`] if it was accepted
/// before and has ended; the store's; those of [`Blobs::hold`].
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
    match ended(tx, slot, submission.queue).await? {
        None => {}
        Some(Ended::Withdrawn) => {
            return Err(Error::new(Kind::Overloaded, "The message took too long").into());
        }
        Some(Ended::Finished) => {
            return Err(Error::new(Kind::AlreadyExists, "The message was accepted before").into());
        }
    }
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

/// Ends a message in the caller's transaction, which has read that it is queued: its rows go, its
/// blobs are released, and how it ended is remembered. Doing it twice is doing it once.
pub fn finish(
    tx: &dyn Transaction,
    blobs: &dyn Blobs,
    slot: Slot,
    queue: QueueId,
    content: &contract_blob::Content,
    ended: Ended,
) {
    set_ended(tx, slot, queue, ended);
    tx.clear(&entry_key(slot, queue));
    tx.clear_range(&KeyRange::prefix(&pieces_prefix(slot, queue)));
    tx.clear_range(&KeyRange::prefix(&state_prefix(slot, queue)));
    for id in content.blobs() {
        blobs.release(tx, id, &holder(queue));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_message_ended_keeps_its_bytes() {
        let (slot, queue) = (Slot::new(0x0102), QueueId::new(Timestamp { unix_ms: 0x0a0b }, 7));
        let Some(slot) = slot else { panic!("no such slot") };
        let key = ended_key(slot, queue);
        let golden =
            b"Q/e/\x01\x02\x00\x00\x00\x00\x0a\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07";
        assert_eq!(key.escape_ascii().to_string(), golden.escape_ascii().to_string());
        assert_eq!((Ended::Finished.row(), Ended::Withdrawn.row()), (&b"\x01f"[..], &b"\x01w"[..]));
        let before = |unix_ms| ended_before(slot, Timestamp { unix_ms });
        assert!(before(0x0a0c).contains(&key) && !before(0x0a0b).contains(&key));
    }
}
