//! Looking at the queues for other servers of the whole cluster, in short transactions.

use super::rows::{self, HopRow};
use crate::context::Context;
use crate::list;
use base::{QueueId, Result, Slot, Timestamp};
use contract_store::{BodyError, Isolation, KeyRange, RangeRead, Transaction, body, transact};
use contract_transport::relay::{HOP_COUNT_MAX, Hop, HopStatus, QueuedHop};
use futures::FutureExt;
use std::collections::BTreeMap;

/// How many rows one transaction reads.
const ROWS: usize = 500;

/// What is known of a hop so far.
#[derive(Default)]
struct Found {
    row: HopRow,
    ready: u64,
    later: u64,
    oldest: Option<QueueId>,
}

/// All queues, by name.
///
/// # Errors
/// The store's.
pub(crate) async fn hops(context: &Context) -> Result<Vec<QueuedHop>> {
    let mut slots = list::waiting_slots(context, rows::MESSAGES, Slot::all()).await?;
    slots.extend(list::waiting_slots(context, rows::HOPS, Slot::all()).await?);
    let mut hops = BTreeMap::new();
    for slot in slots {
        read(context, &mut hops, rows::slot_range(rows::HOPS, slot), Kind::Hop).await?;
        read(context, &mut hops, rows::all_ready(slot), Kind::Ready).await?;
        read(context, &mut hops, rows::all_later(slot), Kind::Later).await?;
    }
    let now = context.env.clock.now();
    Ok(hops.into_iter().map(|(hop, found)| found.seen(hop, now)).collect())
}

/// How many messages of one queue wait, counted up to [`HOP_COUNT_MAX`].
///
/// # Errors
/// The store's.
pub(crate) async fn count(context: &Context, hop: &Hop) -> Result<u64> {
    let slot = hop.slot(&*context.control);
    let mut hops = BTreeMap::new();
    read(context, &mut hops, rows::ready_of(slot, hop), Kind::Ready).await?;
    read(context, &mut hops, rows::all_later(slot), Kind::Later).await?;
    let found = hops.remove(hop).unwrap_or_default();
    Ok((found.ready + found.later).min(HOP_COUNT_MAX))
}

#[derive(Clone, Copy)]
enum Kind {
    Hop,
    Ready,
    Later,
}

async fn read(
    context: &Context,
    hops: &mut BTreeMap<Hop, Found>,
    range: KeyRange,
    kind: Kind,
) -> Result<()> {
    let mut rest = Some(range);
    while let Some(range) = rest {
        let look = body(range, |range, tx, _| page(tx, range, kind).boxed());
        let (found, mut next) = transact(&context.store, look).await?;
        for one in found {
            next = take(hops, one, next);
        }
        rest = next;
    }
    Ok(())
}

/// A row of any kind.
enum One {
    Row(Hop, HopRow),
    Ready(Hop, QueueId, KeyRange),
    Later(Hop, QueueId),
}

/// Counts a row; a hop that has been counted far enough is passed over.
fn take(hops: &mut BTreeMap<Hop, Found>, one: One, next: Option<KeyRange>) -> Option<KeyRange> {
    match one {
        One::Row(hop, row) => hops.entry(hop).or_default().row = row,
        One::Later(hop, queue) => {
            let found = hops.entry(hop).or_default();
            found.later += 1;
            found.note(queue);
        }
        One::Ready(hop, queue, of_hop) => {
            let found = hops.entry(hop).or_default();
            found.ready += 1;
            found.note(queue);
            if found.ready >= HOP_COUNT_MAX {
                return next.map(|next| KeyRange::new(of_hop.end.max(next.begin), next.end));
            }
        }
    }
    next
}

async fn page(
    tx: &dyn Transaction,
    range: &KeyRange,
    kind: Kind,
) -> Result<(Vec<One>, Option<KeyRange>), BodyError> {
    let page = tx.get_range(&RangeRead::all(range).limit(ROWS), Isolation::Snapshot).await?;
    let mut found = Vec::with_capacity(page.rows.len());
    for row in &page.rows {
        let one = match kind {
            Kind::Hop => match rows::parse_hop(&row.key) {
                Some(hop) => Some(One::Row(hop, HopRow::decode(&row.value)?)),
                None => None,
            },
            Kind::Ready => rows::parse_ready(&row.key).map(|(hop, queue)| {
                let of_hop = rows::ready_of_key(&row.key);
                One::Ready(hop, queue, of_hop)
            }),
            Kind::Later => match rows::parse_later(&row.key) {
                Some((_, queue)) => Some(One::Later(rows::decode_hop(&row.value)?, queue)),
                None => None,
            },
        };
        found.extend(one);
    }
    let last = page.rows.last().map(|row| KeyRange::single(&row.key).end);
    let begin = last.unwrap_or_else(|| range.begin.clone());
    Ok((found, page.more.then(|| KeyRange::new(begin, range.end.clone()))))
}

impl Found {
    fn note(&mut self, queue: QueueId) {
        self.oldest = Some(self.oldest.map_or(queue, |oldest| oldest.min(queue)));
    }

    fn seen(self, hop: Hop, now: Timestamp) -> QueuedHop {
        let Self { row, ready, later, oldest } = self;
        let status = match row {
            HopRow { suspended: true, .. } => HopStatus::Suspended,
            HopRow { attempts, next_attempt, last_error, .. }
                if attempts > 0 && next_attempt > now =>
            {
                HopStatus::Retry { attempts, next_attempt, last_error }
            }
            _ if ready > 0 => HopStatus::Active,
            _ => HopStatus::Ready,
        };
        let messages = (ready + later).min(HOP_COUNT_MAX);
        QueuedHop { hop, status, messages, oldest: oldest.map(QueueId::accepted_at) }
    }
}
