//! Where events are stored.
//!
//! - `H/<day>e<queue id><time><event><tag><part>` an event ([`Tracked`]); recipients beyond
//!   [`PART_RECIPIENTS`] stand in further parts. The tag tells events of one millisecond apart, and
//!   is the same when a transaction is repeated, so that nothing is told twice.
//! - `H/<day>x<hash><queue id>` the message concerns the address or has the Message-ID of which
//!   this is the hash; nothing in it.
//!
//! The day is that of the message's queue id, whenever the event happens. Rows are written blindly
//! and read by nobody but who searches: they conflict with nothing.

use super::{Event, Involved, KEPT_DAYS, Tracked};
use base::{Address, Error, QueueId, Result, Timestamp, wire};
use bytes::Bytes;
use contract_store::keys::{KeyBuilder, KeyReader};
use contract_store::{KeyRange, KeyValue, Transaction};

/// The version byte of an event.
const VERSION: u8 = 1;

/// Everything.
const PREFIX: &[u8] = b"H/";

/// How many recipients one row names: with the longest addresses and reasons it stays below the
/// value limit.
const PART_RECIPIENTS: usize = 50;

/// A day.
pub const DAY_MS: i64 = 24 * 3600 * 1000;

/// What a message can be found by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark<'a> {
    /// Its sender.
    Sender(&'a Address),
    /// A recipient.
    Recipient(&'a Address),
    /// Its Message-ID.
    MessageId(&'a str),
    /// Its name in the queue of a next hop.
    Related(QueueId),
}

impl Mark<'_> {
    /// 64 bits of it; whoever finds by them looks whether it fits.
    fn hash(self) -> u64 {
        let (kind, text) = match self {
            Self::Sender(address) => (b's', address.to_string().to_lowercase()),
            Self::Recipient(address) => (b'r', address.to_string().to_lowercase()),
            Self::MessageId(id) => (b'm', trimmed(id).to_owned()),
            Self::Related(queue) => (b'q', queue.to_string()),
        };
        fnv(kind, text.as_bytes())
    }
}

/// A Message-ID without its angle brackets.
pub fn trimmed(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id)
}

/// FNV-1a: short, the same everywhere for ever, and nothing depends on its being hard to collide.
fn fnv(kind: u8, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    std::iter::once(&kind).chain(bytes).fold(0xcbf2_9ce4_8422_2325, step)
}

/// The day of a moment, counted from 1970-01-01.
pub fn day(moment: Timestamp) -> u32 {
    u32::try_from(moment.unix_ms.max(0) / DAY_MS).unwrap_or(u32::MAX)
}

fn of_day(day: u32, kind: u8) -> KeyBuilder {
    KeyBuilder::new(PREFIX).u32(day).u8(kind)
}

/// Writes an event, and where to find it, in the caller's transaction. Writing it again is writing
/// it once.
///
/// # Errors
/// [`base::Kind::Internal`] if it cannot be encoded.
pub fn record(tx: &dyn Transaction, event: &Tracked) -> Result<()> {
    let (queue, day) = (event.queue, day(event.queue.accepted_at()));
    let at_ms = u64::try_from(event.at.unix_ms).unwrap_or(0);
    let key = of_day(day, b'e').u128(queue.0).u64(at_ms).u8(event.event as u8).u64(tag(event));
    if event.recipients.len() <= PART_RECIPIENTS {
        tx.set(&key.u16(0).build(), &wire::encode_row(VERSION, event)?);
    } else {
        let mut part = Tracked { recipients: Vec::new(), ..event.clone() };
        for (number, some) in (0..=u16::MAX).zip(event.recipients.chunks(PART_RECIPIENTS)) {
            part.recipients = some.to_vec();
            tx.set(&key.clone().u16(number).build(), &wire::encode_row(VERSION, &part)?);
        }
    }
    let mark = |mark: Mark<'_>| {
        tx.set(&of_day(day, b'x').u64(mark.hash()).u128(queue.0).build(), b"");
    };
    // What was never accepted has no other beginning.
    let begins = event.event.begins() || event.is_refusal();
    if begins {
        event.sender.iter().for_each(|sender| mark(Mark::Sender(sender)));
        event.message_id.iter().for_each(|id| mark(Mark::MessageId(id)));
    }
    if begins || event.event.leads_on() {
        event.recipients.iter().for_each(|one| mark(Mark::Recipient(&one.address)));
    }
    if event.event == Event::Transfer {
        event.related.iter().for_each(|queue| mark(Mark::Related(*queue)));
    }
    Ok(())
}

/// Tells events of one message and one millisecond apart.
fn tag(event: &Tracked) -> u64 {
    let first = event.recipients.first().map(|one| one.address.to_string()).unwrap_or_default();
    let related = event.related.unwrap_or_default().0.to_be_bytes();
    let kind = [event.event as u8, event.origin as u8];
    fnv(b't', &[&kind[..], &related, first.as_bytes(), b"|", event.reason.as_bytes()].concat())
}

/// The events of one message.
pub fn story(queue: QueueId) -> KeyRange {
    KeyRange::prefix(&of_day(day(queue.accepted_at()), b'e').u128(queue.0).build())
}

/// The events of all messages of a day that were accepted at or after `from` and before `until`.
pub fn events(of: u32, from: Timestamp, until: Timestamp) -> KeyRange {
    let all = KeyRange::prefix(&of_day(of, b'e').build());
    let key = |moment| of_day(of, b'e').u128(QueueId::new(moment, 0).0).build();
    let begin = if day(from) == of { key(from) } else { all.begin };
    let end = if day(until) == of { key(until) } else { all.end };
    KeyRange::new(begin, end)
}

/// Where messages of a day stand that have a mark.
pub fn marked(of: u32, mark: Mark<'_>) -> KeyRange {
    KeyRange::prefix(&of_day(of, b'x').u64(mark.hash()).build())
}

/// The message of a row of [`events`] or [`story`].
pub fn parse_event(key: &[u8]) -> Option<QueueId> {
    let mut reader = KeyReader::new(key, PREFIX)?;
    reader.u32()?;
    reader.u8().filter(|kind| *kind == b'e')?;
    reader.u128().map(QueueId)
}

/// The message of a row of [`marked`].
pub fn parse_marked(key: &[u8]) -> Option<QueueId> {
    let mut reader = KeyReader::new(key, PREFIX)?;
    reader.u32()?;
    reader.u8().filter(|kind| *kind == b'x')?;
    reader.u64()?;
    reader.u128().map(QueueId)
}

/// Everything that is not to be kept any more at a moment; it is the beginning of all there is.
pub fn outdated(now: Timestamp) -> KeyRange {
    let first_kept = day(now).saturating_sub(KEPT_DAYS);
    KeyRange::new(Bytes::from_static(PREFIX), KeyBuilder::new(PREFIX).u32(first_kept).build())
}

/// The first day that is kept at a moment.
pub fn first_kept(now: Timestamp) -> u32 {
    day(now).saturating_sub(KEPT_DAYS)
}

/// The events of rows as they stand in a range of events, parts put together again.
///
/// # Errors
/// [`base::Kind::Corrupt`].
pub fn decode(found: &[KeyValue]) -> Result<Vec<Tracked>> {
    let mut events: Vec<Tracked> = Vec::with_capacity(found.len());
    for row in found {
        let event: Tracked = wire::decode_row(VERSION, &row.value)?;
        let part = row.key.len().checked_sub(2).and_then(|at| row.key.get(at..));
        match (part, events.last_mut()) {
            (Some([0, 0]), _) | (_, None) => events.push(event),
            (Some(_), Some(last)) => last.recipients.extend(event.recipients),
            (None, _) => return Err(Error::corrupt("the key of a tracked event")),
        }
    }
    Ok(events)
}

/// Whether somebody is among recipients.
pub fn concerns(recipients: &[Involved], address: &Address) -> bool {
    let wanted = address.to_string().to_lowercase();
    recipients.iter().any(|one| one.address.to_string().to_lowercase() == wanted)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tracking::Origin;
    use base::NodeId;

    fn at(unix_ms: i64) -> Timestamp {
        Timestamp { unix_ms }
    }

    fn event(queue: QueueId) -> Tracked {
        let place = (at(3 * DAY_MS + 7), NodeId(1));
        let to = Involved::told(Address::new("a", "b.test"), "2.1.5", "so");
        Tracked::new(place, Event::Deliver, Origin::StoreDriver, queue).about([to])
    }

    #[test]
    fn rows_and_keys_keep_their_bytes() {
        let queue = QueueId::new(at(2 * DAY_MS + 5), 9);
        let encoded = wire::encode_row(VERSION, &event(queue)).unwrap();
        let hex: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, GOLDEN);
        let fixed = fnv(b's', b"a@b.test");
        assert_eq!(Mark::Sender(&Address::new("A", "B.test")).hash(), fixed);
        assert_eq!(fixed, 0xcf8d_a72d_c7b7_391b);
        assert_eq!(Mark::MessageId(" <x@y> ").hash(), Mark::MessageId("x@y").hash());
    }

    const GOLDEN: &str = "01fc0e28e61e010401fe0900000000000000000005b84c0a00000001016106622e7465\
                          737405322e312e3502736f000000000000000000";

    #[test]
    fn a_day_is_found_and_forgotten_as_a_whole() {
        let (early, late) = (QueueId::new(at(2 * DAY_MS), 9), QueueId::new(at(3 * DAY_MS - 1), 0));
        for queue in [early, late] {
            let story = story(queue);
            assert!(events(2, at(0), at(9 * DAY_MS)).contains(&story.begin));
            assert!(!events(3, at(0), at(9 * DAY_MS)).contains(&story.begin));
            let kept_until = at((2 + 1 + i64::from(KEPT_DAYS)) * DAY_MS);
            assert!(outdated(kept_until).contains(&story.begin));
            assert!(!outdated(at(kept_until.unix_ms - 1)).contains(&story.begin));
        }
        let some = events(2, at(2 * DAY_MS + 1), at(3 * DAY_MS - 1));
        assert!(!some.contains(&story(early).begin) && !some.contains(&story(late).begin));
    }
}
