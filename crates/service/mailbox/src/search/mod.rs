//! Search: which messages of a folder fulfil a condition.
//!
//! A condition is made into a [`plan::Plan`] and decided in tiers, each dearer than the one
//! before, and each only for messages that the tiers before could not decide:
//!
//! 1. the index entry: UID, flags, keywords, size, received date, change ([`plan`]);
//! 2. the meta row: envelope and Date header ([`envelope`]);
//! 3. the bytes of the header;
//! 4. the bodies' text ([`content`]).
//!
//! So a body is read only if everything else leaves the answer open, and no further than to the
//! place that decides. Memory is bounded by a page of the index, a batch of metas and one chunk of
//! a body.
//!
//! All index pages are read at one version while the store keeps it (five seconds); after that a
//! page is as it is when it is read. Messages that go meanwhile are left out, and so are messages
//! that are damaged where a condition needs what is damaged.

mod content;
mod envelope;
pub(crate) mod plan;
#[cfg(test)]
mod tests;
mod text;

use crate::read::Reader;
use crate::retry::Attempts;
use crate::rows;
use crate::rows::meta::Found;
use base::{Error, FolderId, Kind, Result, Uid};
use contract_mailbox::request::META_MAX;
use contract_mailbox::{IndexBlock, IndexEntry, MessageMeta, Search};
use contract_store::{BodyError, Isolation, KeyRange, RangeRead, StoreError, Transaction, Version};
use plan::{Facts, Plan};

/// How many index blocks (of up to 256 messages) are read in one transaction.
const BLOCKS: usize = 16;

/// Searches a folder. `tx` has the version to begin with.
///
/// # Errors
/// [`Kind::NotFound`] without such a folder, [`Kind::Limit`] and [`Kind::Invalid`] for conditions
/// that nobody needs (see [`Plan::new`]), the store's.
pub(crate) async fn run(
    reader: &Reader,
    folder: FolderId,
    search: &Search,
    tx: &dyn Transaction,
) -> Result<Vec<Uid>> {
    let scan = found(reader, folder, search, tx).await?;
    Ok(scan.found.into_iter().map(|entry| entry.uid).collect())
}

/// The same with what the index knows of each message, in order of UID.
///
/// # Errors
/// As [`run`].
pub(crate) async fn found<'r>(
    reader: &'r Reader,
    folder: FolderId,
    search: &Search,
    tx: &dyn Transaction,
) -> Result<Scan<'r>> {
    let end = reader.folder(folder)?.info.uid_next;
    let plan = Plan::new(search, &reader.keywords)?;
    let version = tx.read_version().await.ok();
    let mut scan = Scan { reader, folder, end, plan, version, found: Vec::new() };
    for (first, last) in scan.plan.blocks(end) {
        let mut next = Some(first);
        while let Some(from) = next {
            let entries;
            (entries, next) = scan.page(from, last).await?;
            scan.decide(&entries).await?;
        }
    }
    scan.found.sort_unstable_by_key(|entry| entry.uid);
    Ok(scan)
}

/// A search under way, or at its end.
pub(crate) struct Scan<'r> {
    reader: &'r Reader,
    folder: FolderId,
    /// Nothing from this UID on is seen: there may be what an unfinished bulk copy has put.
    end: Uid,
    plan: Plan,
    /// What index pages are read at, while it is not too old.
    version: Option<Version>,
    found: Vec<IndexEntry>,
}

impl Scan<'_> {
    /// What was found.
    pub(crate) fn entries(&self) -> &[IndexEntry] {
        &self.found
    }

    /// The metas of the first of some entries, and of how many. Of messages that are damaged or
    /// gone there is none.
    pub(crate) async fn metas_of(&self, entries: &[IndexEntry]) -> Result<(Found, usize)> {
        let batch = &entries[..entries.len().min(META_MAX)];
        let uids: Vec<Uid> = batch.iter().map(|entry| entry.uid).collect();
        let (metas, next) = self.metas_but_damaged(&uids).await?;
        let done = next.map_or(batch.len(), |next| uids.partition_point(|uid| *uid < next));
        Ok((metas, done))
    }

    /// The entries of some blocks from one number on, and the number to go on with.
    async fn page(&mut self, from: u32, last: u32) -> Result<(Vec<IndexEntry>, Option<u32>)> {
        let keys = self.reader.keys;
        let end = keys.block(self.folder, last.saturating_add(1));
        let range = KeyRange { begin: keys.block(self.folder, from), end };
        let tx = self.reader.context.store.begin();
        let mut attempts = Attempts::default();
        loop {
            if let Some(version) = self.version {
                tx.set_read_version(version);
            }
            match self.read_page(&*tx, &range).await {
                Ok((entries, Some(number))) if number < last => {
                    return Ok((entries, Some(number + 1)));
                }
                Ok((entries, _)) => return Ok((entries, None)),
                Err(BodyError::Refused(error)) => return Err(error),
                Err(BodyError::Store(error)) => {
                    if error == StoreError::TooOld {
                        self.version = None;
                    }
                    attempts.again(&*tx, error).await?;
                }
            }
        }
    }

    /// Up to [`BLOCKS`] blocks of a range; with the number of the last one, if there may be more.
    async fn read_page(
        &self,
        tx: &dyn Transaction,
        range: &KeyRange,
    ) -> Result<(Vec<IndexEntry>, Option<u32>), BodyError> {
        let (mut entries, mut blocks, mut number) = (Vec::new(), 0, None);
        let mut next = Some(RangeRead::all(range).limit(BLOCKS));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            next = read.after(&page);
            for row in &page.rows {
                let block: IndexBlock = rows::decode_block(&row.value)?;
                entries.extend(block.entries.iter().filter(|entry| entry.uid < self.end));
                number = Some(block.number);
                blocks += 1;
            }
        }
        Ok((entries, number.filter(|_| blocks >= BLOCKS)))
    }

    /// Adds those of some messages that fulfil the condition.
    async fn decide(&mut self, entries: &[IndexEntry]) -> Result<()> {
        let mut open = Vec::new();
        for entry in entries {
            match self.plan.evaluate(&Facts::of(entry)) {
                Some(true) => self.found.push(*entry),
                Some(false) => {}
                None => open.push(*entry),
            }
        }
        let mut open = &open[..];
        while !open.is_empty() {
            let (metas, done) = self.metas_of(open).await?;
            let mut metas = metas.into_iter().peekable();
            for entry in &open[..done] {
                // Without a meta the message has gone meanwhile.
                let Some((_, meta)) = metas.next_if(|(uid, _)| *uid == entry.uid) else {
                    continue;
                };
                match self.is_match(entry, &meta).await {
                    Ok(true) => self.found.push(*entry),
                    Ok(false) => {}
                    Err(error) if error.kind == Kind::Corrupt => self.damaged(entry.uid, &error),
                    Err(error) => return Err(error),
                }
            }
            open = &open[done..];
        }
        Ok(())
    }

    /// The same where one of them may be damaged: a page that cannot be read is asked for with half
    /// as many, until it is that one alone, which is passed over.
    async fn metas_but_damaged(&self, uids: &[Uid]) -> Result<(Found, Option<Uid>)> {
        let mut count = uids.len();
        loop {
            let behind = uids.get(count).copied();
            match self.metas(&uids[..count]).await {
                Ok((found, next)) => return Ok((found, next.or(behind))),
                Err(error) if error.kind != Kind::Corrupt => return Err(error),
                Err(_) if count > 1 => count = count.div_ceil(2),
                Err(error) => {
                    uids.iter().take(1).for_each(|uid| self.damaged(*uid, &error));
                    return Ok((Found::new(), behind));
                }
            }
        }
    }

    /// A message that cannot be looked at fulfils nothing, and must not keep the others from being
    /// found. It is logged when it is met first, and counted each time.
    fn damaged(&self, uid: Uid, error: &Error) {
        metrics::counter!("rialto_search_damaged_total").increment(1);
        let (account, folder) = (self.reader.keys.0, self.folder);
        let known = &self.reader.context.damaged;
        if known.get(&(account, folder, uid)).is_none() {
            known.put((account, folder, uid), (), 1);
            tracing::error!(mailbox = %account, %folder, %uid, %error,
                "a damaged message cannot be searched");
        }
    }

    async fn metas(&self, uids: &[Uid]) -> Result<(Found, Option<Uid>)> {
        let tx = self.reader.context.store.begin();
        self.reader.metas(self.folder, uids, &*tx).await
    }

    /// Decides one message by its meta and, where that does not suffice, its bytes.
    async fn is_match(&self, entry: &IndexEntry, meta: &MessageMeta) -> Result<bool> {
        let blobs = &self.reader.context.blobs;
        match content::decide(&self.plan, entry, meta, blobs).await {
            Err(error) if error.kind == Kind::NotFound => {
                // The bytes have gone. So must the message have; else something is wrong.
                match self.metas(&[entry.uid]).await?.0.is_empty() {
                    true => Ok(false),
                    false => {
                        let what = format!("the bytes of {} of {}", entry.uid, self.folder);
                        Err(Error::corrupt(format!("{what}: {error}")))
                    }
                }
            }
            result => result,
        }
    }
}
