//! Removing what nobody holds.
//!
//! Three lists are worked off, each from its beginning, since what was looked at leaves its list
//! in the same transaction: candidates (blobs that lost a reference), leases that ran out, and
//! uploads whose chunks are to be cleared. All of it may be done twice or be lost in a crash and
//! done again, so no commit waits for the disk.

use crate::Shared;
use crate::rows::{self, Manifest, UploadId};
use base::{Result, Timestamp, wire};
use contract_blob::{BlobId, Collected};
use contract_store::{
    Attempt, Body, BodyError, Durability, Isolation, KeyRange, KeyValue, RangeRead, Transaction,
    transact,
};
use futures::future::BoxFuture;

/// Candidates in one transaction: few enough that a conflict costs little.
const BATCH: usize = 32;

/// Chunks cleared in one transaction; a store may have to touch each of them.
const CLEARED_CHUNKS_MAX: u32 = 1024;

/// What an upload of unknown size counts as.
const UNKNOWN_CHUNKS: u32 = 128;

pub(crate) async fn collect(shared: &Shared, limit: usize) -> Result<Collected> {
    let mut all = Collected::default();
    for list in [List::Candidates, List::Leases, List::Doomed] {
        // Each list has the whole limit: clearing chunks must keep up with what dooms them.
        let mut left = limit.max(1);
        loop {
            let round = Round { list, limit: left.min(BATCH), now: shared.clock.now() };
            let done = transact(&shared.store, round).await?;
            for id in &done.cleared {
                shared.manifests.remove(*id);
            }
            if !matches!(list, List::Doomed) {
                all.examined += done.examined;
                all.removed += done.removed;
            }
            left = left.saturating_sub(done.examined as usize);
            if !done.more || left == 0 {
                all.more |= done.more;
                break;
            }
        }
    }
    metrics::counter!("rialto_blob_removed_total").increment(all.removed);
    Ok(all)
}

#[derive(Clone, Copy)]
enum List {
    Candidates,
    Leases,
    Doomed,
}

/// One transaction's share of a list.
struct Round {
    list: List,
    limit: usize,
    now: Timestamp,
}

#[derive(Default)]
struct Done {
    examined: u64,
    removed: u64,
    more: bool,
    cleared: Vec<BlobId>,
}

impl Body<Done> for Round {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Done, BodyError>> {
        Box::pin(async move {
            tx.set_batch_priority();
            tx.set_durability(Durability::WithNext);
            match self.list {
                List::Candidates => self.candidates(tx).await,
                List::Leases => self.leases(tx).await,
                List::Doomed => self.doomed(tx).await,
            }
        })
    }
}

impl Round {
    async fn candidates(&self, tx: &dyn Transaction) -> Result<Done, BodyError> {
        let (found, more) = self.head(tx, &rows::candidates_until(self.now)).await?;
        let mut done = Done { more, ..Done::default() };
        let looks = found.iter().map(|row| async move {
            let Some(id) = rows::blob_of_candidate(&row.key) else {
                return Ok(None);
            };
            Ok::<_, BodyError>(abandoned(tx, id).await?.map(|manifest| (id, manifest)))
        });
        let looks = futures::future::try_join_all(looks).await?;
        for (row, look) in found.iter().zip(looks) {
            done.examined += 1;
            tx.clear(&row.key);
            // Two candidates of one batch may name the same blob.
            if let Some((id, manifest)) = look.filter(|(id, _)| !done.cleared.contains(id)) {
                tx.clear(&rows::manifest_key(id));
                manifest.upload().doom(tx, manifest.chunk_count)?;
                done.removed += 1;
                done.cleared.push(id);
            }
        }
        Ok(done)
    }

    async fn leases(&self, tx: &dyn Transaction) -> Result<Done, BodyError> {
        let (found, more) = self.head(tx, &rows::leases_until(self.now)).await?;
        let mut done = Done { more, ..Done::default() };
        for row in &found {
            done.examined += 1;
            // Whoever turns the lease into a manifest meanwhile must win or fail, not both.
            tx.add_read_conflict(&KeyRange::single(&row.key))?;
            tx.clear(&row.key);
            if let Some(upload) = UploadId::of_lease(&row.key) {
                upload.doom(tx, 0)?;
                done.removed += 1;
            }
        }
        Ok(done)
    }

    async fn doomed(&self, tx: &dyn Transaction) -> Result<Done, BodyError> {
        let (found, more) = self.head(tx, &rows::doomed()).await?;
        let mut done = Done { more, ..Done::default() };
        let mut chunks = 0u32;
        for row in &found {
            if chunks >= CLEARED_CHUNKS_MAX {
                done.more = true;
                break;
            }
            done.examined += 1;
            tx.clear(&row.key);
            let Some(upload) = UploadId::of_doomed(&row.key) else {
                continue;
            };
            tx.clear_range(&upload.chunks());
            let count = wire::decode_row(rows::VERSION, &row.value).unwrap_or(0u32);
            chunks = chunks.saturating_add(if count == 0 { UNKNOWN_CHUNKS } else { count });
        }
        Ok(done)
    }

    /// The first rows of a list, and whether there are more. Read without conflicts: others add
    /// to the list all the time.
    async fn head(
        &self,
        tx: &dyn Transaction,
        list: &KeyRange,
    ) -> Result<(Vec<KeyValue>, bool), BodyError> {
        let mut found = Vec::new();
        let mut next = Some(RangeRead::all(list).limit(self.limit));
        let mut more = false;
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            next = read.after(&page);
            more = page.more;
            found.extend(page.rows);
        }
        Ok((found, more))
    }
}

/// The manifest of a blob that nobody holds. Reads references and manifest with conflicts.
async fn abandoned(tx: &dyn Transaction, id: BlobId) -> Result<Option<Manifest>, BodyError> {
    let first = RangeRead::all(&rows::references(id)).limit(1);
    let mut next = Some(first);
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Serializable).await?;
        if !page.rows.is_empty() {
            return Ok(None);
        }
        next = read.after(&page);
    }
    match rows::manifest(tx, id, Isolation::Serializable).await {
        Err(BodyError::Refused(error)) => {
            // What cannot be read cannot be cleared safely, and must not hold up the others.
            tracing::error!(%error, "a blob that nobody holds is left where it is");
            Ok(None)
        }
        other => other,
    }
}
