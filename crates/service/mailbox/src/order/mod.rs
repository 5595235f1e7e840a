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
use base::{FolderId, Result, Uid};
use contract_mailbox::order::{Order, ThreadEntry, Threading};
use contract_mailbox::{IndexEntry, MessageMeta, Search};
use contract_store::Transaction;

/// Compared or linked before others get a turn.
const PER_TURN: usize = 1_000;

/// The messages in an order; those that are equal in all keys by UID.
///
/// # Errors
/// As [`search::run`].
pub(crate) async fn sort(
    reader: &Reader,
    folder: FolderId,
    search: &Search,
    order: &[Order],
    tx: &dyn Transaction,
) -> Result<Vec<Uid>> {
    let mut found = Vec::new();
    let needs_meta = order.iter().any(|order| keys::needs_meta(order.key));
    each(reader, folder, search, needs_meta, tx, |entry, meta| {
        found.push((keys::of(order, entry, meta), entry.uid));
    })
    .await?;
    // Comparing takes long for many; others are served meanwhile by their own threads.
    tokio::task::yield_now().await;
    found.sort_by(|a, b| keys::compare(order, &a.0, &b.0).then(a.1.cmp(&b.1)));
    Ok(found.into_iter().map(|(_, uid)| uid).collect())
}

/// The messages in threads.
///
/// # Errors
/// As [`search::run`].
pub(crate) async fn threads(
    reader: &Reader,
    folder: FolderId,
    search: &Search,
    threading: Threading,
    tx: &dyn Transaction,
) -> Result<Vec<ThreadEntry>> {
    let mut found = Vec::new();
    each(reader, folder, search, true, tx, |entry, meta| {
        found.push(threads::Message::of(entry, meta));
    })
    .await?;
    tokio::task::yield_now().await;
    Ok(match threading {
        Threading::OrderedSubject => threads::by_subject(&found),
        Threading::References => threads::by_references(&found),
    })
}

/// Calls with each message that was found, in order of UID; without its meta where that is not
/// needed or damaged.
async fn each(
    reader: &Reader,
    folder: FolderId,
    search: &Search,
    needs_meta: bool,
    tx: &dyn Transaction,
    mut call: impl FnMut(&IndexEntry, Option<&MessageMeta>),
) -> Result<()> {
    let scan = search::found(reader, folder, search, tx).await?;
    let entries = scan.entries();
    for (index, page) in entries.chunks(PER_TURN).enumerate() {
        if index > 0 {
            tokio::task::yield_now().await;
        }
        match needs_meta {
            true => with_metas(&scan, page, &mut call).await?,
            false => page.iter().for_each(|entry| call(entry, None)),
        }
    }
    Ok(())
}

async fn with_metas(
    scan: &Scan<'_>,
    mut entries: &[IndexEntry],
    call: &mut impl FnMut(&IndexEntry, Option<&MessageMeta>),
) -> Result<()> {
    while !entries.is_empty() {
        let (metas, done) = scan.metas_of(entries).await?;
        let mut metas = metas.into_iter().peekable();
        for entry in &entries[..done] {
            let meta = metas.next_if(|(uid, _)| *uid == entry.uid);
            call(entry, meta.as_ref().map(|(_, meta)| &**meta));
        }
        entries = &entries[done..];
    }
    Ok(())
}
