//! Checking that stored blobs are what their names say.

use crate::{StoreBlobs, read, rows};
use base::{Error, Kind, Result};
use bytes::Bytes;
use contract_blob::BlobId;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Transaction, transact,
};
use futures::TryStreamExt;
use futures::future::BoxFuture;

/// What one round of scrubbing found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scrubbed {
    /// Blobs read to their end.
    pub examined: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Each damaged blob, and what is wrong with it.
    pub damaged: Vec<(BlobId, Error)>,
    /// Where to continue; `None` at the end.
    pub next: Option<BlobId>,
}

impl StoreBlobs {
    /// Reads a whole blob, checks every chunk's checksum and the hash of all its bytes; gives its
    /// size in bytes.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] naming the blob and the chunk, [`Kind::NotFound`] if there is no such
    /// blob; the store's.
    pub async fn verify(&self, id: BlobId) -> Result<u64> {
        let size_bytes = transact(&self.shared.store, Size(id)).await?;
        let mut bytes = read::stream(self.shared.clone(), id, 0..size_bytes);
        let mut hasher = self.shared.hasher();
        while let Some(piece) = bytes.try_next().await? {
            hasher.update(&piece);
        }
        if *hasher.finalize().as_bytes() != id.0 {
            return Err(Error::corrupt(format!("{id:?}: the bytes have another hash")));
        }
        Ok(size_bytes)
    }

    /// Verifies the next `limit` blobs after one (from the first with `None`).
    ///
    /// # Errors
    /// The store's. Damage is not an error here but a finding.
    pub async fn scrub(&self, after: Option<BlobId>, limit: usize) -> Result<Scrubbed> {
        let (ids, more) = transact(&self.shared.store, Names { after, limit }).await?;
        let next = ids.last().copied().filter(|_| more);
        let mut scrubbed = Scrubbed { next, ..Scrubbed::default() };
        for id in ids {
            match self.verify(id).await {
                Ok(bytes) => {
                    scrubbed.examined += 1;
                    scrubbed.bytes += bytes;
                }
                Err(error) if error.kind == Kind::Corrupt => {
                    tracing::error!(%error, "a damaged blob");
                    scrubbed.examined += 1;
                    scrubbed.damaged.push((id, error));
                }
                // Collected meanwhile.
                Err(error) if error.kind == Kind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(scrubbed)
    }
}

/// Reads the size of a blob.
struct Size(BlobId);

impl Body<u64> for Size {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<u64, BodyError>> {
        Box::pin(async move {
            match rows::manifest(tx, self.0, Isolation::Snapshot).await? {
                Some(manifest) => Ok(manifest.size_bytes),
                None => Err(crate::hold::gone(self.0).into()),
            }
        })
    }
}

/// Reads the names of some blobs, in order.
struct Names {
    after: Option<BlobId>,
    limit: usize,
}

impl Body<(Vec<BlobId>, bool)> for Names {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(Vec<BlobId>, bool), BodyError>> {
        Box::pin(async move {
            tx.set_batch_priority();
            let KeyRange { begin, end } = KeyRange::prefix(b"BM");
            let begin: Bytes = match self.after {
                Some(id) => KeyRange::single(&rows::manifest_key(id)).end,
                None => begin,
            };
            let (mut ids, mut more) = (Vec::new(), false);
            let mut next =
                Some(RangeRead::all(&KeyRange::new(begin, end)).limit(self.limit.max(1)));
            while let Some(read) = next {
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                next = read.after(&page);
                more = page.more;
                ids.extend(page.rows.iter().filter_map(|row| rows::blob_of_manifest(&row.key)));
            }
            Ok((ids, more))
        })
    }
}
