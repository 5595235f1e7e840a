//! Looking at the queue of the whole cluster, in short transactions: which slots have messages,
//! how many there are, and a page of them in order of acceptance.
//!
//! Entries stand in order of their slots, and in order of acceptance within each. A page is made
//! by merging the slots' next queue ids; entries are read only of the messages that are on it.

use crate::actor::read_message;
use crate::admin;
use crate::context::Context;
use base::{QueueId, Result, Slot};
use bytes::Bytes;
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

/// The slots that have messages, from the first to the last of those given, in order; it costs a
/// read for each that it finds.
///
/// # Errors
/// The store's.
pub(crate) async fn waiting_slots(
    context: &Context,
    among: impl Iterator<Item = Slot>,
) -> Result<BTreeSet<Slot>> {
    let mut slots = BTreeSet::new();
    let mut among = among.map(rows::slot_entries);
    let Some(first) = among.next() else { return Ok(slots) };
    let end = among.last().map_or(first.end, |last| last.end);
    let mut rest = Some(KeyRange::new(first.begin, end));
    while let Some(range) = rest {
        let (found, next) = transact(&context.store, WaitingSlots(range)).await?;
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
    let mut rest = Some(KeyRange::prefix(rows::ENTRY_PREFIX));
    while let Some(range) = rest
        && count < QUEUE_COUNT_MAX
    {
        let (ids, next) = transact(&context.store, Ids { range, limit: ROWS }).await?;
        count += ids.len() as u64;
        rest = next;
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
    let slots = waiting_slots(context, Slot::all()).await?;
    let at_once = (2 * limit / slots.len().max(1)).clamp(IDS_MIN, ROWS);
    let fronts = slots.into_iter().map(|slot| Front::begin(context, slot, after, at_once));
    let fronts: Vec<Front> =
        futures::stream::iter(fronts).buffer_unordered(SLOTS_AT_ONCE).try_collect().await?;
    let mut merge: BTreeMap<QueueId, Front> = BTreeMap::new();
    merge.extend(fronts.into_iter().filter_map(Front::step));
    let mut page = Vec::new();
    while page.len() < limit
        && let Some((queue, mut front)) = merge.pop_first()
    {
        page.push((front.slot, queue));
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
    slot: Slot,
    ids: VecDeque<QueueId>,
    rest: Option<KeyRange>,
}

impl Front {
    async fn begin(
        context: &Context,
        slot: Slot,
        after: Option<QueueId>,
        at_once: usize,
    ) -> Result<Self> {
        let mut range = rows::slot_entries(slot);
        if let Some(after) = after {
            range.begin = KeyRange::single(&rows::entry_key(slot, after)).end;
        }
        let mut front = Self { slot, ids: VecDeque::new(), rest: Some(range) };
        front.refill(context, at_once).await?;
        Ok(front)
    }

    /// Reads on where nothing is left of what was read.
    async fn refill(&mut self, context: &Context, limit: usize) -> Result<()> {
        while self.ids.is_empty()
            && let Some(range) = self.rest.take()
        {
            let (ids, rest) = transact(&context.store, Ids { range, limit }).await?;
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
struct WaitingSlots(KeyRange);

impl Body<(Vec<Slot>, Option<KeyRange>)> for WaitingSlots {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(Vec<Slot>, Option<KeyRange>), BodyError>> {
        Box::pin(async move {
            let mut slots = Vec::new();
            let mut range = self.0.clone();
            for _ in 0..SKIPS {
                let read = RangeRead::all(&range).limit(1);
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                match page.rows.first() {
                    Some(row) => match rows::parse_entry_key(&row.key) {
                        Some((slot, _)) => {
                            slots.push(slot);
                            range.begin = rows::slot_entries(slot).end;
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

/// Reads the names of the next messages in a range.
struct Ids {
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
            let keys = page.rows.iter().filter_map(|row| rows::parse_entry_key(&row.key));
            let rest = page.more.then(|| match page.rows.last() {
                Some(row) => behind(&self.range, &row.key),
                None => self.range.clone(),
            });
            Ok((keys.map(|(_, queue)| queue).collect(), rest))
        })
    }
}

/// Reads messages; those that have ended meanwhile, or are damaged, are left out.
struct Describe<'p>(&'p [(Slot, QueueId)]);

impl Body<Vec<QueuedMessage>> for Describe<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Vec<QueuedMessage>, BodyError>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(self.0.len());
            for (slot, queue) in self.0 {
                let key = rows::entry_key(*slot, *queue);
                let Some(first) = tx.get(&key, Isolation::Snapshot).await? else { continue };
                let read = read_message(tx, *slot, *queue, &first).await?;
                found.extend(read.map(|(entry, state)| admin::describe(&entry, &state)));
            }
            Ok(found)
        })
    }
}
