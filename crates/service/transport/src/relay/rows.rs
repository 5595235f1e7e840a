//! The keys of queues for other servers, all below `R/` and then by slot.
//!
//! - `R/m/<slot><queue id>` a message ([`Relay`](super::record::Relay)); there as long as it waits.
//! - `R/w/<slot><hop><queue id>` it may go with its hop's next attempt.
//! - `R/l/<slot><time><queue id>` it waits on its own until then; the value is its hop.
//! - `R/n/<slot><queue id>` it is new and its owner may not have heard of it; the value is its hop.
//! - `R/h/<slot><hop>` what is known of a hop that cannot be reached or is held back ([`HopRow`]).
//!
//! A message has a `w` or an `l` row, or none while it is set aside. Queue ids begin with the time
//! of acceptance, so the oldest messages of a hop come first.

use base::{QueueId, Result, Slot, Timestamp, wire};
use bytes::Bytes;
use contract_store::KeyRange;
use contract_store::keys::{KeyBuilder, KeyReader};
use contract_transport::relay::Hop;
use serde::{Deserialize, Serialize};

pub(crate) const MESSAGES: &[u8] = b"R/m/";
const READY: &[u8] = b"R/w/";
const LATER: &[u8] = b"R/l/";
pub(crate) const NEWS: &[u8] = b"R/n/";
pub(crate) const HOPS: &[u8] = b"R/h/";

/// The version byte of values.
const VERSION: u8 = 1;

/// What is known of a next hop, apart from its messages.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct HopRow {
    /// An administrator holds it back.
    pub(crate) suspended: bool,
    /// Attempts that failed in a row.
    pub(crate) attempts: u32,
    /// Not before.
    pub(crate) next_attempt: Timestamp,
    /// Why the last one failed.
    pub(crate) last_error: String,
    /// Senders of messages up to this one have been told of the delay.
    pub(crate) told: QueueId,
}

impl HopRow {
    /// Whether there is nothing to remember.
    pub(crate) fn is_plain(&self) -> bool {
        !self.suspended && self.attempts == 0
    }

    pub(crate) fn encode(&self) -> Result<Bytes> {
        wire::encode_row(VERSION, self)
    }

    pub(crate) fn decode(row: &[u8]) -> Result<Self> {
        wire::decode_row(VERSION, row)
    }
}

fn of_slot(prefix: &[u8], slot: Slot) -> KeyBuilder {
    KeyBuilder::new(prefix).u16(slot.number())
}

/// All keys of one kind of one slot.
pub(crate) fn slot_range(prefix: &[u8], slot: Slot) -> KeyRange {
    KeyRange::prefix(&of_slot(prefix, slot).build())
}

pub(crate) fn message(slot: Slot, queue: QueueId) -> Bytes {
    of_slot(MESSAGES, slot).u128(queue.0).build()
}

pub(crate) fn news(slot: Slot, queue: QueueId) -> Bytes {
    of_slot(NEWS, slot).u128(queue.0).build()
}

pub(crate) fn hop(slot: Slot, hop: &Hop) -> Bytes {
    hop.key(of_slot(HOPS, slot)).build()
}

pub(crate) fn ready(slot: Slot, hop: &Hop, queue: QueueId) -> Bytes {
    hop.key(of_slot(READY, slot)).u128(queue.0).build()
}

/// The messages that may go with a hop's next attempt.
pub(crate) fn ready_of(slot: Slot, hop: &Hop) -> KeyRange {
    KeyRange::prefix(&hop.key(of_slot(READY, slot)).build())
}

/// The same for the hop of a `w` row.
pub(crate) fn ready_of_key(key: &[u8]) -> KeyRange {
    KeyRange::prefix(&key[..key.len().saturating_sub(size_of::<u128>())])
}

/// All of them of one slot.
pub(crate) fn all_ready(slot: Slot) -> KeyRange {
    slot_range(READY, slot)
}

pub(crate) fn later(slot: Slot, due: Timestamp, queue: QueueId) -> Bytes {
    let due = u64::try_from(due.unix_ms).unwrap_or_default();
    of_slot(LATER, slot).u64(due).u128(queue.0).build()
}

pub(crate) fn all_later(slot: Slot) -> KeyRange {
    slot_range(LATER, slot)
}

pub(crate) fn parse_hop(key: &[u8]) -> Option<Hop> {
    let mut reader = KeyReader::new(key, HOPS)?;
    reader.u16()?;
    read_hop(&mut reader)
}

pub(crate) fn parse_ready(key: &[u8]) -> Option<(Hop, QueueId)> {
    let mut reader = KeyReader::new(key, READY)?;
    reader.u16()?;
    Some((read_hop(&mut reader)?, QueueId(reader.u128()?)))
}

pub(crate) fn parse_later(key: &[u8]) -> Option<(Timestamp, QueueId)> {
    let mut reader = KeyReader::new(key, LATER)?;
    reader.u16()?;
    let due = i64::try_from(reader.u64()?).ok()?;
    Some((Timestamp { unix_ms: due }, QueueId(reader.u128()?)))
}

fn read_hop(reader: &mut KeyReader<'_>) -> Option<Hop> {
    let shard = reader.u8()?;
    let connector = String::from_utf8(reader.text()?).ok()?;
    let domain = String::from_utf8(reader.text()?).ok()?;
    Some(Hop { connector, domain: (!domain.is_empty()).then_some(domain), shard })
}

pub(crate) fn encode_hop(hop: &Hop) -> Result<Bytes> {
    wire::encode_row(VERSION, hop)
}

pub(crate) fn decode_hop(row: &[u8]) -> Result<Hop> {
    wire::decode_row(VERSION, row)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let slot = Slot::new(0x0102).unwrap();
        let (queue, due) = (QueueId(7), Timestamp { unix_ms: 9 });
        for domain in [None, Some("x.test".to_owned())] {
            let name = Hop { connector: "out".into(), domain, shard: 3 };
            let key = ready(slot, &name, queue);
            assert_eq!(parse_ready(&key), Some((name.clone(), queue)));
            assert!(ready_of(slot, &name).contains(&key) && all_ready(slot).contains(&key));
            assert_eq!(parse_hop(&hop(slot, &name)), Some(name.clone()));
            assert_eq!(decode_hop(&encode_hop(&name).unwrap()).unwrap(), name);
        }
        assert_eq!(parse_later(&later(slot, due, queue)), Some((due, queue)));
    }

    #[test]
    fn one_hop_is_never_below_another() {
        let slot = Slot::new(1).unwrap();
        let name = |connector: &str, domain: &str| Hop {
            connector: connector.into(),
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
            shard: 0,
        };
        let names =
            [name("a", ""), name("a", "b"), name("a", "bc"), name("ab", ""), name("ab", "c")];
        for one in &names {
            for other in &names {
                let is_below = ready_of(slot, one).contains(&ready(slot, other, QueueId(1)));
                assert_eq!(is_below, one == other, "{other} below {one}");
            }
        }
    }
}
