//! Checking the messages that wait for delivery.

use super::{Findings, missing};
use base::{Kind, QueueId, Result};
use bytes::Bytes;
use contract_blob::BlobId;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Store, Transaction, transact,
};
use contract_transport::rows;
use futures::future::BoxFuture;
use std::sync::Arc;
use store_blobs::StoreBlobs;
use tokio::sync::watch;

/// How many entries are read in one transaction.
const PAGE_ROWS: usize = 100;

/// Reads every entry; each must be readable, and its blobs there and held by it.
pub(super) async fn check(
    store: &Arc<dyn Store>,
    blobs: Option<&StoreBlobs>,
    findings: &mut Findings,
    told: &watch::Sender<Findings>,
) -> Result<()> {
    let mut next = Some(KeyRange::prefix(rows::ENTRY_PREFIX));
    while let Some(range) = next {
        let page = match transact(store, Read { range: range.clone() }).await {
            Ok(page) => page,
            Err(error) if error.kind == Kind::Corrupt => {
                findings.problem(format!("the queue can be read no further: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for (key, entry) in page.entries {
            findings.queued += 1;
            let problems = match entry {
                Ok((queue, named)) => {
                    let holder = rows::holder(queue);
                    let named = named.into_iter().map(|id| (id, holder.clone())).collect();
                    missing(blobs, named).await?
                }
                Err(problem) => vec![problem],
            };
            // One that has ended since is right to hold nothing.
            if problems.is_empty() || !holds_rows(store, &key).await? {
                continue;
            }
            for problem in problems {
                findings.problem(format!("the queue entry {}: {problem}", key.escape_ascii()));
            }
        }
        told.send_replace(findings.clone());
        next = page.next.map(|begin| KeyRange::new(begin, range.end));
    }
    Ok(())
}

/// Whether any key begins so.
pub(super) async fn holds_rows(store: &Arc<dyn Store>, prefix: &[u8]) -> Result<bool> {
    transact(store, Any { range: KeyRange::prefix(prefix) }).await
}

struct Any {
    range: KeyRange,
}

impl Body<bool> for Any {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<bool, BodyError>> {
        Box::pin(async move {
            let read = RangeRead::all(&self.range).limit(1);
            Ok(!tx.get_range(&read, Isolation::Snapshot).await?.rows.is_empty())
        })
    }
}

struct Read {
    range: KeyRange,
}

/// What an entry names, or what is wrong with it.
type Entry = Result<(QueueId, Vec<BlobId>), String>;

/// Some entries by their keys, and where to read on.
struct Entries {
    entries: Vec<(Bytes, Entry)>,
    next: Option<Bytes>,
}

impl Body<Entries> for Read {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Entries, BodyError>> {
        Box::pin(async move {
            let read = RangeRead::all(&self.range).limit(PAGE_ROWS);
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            let behind = page.rows.last().map(|row| KeyRange::single(&row.key).end);
            let next = page.more.then(|| behind.unwrap_or_else(|| self.range.begin.clone()));
            let mut entries = Vec::with_capacity(page.rows.len());
            for row in page.rows {
                let entry = read_one(tx, &row.key, &row.value).await?;
                entries.push((row.key, entry));
            }
            Ok(Entries { entries, next })
        })
    }
}

/// Reads an entry with all its pieces.
async fn read_one(tx: &dyn Transaction, key: &[u8], first: &Bytes) -> Result<Entry, BodyError> {
    let Some((slot, queue)) = rows::parse_entry_key(key) else {
        return Ok(Err("the key is none of an entry".to_owned()));
    };
    match rows::read_entry(tx, slot, queue, first).await {
        Ok(entry) if entry.queue != queue => Ok(Err(format!("it is that of {}", entry.queue))),
        Ok(entry) => Ok(Ok((queue, entry.content.blobs().into_iter().collect()))),
        Err(BodyError::Refused(error)) if error.kind == Kind::Corrupt => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::env::Env;
    use base::{Slot, Timestamp};
    use store_memory::MemoryStore;

    /// An entry with these bytes; what is said of it.
    async fn check(row: &[u8], expected: &str) {
        let env = Env::real();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::seeded(env.clock.clone(), 1));
        let slot = Slot::new(7).unwrap();
        let tx = store.begin();
        tx.set(&rows::entry_key(slot, QueueId::new(Timestamp { unix_ms: 1 }, 2)), row);
        tx.commit().await.unwrap();
        let blobs = StoreBlobs::open_existing(store.clone(), &env).await.unwrap();
        assert!(blobs.is_none(), "nothing may be written");
        let mut findings = Findings::default();
        let told = watch::Sender::default();
        super::check(&store, blobs.as_ref(), &mut findings, &told).await.unwrap();
        assert_eq!((findings.queued, findings.problems.len()), (1, 1), "{:?}", findings.problems);
        assert!(findings.problems[0].contains(expected), "{:?}", findings.problems);
    }

    #[tokio::test]
    async fn an_entry_that_cannot_be_read_is_found() {
        check(b"\x01", "damaged").await;
        check(b"", "damaged").await;
    }
}
