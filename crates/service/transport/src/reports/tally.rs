//! The rows of reports that are to be sent.
//!
//! - `T/ph/<kind><day><domain>` that there is a report, and how many rows it has ([`Head`]).
//! - `T/pr/<kind><day><domain><hash>` a record of it, and how often.
//! - `T/pn/<kind><day>` how many reports there are of a day.
//! - `T/pm/<day><hash>` that a part of a report of others was added.
//!
//! Any node adds to them; a report's rows are read and removed by whoever sends it. Their number has
//! a bound, for a report and for a day: what would be beyond is only counted.

use super::gather::{Counted, lost};
use super::{Kind, Subject};
use base::{Error, Result, wire};
use bytes::Bytes;
use contract_store::keys::{KeyBuilder, KeyReader};
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Store, Transaction, body, transact,
};
use contract_transport::reports::RECEIVED_DAYS_MAX;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const HEADS: &[u8] = b"T/ph/";
const RECORDS: &[u8] = b"T/pr/";
const COUNTS: &[u8] = b"T/pn/";
const MARKS: &[u8] = b"T/pm/";

/// The version byte of values.
const VERSION: u8 = 1;

/// The most reports of one kind and day.
const REPORTS_MAX: u32 = 20_000;

/// How many records one transaction adds.
const BATCH: usize = 200;

/// How many reports one page names.
pub(super) const PAGE: usize = 500;

/// How many records have come of a report.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Head {
    /// That have rows.
    records: u32,
    /// What had no place, not told apart.
    others: u64,
}

/// A report's records, and how often each; `others` were counted without.
pub(super) struct Tally<R> {
    pub(super) records: Vec<(R, u64)>,
    pub(super) others: u64,
}

fn of_day(prefix: &[u8], kind: Kind, day: u32) -> KeyBuilder {
    KeyBuilder::new(prefix).u8(kind.letter()).u32(day)
}

fn of_subject(prefix: &[u8], subject: &Subject) -> KeyBuilder {
    of_day(prefix, subject.kind, subject.day).text(subject.domain.as_bytes())
}

fn head_key(subject: &Subject) -> Bytes {
    of_subject(HEADS, subject).build()
}

fn record_key(subject: &Subject, record: &[u8]) -> Bytes {
    of_subject(RECORDS, subject).raw(&blake3::hash(record).as_bytes()[..16]).build()
}

/// Adds what was counted, in as many transactions as it takes. What cannot be added is lost: it would
/// only pile up.
pub(super) async fn add(store: &Arc<dyn Store>, counted: Vec<(Subject, Counted)>) {
    let mut batch: Vec<(Subject, Counted)> = Vec::new();
    let mut size = 0;
    for (subject, counts) in counted {
        for part in counts.chunks(BATCH) {
            if size + part.len() > BATCH {
                add_batch(store, std::mem::take(&mut batch)).await;
                size = 0;
            }
            size += part.len();
            batch.push((subject.clone(), part.to_vec()));
        }
    }
    add_batch(store, batch).await;
}

async fn add_batch(store: &Arc<dyn Store>, batch: Vec<(Subject, Counted)>) {
    if batch.is_empty() {
        return;
    }
    let added = transact(store, Add(&batch)).await;
    if let Err(error) = added {
        tracing::warn!(%error, "what was counted for reports is lost");
        for (subject, counts) in &batch {
            lost(subject.kind.word(), counts.iter().map(|(_, count)| count).sum());
        }
    }
}

struct Add<'a>(&'a [(Subject, Counted)]);

impl Body<()> for Add<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'b, Result<(), BodyError>> {
        Box::pin(async move {
            // Better too few than twice.
            if attempt.maybe_committed {
                return Ok(());
            }
            tx.set_batch_priority();
            for (subject, counts) in self.0 {
                add_one(tx, subject, counts).await?;
            }
            Ok(())
        })
    }
}

/// Adds a report of others, unless it was added before, by its name among all of its reporter's.
///
/// # Errors
/// The store's; what was added before the error is not added again.
pub(super) async fn add_once(
    store: &Arc<dyn Store>,
    subject: &Subject,
    counts: Counted,
    name: &str,
) -> Result<()> {
    for (number, part) in counts.chunks(BATCH).enumerate() {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&subject.hash(true)).update(&number.to_be_bytes()).update(name.as_bytes());
        let hash = hasher.finalize();
        let mark = KeyBuilder::new(MARKS).u32(subject.day).raw(&hash.as_bytes()[..16]).build();
        let add = body((mark, subject.clone(), part.to_vec()), |(mark, subject, part), tx, _| {
            async move {
                if tx.get(mark, Isolation::Serializable).await?.is_none() {
                    tx.set(mark, &[]);
                    add_one(tx, subject, part).await?;
                }
                Ok(())
            }
            .boxed()
        });
        transact(store, add).await?;
    }
    Ok(())
}

async fn add_one(
    tx: &dyn Transaction,
    subject: &Subject,
    counts: &Counted,
) -> Result<(), BodyError> {
    let head_key = head_key(subject);
    let stored = tx.get(&head_key, Isolation::Serializable).await?;
    let known: Option<Head> =
        stored.as_deref().map(|row| wire::decode_row(VERSION, row)).transpose()?;
    if known.is_none() && !takes_one_more(tx, subject).await? {
        lost(subject.kind.word(), counts.iter().map(|(_, count)| count).sum());
        return Ok(());
    }
    let mut head = known.unwrap_or_default();
    for (record, count) in counts {
        let key = record_key(subject, record);
        let stored = tx.get(&key, Isolation::Serializable).await?;
        let before = match stored.as_deref() {
            Some(row) => wire::decode_row::<(u64, Bytes)>(VERSION, row)?.0,
            None if head.records >= subject.kind.records_max() => {
                head.others = head.others.saturating_add(*count);
                continue;
            }
            None => {
                head.records += 1;
                0
            }
        };
        tx.set(&key, &wire::encode_row(VERSION, &(before.saturating_add(*count), record))?);
    }
    if known != Some(head) {
        tx.set(&head_key, &wire::encode_row(VERSION, &head)?);
    }
    Ok(())
}

/// Counts a new report of a day, unless there are too many.
async fn takes_one_more(tx: &dyn Transaction, subject: &Subject) -> Result<bool, BodyError> {
    let key = of_day(COUNTS, subject.kind, subject.day).build();
    let stored = tx.get(&key, Isolation::Serializable).await?;
    let count: u32 = match stored.as_deref() {
        Some(row) => wire::decode_row(VERSION, row)?,
        None => 0,
    };
    if count >= REPORTS_MAX {
        return Ok(false);
    }
    tx.set(&key, &wire::encode_row(VERSION, &(count + 1))?);
    Ok(true)
}

/// Some reports of the days before one, in order, those behind another one; none at the end.
///
/// # Errors
/// The store's.
pub(super) async fn subjects(
    store: &Arc<dyn Store>,
    kind: Kind,
    before_day: u32,
    after: Option<&Subject>,
) -> Result<Vec<Subject>> {
    let begin = match after {
        Some(after) => of_subject(HEADS, after).raw(&[0]).build(),
        None => of_day(HEADS, kind, 0).build(),
    };
    let range = KeyRange::new(begin, of_day(HEADS, kind, before_day).build());
    let read_page = body(range, |range, tx, _| {
        async move {
            tx.set_batch_priority();
            let read = RangeRead { limit: PAGE, ..RangeRead::all(range) };
            Ok(tx.get_range(&read, Isolation::Snapshot).await?)
        }
        .boxed()
    });
    let page = transact(store, read_page).await?;
    let subject = |key: &[u8]| {
        let mut reader = KeyReader::new(key, HEADS)?;
        reader.u8()?;
        let (day, domain) = (reader.u32()?, reader.text()?);
        Some(Subject { kind, day, domain: String::from_utf8(domain).ok()? })
    };
    Ok(page.rows.iter().filter_map(|row| subject(&row.key)).collect())
}

/// What there is of a report; `None` if somebody else has sent it.
///
/// # Errors
/// The store's.
pub(super) async fn read<R: DeserializeOwned + Send>(
    store: &Arc<dyn Store>,
    subject: &Subject,
) -> Result<Option<Tally<R>>> {
    let (head, rows) = transact(store, Read(subject)).await?;
    let Some(head) = head else { return Ok(None) };
    let head: Head = wire::decode_row(VERSION, &head)?;
    let mut records = Vec::with_capacity(rows.len());
    for row in &rows {
        let (count, record): (u64, Bytes) = wire::decode_row(VERSION, row)?;
        records.push((wire::decode(&record)?, count));
    }
    Ok(Some(Tally { records, others: head.others }))
}

struct Read<'a>(&'a Subject);

impl Body<(Option<Bytes>, Vec<Bytes>)> for Read<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'b, Result<(Option<Bytes>, Vec<Bytes>), BodyError>> {
        Box::pin(async move {
            let head = tx.get(&head_key(self.0), Isolation::Snapshot).await?;
            let mut rows = Vec::new();
            let range = KeyRange::prefix(&of_subject(RECORDS, self.0).build());
            let mut next = Some(RangeRead::all(&range));
            while let Some(read) = next {
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                next = read.after(&page);
                rows.extend(page.rows.into_iter().map(|row| row.value));
                if rows.len() > self.0.kind.records_max() as usize {
                    return Err(Error::corrupt("too many records of a report").into());
                }
            }
            Ok((head, rows))
        })
    }
}

/// Removes a report's rows.
///
/// # Errors
/// The store's.
pub(super) async fn remove(store: &Arc<dyn Store>, subject: &Subject) -> Result<()> {
    let clear = body(subject.clone(), |subject, tx, _| {
        async move {
            tx.clear(&head_key(subject));
            tx.clear_range(&KeyRange::prefix(&of_subject(RECORDS, subject).build()));
            Ok(())
        }
        .boxed()
    });
    transact(store, clear).await
}

/// Forgets everything that is older than it is kept.
///
/// # Errors
/// The store's.
pub(super) async fn forget(store: &Arc<dyn Store>, today: u32) -> Result<()> {
    let clear = body(today, |today, tx, _| {
        async move {
            tx.set_batch_priority();
            for kind in Kind::ALL {
                let day = today.saturating_sub(kind.days_kept());
                for prefix in [HEADS, RECORDS, COUNTS] {
                    let begin = of_day(prefix, kind, 0).build();
                    tx.clear_range(&KeyRange::new(begin, of_day(prefix, kind, day).build()));
                }
            }
            let day = today.saturating_sub(RECEIVED_DAYS_MAX);
            let end = KeyBuilder::new(MARKS).u32(day).build();
            tx.clear_range(&KeyRange::new(Bytes::from_static(MARKS), end));
            Ok(())
        }
        .boxed()
    });
    transact(store, clear).await
}

#[cfg(test)]
#[path = "tally_tests.rs"]
mod tests;
