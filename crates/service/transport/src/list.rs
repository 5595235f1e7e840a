//! Looking at the queue of the whole cluster, in short transactions: which slots have messages,
//! how many there are, and a page of them in order of acceptance.
//!
//! Entries stand in order of their slots, and in order of acceptance within each. A page is made
//! by merging the slots' next queue ids; entries are read only of the messages that are on it.

use crate::actor::read_message;
use crate::admin;
use crate::context::Context;
use crate::relay::{record, rows as relays};
use base::{QueueId, Result, Slot};
use bytes::Bytes;
use contract_store::keys::KeyReader;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Transaction, transact,
};
use contract_transport::{QUEUE_COUNT_MAX, QUEUE_LIST_MAX, QueuedMessage, rows};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many reads one transaction that skips from slot to slot makes.
const SKIPS: usize = 256;

/// How many rows one transaction that counts reads, and how many messages one that describes them.
const ROWS: usize = 500;
const DESCRIBED: usize = 50;

/// How many slots are read at once.
const SLOTS_AT_ONCE: usize = 32;

/// How many queue ids are read of a slot at least.
const IDS_MIN: usize = 4;

/// A kind of queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Family {
    /// What was accepted, until it is categorised and delivered.
    Accepted,
    /// What waits for other servers.
    Relayed,
}

impl Family {
    const ALL: [Self; 2] = [Self::Accepted, Self::Relayed];

    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Accepted => rows::ENTRY_PREFIX,
            Self::Relayed => relays::MESSAGES,
        }
    }

    fn key(self, slot: Slot, queue: QueueId) -> Bytes {
        match self {
            Self::Accepted => rows::entry_key(slot, queue),
            Self::Relayed => relays::message(slot, queue),
        }
    }

    fn parse(self, key: &[u8]) -> Option<QueueId> {
        let mut reader = KeyReader::new(key, self.prefix())?;
        reader.u16()?;
        reader.u128().map(QueueId)
    }
}

/// The slots that have rows below a prefix, from the first to the last of those given, in order; it costs a
/// read for each that it finds.
///
/// # Errors
/// The store's.
pub(crate) async fn waiting_slots(
    context: &Context,
    prefix: &'static [u8],
    among: impl Iterator<Item = Slot>,
) -> Result<BTreeSet<Slot>> {
    let mut slots = BTreeSet::new();
    let mut among = among.map(|slot| relays::slot_range(prefix, slot));
    let Some(first) = among.next() else { return Ok(slots) };
    let end = among.last().map_or(first.end, |last| last.end);
    let mut rest = Some(KeyRange::new(first.begin, end));
    while let Some(range) = rest {
        let (found, next) = transact(&context.store, WaitingSlots(prefix, range)).await?;
        slots.extend(found);
        rest = next;
    }
    Ok(slots)
}

/// How many messages there are, up to [`QUEUE_COUNT_MAX`].
///
/// # Errors
/// The store's.
pub(crate) async fn count(context: &Context) -> Result<u64> {
    let mut count = 0;
    for family in Family::ALL {
        let mut rest = Some(KeyRange::prefix(family.prefix()));
        while let Some(range) = rest
            && count < QUEUE_COUNT_MAX
        {
            let ids = Ids { family, range, limit: ROWS };
            let (ids, next) = transact(&context.store, ids).await?;
            count += ids.len() as u64;
            rest = next;
        }
    }
    Ok(count.min(QUEUE_COUNT_MAX))
}

/// A page of messages in order of acceptance, from just after `after`.
///
/// # Errors
/// The store's.
pub(crate) async fn list(
    context: &Context,
    after: Option<QueueId>,
    limit: usize,
) -> Result<Vec<QueuedMessage>> {
    let limit = limit.min(QUEUE_LIST_MAX);
    let mut places = Vec::new();
    for family in Family::ALL {
        let slots = waiting_slots(context, family.prefix(), Slot::all()).await?;
        places.extend(slots.into_iter().map(|slot| (family, slot)));
    }
    let at_once = (2 * limit / places.len().max(1)).clamp(IDS_MIN, ROWS);
    let fronts = places.into_iter().map(|place| Front::begin(context, place, after, at_once));
    let fronts: Vec<Front> =
        futures::stream::iter(fronts).buffer_unordered(SLOTS_AT_ONCE).try_collect().await?;
    let mut merge: BTreeMap<QueueId, Front> = BTreeMap::new();
    merge.extend(fronts.into_iter().filter_map(Front::step));
    let mut page = Vec::new();
    while page.len() < limit
        && let Some((queue, mut front)) = merge.pop_first()
    {
        page.push((front.family, front.slot, queue));
        front.refill(context, at_once).await?;
        merge.extend(front.step());
    }
    let mut found = Vec::with_capacity(page.len());
    for part in page.chunks(DESCRIBED) {
        found.extend(transact(&context.store, Describe(part)).await?);
    }
    Ok(found)
}

/// The next messages of one slot.
struct Front {
    family: Family,
    slot: Slot,
    ids: VecDeque<QueueId>,
    rest: Option<KeyRange>,
}

impl Front {
    async fn begin(
        context: &Context,
        (family, slot): (Family, Slot),
        after: Option<QueueId>,
        at_once: usize,
    ) -> Result<Self> {
        let mut range = relays::slot_range(family.prefix(), slot);
        if let Some(after) = after {
            range.begin = KeyRange::single(&family.key(slot, after)).end;
        }
        let mut front = Self { family, slot, ids: VecDeque::new(), rest: Some(range) };
        front.refill(context, at_once).await?;
        Ok(front)
    }

    /// Reads on where nothing is left of what was read.
    async fn refill(&mut self, context: &Context, limit: usize) -> Result<()> {
        while self.ids.is_empty()
            && let Some(range) = self.rest.take()
        {
            let ids = Ids { family: self.family, range, limit };
            let (ids, rest) = transact(&context.store, ids).await?;
            self.ids = ids.into();
            self.rest = rest;
        }
        Ok(())
    }

    /// Takes the next message out; `None` at the slot's end.
    fn step(mut self) -> Option<(QueueId, Self)> {
        self.ids.pop_front().map(|queue| (queue, self))
    }
}

/// What is left of a range behind a key.
fn behind(range: &KeyRange, key: &Bytes) -> KeyRange {
    KeyRange::new(KeyRange::single(key).end, range.end.clone())
}

/// Finds slots that have messages, skipping from slot to slot.
struct WaitingSlots(&'static [u8], KeyRange);

impl Body<(Vec<Slot>, Option<KeyRange>)> for WaitingSlots {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(Vec<Slot>, Option<KeyRange>), BodyError>> {
        Box::pin(async move {
            let mut slots = Vec::new();
            let (prefix, mut range) = (self.0, self.1.clone());
            for _ in 0..SKIPS {
                let read = RangeRead::all(&range).limit(1);
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                match page.rows.first() {
                    Some(row) => match slot_of(prefix, &row.key) {
                        Some(slot) => {
                            slots.push(slot);
                            range.begin = relays::slot_range(prefix, slot).end;
                        }
                        None => range = behind(&range, &row.key),
                    },
                    None if page.more => {}
                    None => return Ok((slots, None)),
                }
            }
            Ok((slots, Some(range)))
        })
    }
}

fn slot_of(prefix: &[u8], key: &[u8]) -> Option<Slot> {
    Slot::new(KeyReader::new(key, prefix)?.u16()?)
}

/// Reads the names of the next messages in a range.
struct Ids {
    family: Family,
    range: KeyRange,
    limit: usize,
}

impl Body<(Vec<QueueId>, Option<KeyRange>)> for Ids {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(Vec<QueueId>, Option<KeyRange>), BodyError>> {
        Box::pin(async move {
            let read = RangeRead::all(&self.range).limit(self.limit);
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            let ids = page.rows.iter().filter_map(|row| self.family.parse(&row.key));
            let rest = page.more.then(|| match page.rows.last() {
                Some(row) => behind(&self.range, &row.key),
                None => self.range.clone(),
            });
            Ok((ids.collect(), rest))
        })
    }
}

/// Reads messages; those that have ended meanwhile, or are damaged, are left out.
struct Describe<'p>(&'p [(Family, Slot, QueueId)]);

impl Body<Vec<QueuedMessage>> for Describe<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Vec<QueuedMessage>, BodyError>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(self.0.len());
            for (family, slot, queue) in self.0 {
                if *family == Family::Relayed {
                    let read = record::read(tx, *slot, *queue, Isolation::Snapshot).await?;
                    found.extend(read.map(|relay| relay.describe()));
                    continue;
                }
                let key = rows::entry_key(*slot, *queue);
                let Some(first) = tx.get(&key, Isolation::Snapshot).await? else { continue };
                let read = read_message(tx, *slot, *queue, &first).await?;
                found.extend(read.map(|(entry, state)| admin::describe(&entry, &state)));
            }
            Ok(found)
        })
    }
}
