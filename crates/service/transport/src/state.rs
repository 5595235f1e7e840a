//! How far a message has come: rows that exist only while a first round could not finish it.
//!
//! `Q/s/<slot><queue><piece>`: piece 0 is the head, the others hold waiting recipients, at most
//! [`WAITING_PER_ROW`] each. Behind them stands what earlier pieces have met (`met`).

use crate::met;
use base::{Address, Error, QueueId, Result, Slot, Timestamp, wire};
use bytes::Bytes;
use contract_store::keys::KeyBuilder;
use contract_store::{Isolation, KeyRange, Transaction};
use contract_transport::rows;
use serde::{Deserialize, Serialize};

/// The version byte of the rows of waiting recipients.
const VERSION: u8 = 1;

/// The version byte of the head. Version 2 did not know of rules.
const HEAD_VERSION: u8 = 3;

/// How many recipients one round resolves.
pub(crate) const PIECE: usize = 500;

/// How many waiting recipients one row holds: with the longest addresses and reasons they stay
/// below the value limit.
const WAITING_PER_ROW: usize = 150;

/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 120;

/// How far a message has come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct State {
    pub(crate) head: Head,
    /// Recipients to be tried again.
    pub(crate) waiting: Vec<Waiting>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Drawn anew for every change, so that a round which has been overtaken is noticed, and one
    /// whose commit was unknown recognises its own. 0 while there are no rows.
    pub(crate) token: u128,
    /// Where resolving goes on; `None` when all recipients have been resolved.
    pub(crate) cursor: Option<Cursor>,
    /// Resolving failed and goes on later.
    pub(crate) put_off: Option<PutOff>,
    /// An administrator holds it back.
    pub(crate) suspended: bool,
    /// How many rounds crashed.
    pub(crate) crashes: u32,
    /// Whether the sender has been told of a delay.
    pub(crate) delay_told: bool,
    /// How many rows of waiting recipients there are.
    pieces: u16,
    /// Whether the transport rules have been tried on it, or are not to be.
    pub(crate) ruled: bool,
}

/// A head of version 2.
#[derive(Deserialize)]
struct Head2 {
    token: u128,
    cursor: Option<Cursor>,
    put_off: Option<PutOff>,
    suspended: bool,
    crashes: u32,
    delay_told: bool,
    pieces: u16,
}

impl Head {
    fn decode(row: &[u8]) -> Result<Self> {
        if row.first() != Some(&2) {
            return wire::decode_row(HEAD_VERSION, row);
        }
        let Head2 { token, cursor, put_off, suspended, crashes, delay_told, pieces } =
            wire::decode_row(2, row)?;
        // Somebody had begun with the message before there were rules.
        let ruled = true;
        Ok(Self { token, cursor, put_off, suspended, crashes, delay_told, pieces, ruled })
    }
}

impl Default for Head {
    fn default() -> Self {
        Self {
            token: 0,
            cursor: Some(Cursor::default()),
            put_off: None,
            suspended: false,
            crashes: 0,
            delay_told: false,
            pieces: 0,
            ruled: false,
        }
    }
}

impl Head {
    /// Nothing is left to be resolved.
    pub(crate) fn resolved(&mut self) {
        (self.cursor, self.put_off) = (None, None);
    }
}

/// A place in the list of recipients, groups expanded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// Which recipient of the envelope.
    pub(crate) recipient: usize,
    /// Where in that recipient's group.
    pub(crate) member: u64,
}

/// What is known of attempts to resolve that failed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct PutOff {
    /// Attempts so far.
    pub(crate) attempts: u32,
    /// Not before.
    pub(crate) next_attempt: Timestamp,
    /// Why the last one failed.
    pub(crate) last_error: String,
}

/// A recipient that could not be delivered to yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// As resolved.
    pub(crate) address: Address,
    /// Through which recipient of the envelope.
    pub(crate) recipient: usize,
    /// Attempts so far.
    pub(crate) attempts: u32,
    /// Not before.
    pub(crate) next_attempt: Timestamp,
    /// Why the last one failed.
    pub(crate) last_error: String,
}

/// After this many crashes a message is poison: it is set aside, everything else flows.
pub(crate) const CRASHES_MAX: u32 = 2;

impl State {
    /// The state of a message that the rules have made.
    pub(crate) fn ruled(token: u128) -> Self {
        let head = Head { token, ruled: true, ..Head::default() };
        Self { head, waiting: Vec::new() }
    }

    /// The state of a message that comes back from the queue of a next hop.
    pub(crate) fn resubmitted(token: u128, delay_told: bool) -> Self {
        let mut state = Self::ruled(token);
        state.head.delay_told = delay_told;
        state
    }

    /// Whether it is set aside because it crashes us.
    pub(crate) fn is_poison(&self) -> bool {
        self.head.crashes >= CRASHES_MAX
    }

    /// Whether nothing is left to be done.
    pub(crate) fn is_finished(&self) -> bool {
        self.head.cursor.is_none() && self.waiting.is_empty()
    }

    /// Whether resolving failed and goes on later.
    pub(crate) fn is_put_off(&self) -> bool {
        self.head.put_off.is_some()
    }

    /// Whether nobody has written anything down yet.
    pub(crate) fn is_new(&self) -> bool {
        self.head.token == 0
    }

    /// When there is something to do; `None` while it is set aside.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        if self.head.suspended || self.is_poison() {
            return None;
        }
        let waiting = self.waiting.iter().map(|waiting| waiting.next_attempt);
        waiting.chain(self.resolving_due()).min()
    }

    /// When resolving goes on; `None` when all recipients have been resolved.
    pub(crate) fn resolving_due(&self) -> Option<Timestamp> {
        self.head.cursor?;
        let put_off = self.head.put_off.as_ref();
        Some(put_off.map_or(Timestamp { unix_ms: i64::MIN }, |put_off| put_off.next_attempt))
    }

    /// Reads a message's state; the initial one where there are no rows.
    pub(crate) async fn load(
        tx: &dyn Transaction,
        slot: Slot,
        queue: QueueId,
    ) -> Result<Self, contract_store::BodyError> {
        let head = tx.get(&piece_key(slot, queue, 0), Isolation::Serializable).await?;
        let Some(head) = head else { return Ok(Self::default()) };
        let head = Head::decode(&head)?;
        let mut waiting = Vec::new();
        for piece in 1..=head.pieces {
            match tx.get(&piece_key(slot, queue, piece), Isolation::Serializable).await? {
                Some(row) => waiting.extend(wire::decode_row::<Vec<Waiting>>(VERSION, &row)?),
                None => return Err(Error::corrupt(format!("{queue}: a state row is gone")).into()),
            }
        }
        Ok(Self { head, waiting })
    }

    /// Writes it in place of what was there.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] if it cannot be encoded.
    pub(crate) fn save(&self, tx: &dyn Transaction, slot: Slot, queue: QueueId) -> Result<()> {
        // What was met stays.
        let pieces = KeyRange::new(piece_key(slot, queue, 0), piece_key(slot, queue, met::PIECE));
        tx.clear_range(&pieces);
        let pieces = self.waiting.chunks(WAITING_PER_ROW);
        let count = u16::try_from(pieces.len()).ok().filter(|count| *count < met::PIECE);
        let count = count
            .ok_or_else(|| Error::internal(format!("{queue}: too many waiting recipients")))?;
        for (number, piece) in (1..).zip(pieces) {
            tx.set(&piece_key(slot, queue, number), &wire::encode_row(VERSION, piece)?);
        }
        let head = Head { pieces: count, ..self.head.clone() };
        tx.set(&piece_key(slot, queue, 0), &wire::encode_row(HEAD_VERSION, &head)?);
        Ok(())
    }
}

/// A reason as it is kept.
pub(crate) fn reason(text: &str) -> String {
    text.chars().take(REASON_CHARS_MAX).collect()
}

fn piece_key(slot: Slot, queue: QueueId, piece: u16) -> Bytes {
    KeyBuilder::new(&rows::state_prefix(slot, queue)).u16(piece).build()
}
