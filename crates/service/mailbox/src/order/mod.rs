//! Messages that fulfil a condition, in an order or in threads (RFC 5256).
//!
//! The search finds them; what they are compared by comes from the index and from the rows in which
//! envelopes stand, page by page. Kept of each message is only that: a few numbers and short texts
//! for an order, and for threads numbers alone, since ids and subjects need only be the same or
//! not. No message is parsed, and none is read.

mod keys;
mod threads;

use crate::read::Reader;
use crate::search::{self, Scan};
use base::{Error, FolderId, Kind, Result, Uid};
use contract_mailbox::order::{Order, ThreadEntry, Threading};
use contract_mailbox::{IndexEntry, MessageMeta, Search};
use contract_store::Transaction;

/// Compared or linked before others get a turn.
const PER_TURN: usize = 1_000;

/// So many messages are compared or linked at once; more of them elsewhere.
const AT_ONCE: usize = 4_096;

/// What one request may keep of its messages to compare or link them by, in bytes.
const BYTES_MAX: usize = 64_000_000;

/// The messages in an order; those that are equal in all keys by UID.
///
/// # Errors
/// As [`search::run`]; [`Kind::Limit`] where the keys take too much memory.
pub(crate) async fn sort(
    reader: &Reader,
    folder: FolderId,
    search: &Search,
    order: &[Order],
    tx: &dyn Transaction,
) -> Result<Vec<Uid>> {
    let order = keys::distinct(order);
    let mut found = Vec::new();
    let mut room = Room(BYTES_MAX);
    let needs_meta = order.iter().any(|order| keys::needs_meta(order.key));
    each(reader, folder, search, needs_meta, tx, |entry, meta| {
        let keys = keys::of(&order, entry, meta);
        room.take(keys::size_bytes(&keys))?;
        found.push((keys, entry.uid));
        Ok(())
    })
    .await?;
    apart(found.len(), move || {
        found.sort_by(|a, b| keys::compare(&order, &a.0, &b.0).then(a.1.cmp(&b.1)));
        found.into_iter().map(|(_, uid)| uid).collect::<Vec<Uid>>()
    })
    .await
}

/// The messages in threads.
///
/// # Errors
/// As [`search::run`]; [`Kind::Limit`] where the references take too much memory.
pub(crate) async fn threads(
    reader: &Reader,
    folder: FolderId,
    search: &Search,
    threading: Threading,
    tx: &dyn Transaction,
) -> Result<Vec<ThreadEntry>> {
    let mut found = Vec::new();
    let mut room = Room(BYTES_MAX);
    each(reader, folder, search, true, tx, |entry, meta| {
        let message = threads::Message::of(entry, meta);
        room.take(message.references_bytes())?;
        found.push(message);
        Ok(())
    })
    .await?;
    apart(found.len(), move || match threading {
        Threading::OrderedSubject => threads::by_subject(&found),
        Threading::References => threads::by_references(&found),
    })
    .await
}

/// How many bytes a request may still keep.
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> Result<()> {
        let Some(left) = self.0.checked_sub(bytes) else {
            let text = "These are too many messages to be sorted or threaded at once";
            return Err(Error::new(Kind::Limit, text));
        };
        self.0 = left;
        Ok(())
    }
}

/// Does the work for so many messages: for many on a thread where it holds up nobody.
async fn apart<T: Send + 'static>(
    messages: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if messages <= AT_ONCE {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::internal(format!("sorting broke off: {error}")))
}

/// Calls with each message that was found, in order of UID; without its meta where that is not
/// needed or damaged.
async fn each(
    reader: &Reader,
    folder: FolderId,
    search: &Search,
    needs_meta: bool,
    tx: &dyn Transaction,
    mut call: impl FnMut(&IndexEntry, Option<&MessageMeta>) -> Result<()>,
) -> Result<()> {
    let scan = search::found(reader, folder, search, tx).await?;
    let entries = scan.entries();
    for (index, page) in entries.chunks(PER_TURN).enumerate() {
        if index > 0 {
            tokio::task::yield_now().await;
        }
        match needs_meta {
            true => with_metas(&scan, page, &mut call).await?,
            false => page.iter().try_for_each(|entry| call(entry, None))?,
        }
    }
    Ok(())
}

async fn with_metas(
    scan: &Scan<'_>,
    mut entries: &[IndexEntry],
    call: &mut impl FnMut(&IndexEntry, Option<&MessageMeta>) -> Result<()>,
) -> Result<()> {
    while !entries.is_empty() {
        let (metas, done) = scan.metas_of(entries).await?;
        let mut metas = metas.into_iter().peekable();
        for entry in &entries[..done] {
            let meta = metas.next_if(|(uid, _)| *uid == entry.uid);
            call(entry, meta.as_ref().map(|(_, meta)| &**meta))?;
        }
        entries = &entries[done..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut room = Room(10);
        assert!(room.take(6).is_ok());
        assert!(room.take(4).is_ok());
        assert_eq!(room.take(1).map_err(|error| error.kind), Err(Kind::Limit));
        assert!(room.take(0).is_ok());
    }

    #[tokio::test]
    async fn work_is_done_for_few_and_for_many() {
        assert_eq!(apart(AT_ONCE, || 1).await, Ok(1));
        assert_eq!(apart(AT_ONCE + 1, || 2).await, Ok(2));
    }
}
