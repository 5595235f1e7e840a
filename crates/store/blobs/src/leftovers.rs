//! Counting what nobody holds and nobody has removed, though its time is over.
//!
//! Collection works off lists: leases, blobs that lost a reference, uploads to be cleared. What is
//! on none of them and held by nobody would stay for ever; what has been on one for long tells that
//! collection does not keep up. Both cost room and nothing else.

use crate::StoreBlobs;
use crate::over_damage::head;
use crate::rows::{self, Manifest, UploadId};
use base::{Result, Timestamp};
use bytes::Bytes;
use contract_blob::{BlobId, LEASE_MS};
use contract_store::{
    Body, BodyError, Isolation, KeyRange, RangeRead, Transaction, body, transact,
};
use std::collections::HashSet;

/// How many rows one transaction reads.
const PAGE_ROWS: usize = 200;

/// What nobody holds though its time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Leftovers {
    /// Blobs without a reference, a lease's time after they should have been collected.
    pub blobs: u64,
    /// Uploads without a blob, a lease's time after their leases ended.
    pub uploads: u64,
}

impl StoreBlobs {
    /// Counts them. Takes some 50 bytes of memory for each blob. What comes and goes meanwhile is
    /// not counted.
    ///
    /// # Errors
    /// The store's. Damaged rows are passed over; a scrub tells them.
    pub async fn leftovers(&self) -> Result<Leftovers> {
        let over = self.shared.clock.now().plus_ms(-LEASE_MS);
        let mut uploads = self.uploads_without_lease().await?;
        let overdue_leases = self.count(rows::leases_until(over)).await?;
        let waiting = self.blobs_that_wait(over).await?;
        let mut found = Leftovers { blobs: 0, uploads: overdue_leases };
        let mut next = Some(KeyRange::prefix(b"BM"));
        while let Some(range) = next {
            let page = transact(&self.shared.store, manifests(range)).await?;
            for (id, manifest, is_held) in page.found {
                uploads.remove(&manifest.upload().0);
                found.blobs += u64::from(!is_held && !waiting.contains(&id));
            }
            next = page.next;
        }
        for upload in uploads {
            found.uploads += u64::from(transact(&self.shared.store, is_left(upload)).await?);
        }
        Ok(found)
    }

    /// Uploads that have chunks and neither a lease nor an order to be cleared: those of blobs.
    async fn uploads_without_lease(&self) -> Result<HashSet<u128>> {
        let mut found = HashSet::new();
        let mut next = Some(KeyRange::prefix(b"BD"));
        while let Some(range) = next {
            let (uploads, rest) = transact(&self.shared.store, uploads(range)).await?;
            found.extend(uploads);
            next = rest;
        }
        Ok(found)
    }

    /// Blobs that have lost a reference lately, and will be looked at when they are due.
    async fn blobs_that_wait(&self, over: Timestamp) -> Result<HashSet<BlobId>> {
        let mut range = KeyRange::prefix(b"BC");
        range.begin = rows::candidates_until(over).end;
        let keys = self.keys(range).await?;
        Ok(keys.iter().filter_map(|key| rows::blob_of_candidate(key)).collect())
    }

    async fn count(&self, range: KeyRange) -> Result<u64> {
        Ok(self.keys(range).await?.len() as u64)
    }

    async fn keys(&self, range: KeyRange) -> Result<Vec<Bytes>> {
        let mut keys = Vec::new();
        let mut next = Some(range);
        while let Some(range) = next {
            let page = transact(&self.shared.store, keys_of(range)).await?;
            keys.extend(page.found);
            next = page.next;
        }
        Ok(keys)
    }
}

/// Some of a list, and what is left of it.
struct Page<T> {
    found: Vec<T>,
    next: Option<KeyRange>,
}

fn keys_of(range: KeyRange) -> impl Body<Page<Bytes>> {
    body(range, |range, tx, _| {
        Box::pin(async move {
            tx.set_batch_priority();
            let list = head(tx, range, PAGE_ROWS).await?;
            let found: Vec<Bytes> = list.rows.into_iter().map(|row| row.key).collect();
            let next = rest(range, found.last().filter(|_| list.more));
            Ok(Page { found, next })
        })
    })
}

/// What is left of a range behind a key.
fn rest(range: &KeyRange, last: Option<&Bytes>) -> Option<KeyRange> {
    last.map(|key| KeyRange::new(KeyRange::single(key).end, range.end.clone()))
}

/// Manifests, and whether their blobs are held.
fn manifests(range: KeyRange) -> impl Body<Page<(BlobId, Manifest, bool)>> {
    body(range, |range, tx, _| {
        Box::pin(async move {
            tx.set_batch_priority();
            let list = head(tx, range, PAGE_ROWS).await?;
            let next = rest(range, list.rows.last().map(|row| &row.key).filter(|_| list.more));
            let looks = list.rows.iter().map(|row| async move {
                let id = rows::blob_of_manifest(&row.key)?;
                let manifest = Manifest::decode(id, &row.value).ok()?;
                Some(any(tx, rows::references(id)).await.map(|held| (id, manifest, held)))
            });
            let found = futures::future::join_all(looks).await.into_iter().flatten();
            Ok(Page { found: found.collect::<Result<_, BodyError>>()?, next })
        })
    })
}

/// The next uploads that have chunks; of these, those without lease and order.
fn uploads(range: KeyRange) -> impl Body<(Vec<u128>, Option<KeyRange>)> {
    body(range, |range, tx, _| {
        Box::pin(async move {
            tx.set_batch_priority();
            let (mut found, mut at) = (Vec::new(), range.clone());
            for _ in 0..PAGE_ROWS {
                let first = head(tx, &at, 1).await?;
                let Some(row) = first.rows.first() else { return Ok((found, None)) };
                let Some(upload) = UploadId::of_chunk(&row.key) else {
                    at.begin = KeyRange::single(&row.key).end;
                    continue;
                };
                if !is_listed(tx, upload).await? {
                    found.push(upload.0);
                }
                at.begin = upload.chunks().end;
            }
            Ok((found, Some(at)))
        })
    })
}

/// Whether collection will come to an upload by itself.
async fn is_listed(tx: &dyn Transaction, upload: UploadId) -> Result<bool, BodyError> {
    for key in [upload.lease_key(), upload.doomed_key()] {
        if tx.get(&key, Isolation::Snapshot).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an upload is still there, and on no list.
fn is_left(upload: u128) -> impl Body<bool> {
    body(UploadId(upload), |upload, tx, _| {
        Box::pin(
            async move { Ok(any(tx, upload.chunks()).await? && !is_listed(tx, *upload).await?) },
        )
    })
}

async fn any(tx: &dyn Transaction, range: KeyRange) -> Result<bool, BodyError> {
    let mut next = Some(RangeRead::all(&range).limit(1));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        if !page.rows.is_empty() {
            return Ok(true);
        }
        next = read.after(&page);
    }
    Ok(false)
}
