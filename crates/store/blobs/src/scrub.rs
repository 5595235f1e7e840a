//! Checking that stored blobs are what their names say.

use crate::over_damage::{Head, head};
use crate::{StoreBlobs, read, rows};
use base::{Error, Kind, Result};
use contract_blob::BlobId;
use contract_store::{Body, Isolation, KeyRange, body, transact};
use futures::TryStreamExt;

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
        let size_bytes = transact(&self.shared.store, size(id)).await?;
        let mut bytes = read::stream_stored(self.shared.clone(), id, 0..size_bytes);
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
        let found = transact(&self.shared.store, manifests(after, limit)).await?;
        let ids: Vec<_> =
            found.rows.iter().filter_map(|row| rows::blob_of_manifest(&row.key)).collect();
        let next = ids.last().copied().filter(|_| found.more);
        let mut scrubbed = Scrubbed { next, ..Scrubbed::default() };
        for id in found.damaged.iter().filter_map(|key| rows::blob_of_manifest(key)) {
            let error = Error::corrupt(format!("{id:?}: the manifest cannot be read"));
            tracing::error!(%error, "a damaged blob");
            scrubbed.examined += 1;
            scrubbed.damaged.push((id, error));
        }
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
fn size(id: BlobId) -> impl Body<u64> {
    body(id, |id, tx, _| {
        Box::pin(async move {
            match rows::manifest(tx, *id, Isolation::Snapshot).await? {
                Some(manifest) => Ok(manifest.size_bytes),
                None => Err(crate::hold::gone(*id).into()),
            }
        })
    })
}

/// Reads the manifests of some blobs, in order.
fn manifests(after: Option<BlobId>, limit: usize) -> impl Body<Head> {
    let mut range = KeyRange::prefix(b"BM");
    if let Some(id) = after {
        range.begin = KeyRange::single(&rows::manifest_key(id)).end;
    }
    body((range, limit), |(range, limit), tx, _| {
        Box::pin(async move {
            tx.set_batch_priority();
            Ok(head(tx, range, *limit).await?)
        })
    })
}
