//! Adding and removing references, in the caller's transaction.
//!
//! The manifest is read as a conflict key by everybody who adds a reference, and cleared by a
//! collection that has read the references: whichever commits second fails and tries again.

use crate::rows::{self, HOLDER_BYTES_MAX, Manifest, UploadId};
use crate::{Shared, chunk};
use base::{Error, Result};
use bytes::Bytes;
use contract_blob::{BlobId, GRACE_MS, Holder, INLINE_BYTES_MAX, Place, Staged};
use contract_store::{BodyError, Isolation, Transaction};

/// Candidates are filed under whole minutes, so that many references given up at once make one.
const CANDIDATE_MS: i64 = 60_000;

pub(crate) async fn hold(
    shared: &Shared,
    tx: &dyn Transaction,
    blob: &Staged,
    holder: &Holder,
) -> Result<(), BodyError> {
    let found = rows::manifest(tx, blob.id, Isolation::Serializable).await?;
    match (&blob.place, found) {
        (_, Some(found)) if found.size_bytes != blob.size_bytes => {
            let sizes = format!("{} and {} bytes", found.size_bytes, blob.size_bytes);
            return Err(Error::corrupt(format!("{:?} has {sizes}", blob.id)).into());
        }
        (Place::Stored, None) => return Err(gone(blob.id).into()),
        (Place::Stored | Place::Inline(_), Some(_)) => {}
        (Place::Inline(bytes), None) => write_inline(shared, tx, blob, bytes)?,
        (Place::Uploaded { upload }, Some(found)) => {
            give_up_upload(tx, UploadId(*upload), &found).await?;
        }
        (Place::Uploaded { upload }, None) => claim_upload(tx, blob, UploadId(*upload)).await?,
    }
    write_reference(tx, blob.id, holder)
}

pub(crate) async fn hold_stored(
    tx: &dyn Transaction,
    id: BlobId,
    holder: &Holder,
) -> Result<(), BodyError> {
    // Only its presence matters, so it is not decoded.
    match tx.get(&rows::manifest_key(id), Isolation::Serializable).await? {
        Some(_) => write_reference(tx, id, holder),
        None => Err(gone(id).into()),
    }
}

pub(crate) fn release(shared: &Shared, tx: &dyn Transaction, id: BlobId, holder: &Holder) {
    let due = shared.clock.now().plus_ms(GRACE_MS + CANDIDATE_MS - 1);
    let due = due.plus_ms(-due.unix_ms.rem_euclid(CANDIDATE_MS));
    tx.clear(&rows::reference_key(id, holder));
    tx.set(&rows::candidate_key(due, id), &[rows::VERSION]);
}

fn write_reference(tx: &dyn Transaction, id: BlobId, holder: &Holder) -> Result<(), BodyError> {
    if holder.0.len() > HOLDER_BYTES_MAX {
        let name = format!("{holder:?} is longer than {HOLDER_BYTES_MAX} bytes");
        return Err(Error::internal(name).into());
    }
    tx.set(&rows::reference_key(id, holder), &[rows::VERSION]);
    Ok(())
}

/// The first reference to a small blob: its chunks and its manifest.
fn write_inline(shared: &Shared, tx: &dyn Transaction, blob: &Staged, bytes: &Bytes) -> Result<()> {
    if bytes.len() > INLINE_BYTES_MAX || bytes.len() as u64 != blob.size_bytes {
        return Err(Error::internal(format!("{blob:?} carries {} bytes", bytes.len())));
    }
    let upload = shared.new_upload();
    for (index, data) in bytes.chunks(chunk::DATA_BYTES).enumerate() {
        let key = upload.chunk_key(index as u32);
        tx.set(&key, &chunk::encode(&key, data));
    }
    write_manifest(tx, blob, upload)
}

/// The first reference to a large blob: its lease becomes a manifest.
async fn claim_upload(
    tx: &dyn Transaction,
    blob: &Staged,
    upload: UploadId,
) -> Result<(), BodyError> {
    let lease = upload.lease_key();
    if tx.get(&lease, Isolation::Serializable).await?.is_none() {
        return Err(gone(blob.id).into());
    }
    tx.clear(&lease);
    Ok(write_manifest(tx, blob, upload)?)
}

/// The bytes are there already, from another upload: this one's chunks need not wait for the end
/// of their lease.
async fn give_up_upload(
    tx: &dyn Transaction,
    upload: UploadId,
    found: &Manifest,
) -> Result<(), BodyError> {
    metrics::counter!("rialto_blob_duplicates_total").increment(1);
    if found.upload() == upload {
        return Ok(());
    }
    let lease = upload.lease_key();
    if tx.get(&lease, Isolation::Serializable).await?.is_some() {
        tx.clear(&lease);
        upload.doom(tx, 0)?;
    }
    Ok(())
}

fn write_manifest(tx: &dyn Transaction, blob: &Staged, upload: UploadId) -> Result<()> {
    let manifest = Manifest::new(upload, blob.size_bytes)?;
    tx.set(&rows::manifest_key(blob.id), &manifest.encode()?);
    Ok(())
}

/// What a blob that is not there is answered with.
pub(crate) fn gone(id: BlobId) -> Error {
    Error::not_found("The stored content").detail(format!("{id:?}"))
}
