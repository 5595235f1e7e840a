//! Housekeeping of one mailbox, once a day while it is in use: results and dedupe rows that have
//! had their time, removed items that can no longer be recovered, and what nobody needs to know
//! any more of what has gone. At its end the owner of a mailbox that is nearly full is told.

use crate::actor::MailboxActor;
use crate::associated;
use crate::compact::{self, Keep};
use crate::context::Config;
use crate::retry;
use crate::rows;
use crate::rows::ResultRow;
use crate::unit::Unit;
use crate::warning;
use crate::write::deliver::DEDUPE_MS;
use base::{FolderId, Kind, Result, SessionId, Timestamp, Uid};
use bytes::Bytes;
use contract_mailbox::{IndexEntry, Principal, SpecialUse, UidSet};
use contract_store::{Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Transaction};
use contract_transport::rows as queue_rows;
use futures::future::BoxFuture;

/// How often it runs, in milliseconds.
const EVERY_MS: i64 = 24 * 3600 * 1000;

/// For how long the answer to a session's last command is kept, in milliseconds. Sessions live at
/// most this long without a command.
const RESULTS_MS: i64 = 3600 * 1000;

/// How long it waits after an error, in milliseconds.
pub(crate) const AGAIN_MS: i64 = 10 * 60 * 1000;

/// How many answers one run looks at.
const RESULTS_AT_ONCE: usize = 500;

/// How many dedupe rows one transaction looks at, and how many queue entries at once for them.
const DELIVERIES_AT_ONCE: usize = 500;
const LOOKUPS_AT_ONCE: usize = 64;

/// How many messages one transaction purges.
const CHUNK: usize = 200;

/// Whether it is time.
pub(crate) fn is_due(mailbox: &MailboxActor) -> bool {
    let now = mailbox.context.env.clock.now();
    mailbox.cache.summary.swept.plus_ms(EVERY_MS) < now
}

/// Does a chunk of what is left to do, in a transaction of its own; answers whether there is more,
/// so that the mailbox can serve others in between.
pub(crate) async fn run(mailbox: &mut MailboxActor) -> Result<bool> {
    mailbox.settle().await?;
    if mailbox.job.is_some() {
        return Ok(false);
    }
    let owner = mailbox.context.directory.account(mailbox.account).await?;
    let body = Sweep { mailbox, owner: &owner };
    let swept = match retry::transact(&mailbox.context.store, body).await {
        Ok(swept) => swept,
        Err(given_up) => {
            let error = mailbox.doubt(given_up);
            if error.kind == Kind::Fenced {
                // With the newest fence, if the slot is still this node's.
                mailbox.refresh().await?;
                return Ok(true);
            }
            return Err(error);
        }
    };
    let Some((draft, next)) = swept else {
        // An attempt of ours whose outcome was unknown, as a rule. Look what is left to do.
        mailbox.doubt.stale = true;
        return Ok(is_due(mailbox));
    };
    let change = draft.apply(&mut mailbox.cache);
    mailbox.context.wakeups.publish(mailbox.account, change);
    let more = next.is_some();
    mailbox.sweep_from = next.unwrap_or_default();
    Ok(more)
}

struct Sweep<'s> {
    mailbox: &'s MailboxActor,
    owner: &'s contract_directory::Account,
}

/// Where housekeeping goes on.
#[derive(Clone, Default, Debug)]
pub(crate) struct Place {
    /// Dedupe rows before this key have been looked at.
    deliveries: Bytes,
    /// The history of folders before this one has been.
    folder: FolderId,
}

/// What the cache must learn, and, if there is more to do, where to go on; `None` if the cache is
/// old.
type Swept = Option<(crate::unit::Draft, Option<Place>)>;

impl Body<Swept> for Sweep<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Swept, BodyError>> {
        Box::pin(self.chunk(tx))
    }
}

impl Sweep<'_> {
    async fn chunk(&self, tx: &dyn Transaction) -> Result<Swept, BodyError> {
        let mailbox = self.mailbox;
        mailbox.fence.check(tx).await?;
        let summary = tx.get(&mailbox.keys.summary(), Isolation::Serializable).await?;
        if summary.as_ref() != Some(&mailbox.cache.summary_row) {
            return Ok(None);
        }
        let mut unit =
            Unit::new(tx, &mailbox.context, self.owner, Principal::System, &mailbox.cache);
        let now = unit.now;
        let mut place = mailbox.sweep_from.clone();
        let more = if forget_deliveries(&unit, now.plus_ms(-DEDUPE_MS), &mut place).await? {
            true
        } else if unit.on_hold {
            false
        } else {
            let limit = now.plus_ms(-mailbox.context.config.recoverable_ms);
            purge_expired(&mut unit, limit).await?
        };
        if more {
            return Ok(Some((unit.flush()?, Some(place))));
        }
        let Config { history_ms, tombstones_max, .. } = mailbox.context.config;
        let keep = Keep { history_ms, tombstones_max };
        if let Some(next) = compact::run(&mut unit, place.folder, keep).await? {
            place.folder = next;
            return Ok(Some((unit.flush()?, Some(place))));
        }
        let from = SessionId(u128::from(mailbox.context.env.random.u64()) << 64);
        forget_results(&unit, from, now.plus_ms(-RESULTS_MS)).await?;
        warning::run(&mut unit).await?;
        unit.summary().swept = now;
        Ok(Some((unit.flush()?, None)))
    }
}

/// Removes the dedupe rows of messages accepted before a moment, but for those that are in the
/// queue still, from a place on and a chunk at a time; answers whether there are more.
async fn forget_deliveries(
    unit: &Unit<'_>,
    before: Timestamp,
    place: &mut Place,
) -> Result<bool, BodyError> {
    let mut range = unit.keys.deliveries_before(before);
    if place.deliveries >= range.end {
        return Ok(false);
    }
    range.begin = range.begin.max(place.deliveries.clone());
    let read = RangeRead::all(&range).limit(DELIVERIES_AT_ONCE);
    let page = unit.tx.get_range(&read, Isolation::Snapshot).await?;
    for rows in page.rows.chunks(LOOKUPS_AT_ONCE) {
        let queued = rows.iter().map(|row| async {
            let Some(queue) = unit.keys.delivered(&row.key) else { return Ok(None) };
            let entry = queue_rows::entry_key(unit.queue_slot(queue), queue);
            unit.tx.get(&entry, Isolation::Snapshot).await
        });
        let queued = futures::future::try_join_all(queued).await?;
        for (row, _) in rows.iter().zip(queued).filter(|(_, entry)| entry.is_none()) {
            unit.tx.clear(&row.key);
        }
    }
    // Those that stay must not keep those behind them from being looked at.
    place.deliveries = match page.rows.last() {
        Some(last) if page.more => KeyRange::single(&last.key).end,
        _ => range.end,
    };
    Ok(page.more)
}

/// Removes answers that nobody asks for any more. Looks at a bounded number, from a random place
/// on: sessions have random names, so in time every one is looked at.
async fn forget_results(
    unit: &Unit<'_>,
    from: SessionId,
    before: Timestamp,
) -> Result<(), BodyError> {
    let mut range = unit.keys.results();
    range.begin = unit.keys.result(from);
    let mut next = Some(RangeRead::all(&range).limit(RESULTS_AT_ONCE));
    while let Some(read) = next {
        let page = unit.tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        for row in &page.rows {
            let result: ResultRow = rows::decode(&row.value, "result")?;
            if result.at < before {
                unit.tx.clear(&row.key);
            }
        }
    }
    Ok(())
}

/// Purges a chunk of what was removed before `limit`; answers whether there is more.
async fn purge_expired(unit: &mut Unit<'_>, limit: Timestamp) -> Result<bool, BodyError> {
    let kept = [SpecialUse::Deletions, SpecialUse::Versions, SpecialUse::Purges];
    for role in kept {
        let folder = role.folder_id();
        let expired = expired_items(unit, folder, limit).await?;
        for entry in &expired {
            crate::message::purge(unit, folder, entry).await?;
        }
        let more = associated::purge_expired(unit, folder, Some(limit), CHUNK).await?;
        if more || expired.len() >= CHUNK {
            return Ok(true);
        }
    }
    let deleted: Vec<FolderId> = unit
        .folders()
        .filter(|row| row.deleted.is_some_and(|at| at < limit))
        .map(|row| row.info.id)
        .collect();
    for folder in deleted {
        let all = UidSet::all();
        let (entries, more) = crate::select::select(unit, folder, &all, Uid(0), CHUNK).await?;
        for entry in &entries {
            crate::message::purge(unit, folder, entry).await?;
        }
        if more || associated::purge_expired(unit, folder, None, CHUNK).await? {
            return Ok(true);
        }
        forget_folder(unit, folder);
    }
    Ok(false)
}

/// The oldest items of a folder that came there before `limit`, at most a chunk.
async fn expired_items(
    unit: &mut Unit<'_>,
    folder: FolderId,
    limit: Timestamp,
) -> Result<Vec<IndexEntry>, BodyError> {
    let all = UidSet::all();
    let (mut entries, _) = crate::select::select(unit, folder, &all, Uid(0), CHUNK).await?;
    // UIDs are given in the order of arrival, so the first that is young ends the search.
    for place in 0..entries.len() {
        let row = crate::message::read_item(unit, entries[place].item).await?;
        let disposed = row.extra.and_then(|extra| extra.disposed).unwrap_or(row.received);
        if disposed >= limit {
            entries.truncate(place);
            break;
        }
    }
    Ok(entries)
}

/// Removes what is left of an emptied folder: its row and its history.
fn forget_folder(unit: &mut Unit<'_>, folder: FolderId) {
    unit.tx.clear_range(&unit.keys.history(folder));
    unit.tx.clear_range(&unit.keys.tombstones(folder));
    unit.tx.clear_range(&unit.keys.collections(folder));
    unit.tx.clear_range(&unit.keys.read_by_all(folder));
    unit.remove_folder(folder);
}
