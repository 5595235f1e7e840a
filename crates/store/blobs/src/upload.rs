//! An upload in progress.
//!
//! Up to [`INLINE_BYTES_MAX`] bytes stay in memory and are written by the transaction that refers
//! to them. Of more, chunks are committed whenever [`UPLOAD_BYTES_MAX`] have come together, each
//! batch in a transaction that checks the lease. Only the last batch waits for the disk: batches
//! become durable in order.

use crate::rows::UploadId;
use crate::{Shared, chunk};
use async_trait::async_trait;
use base::{Error, Result};
use bytes::{Buf, Bytes, BytesMut};
use contract_blob::{BlobId, INLINE_BYTES_MAX, Place, Staged, UPLOAD_BYTES_MAX, Upload};
use contract_store::{Body, Durability, Isolation, body, transact};
use std::sync::Arc;

pub(crate) struct StoreUpload {
    shared: Arc<Shared>,
    hasher: blake3::Hasher,
    size_bytes: u64,
    /// The only piece so far: a message that comes in one piece is never copied.
    single: Bytes,
    /// The pieces, where there were several; then `single` is empty.
    buffer: BytesMut,
    committed: Option<Committed>,
    failed: bool,
}

/// The chunks that are in the store already.
struct Committed {
    upload: UploadId,
    chunk_count: u32,
}

impl StoreUpload {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let hasher = shared.hasher();
        Self {
            shared,
            hasher,
            size_bytes: 0,
            single: Bytes::new(),
            buffer: BytesMut::new(),
            committed: None,
            failed: false,
        }
    }

    fn held_bytes(&self) -> usize {
        self.single.len() + self.buffer.len()
    }

    fn keep(&mut self, piece: Bytes) {
        if self.held_bytes() == 0 && self.committed.is_none() {
            self.single = piece;
            return;
        }
        if !self.single.is_empty() {
            self.buffer.extend_from_slice(&std::mem::take(&mut self.single));
        }
        self.buffer.extend_from_slice(&piece);
    }

    /// Commits what is held: the whole chunks of it, or with `last` all.
    async fn commit(&mut self, last: bool) -> Result<()> {
        if !self.single.is_empty() {
            self.buffer.extend_from_slice(&std::mem::take(&mut self.single));
        }
        let at = self
            .committed
            .get_or_insert_with(|| Committed { upload: self.shared.new_upload(), chunk_count: 0 });
        let first = at.chunk_count;
        let mut batch = Batch { upload: at.upload, first: first == 0, last, rows: Vec::new() };
        while self.buffer.len() >= chunk::DATA_BYTES || (last && !self.buffer.is_empty()) {
            let len = self.buffer.len().min(chunk::DATA_BYTES);
            let key = at.upload.chunk_key(at.chunk_count);
            let row = chunk::encode(&key, &self.buffer[..len]);
            batch.rows.push((key, row));
            self.buffer.advance(len);
            at.chunk_count = at
                .chunk_count
                .checked_add(1)
                .ok_or_else(|| Error::invalid("The blob is too large"))?;
        }
        self.failed = true;
        transact(&self.shared.store, write(batch)).await?;
        self.failed = false;
        Ok(())
    }
}

#[async_trait]
impl Upload for StoreUpload {
    async fn write(&mut self, mut bytes: Bytes) -> Result<()> {
        if self.failed {
            return Err(Error::unavailable("an earlier write of this upload failed"));
        }
        self.hasher.update(&bytes);
        self.size_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = UPLOAD_BYTES_MAX - self.held_bytes();
            if room == 0 {
                self.commit(false).await?;
                continue;
            }
            self.keep(bytes.split_to(room.min(bytes.len())));
        }
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    async fn finish(mut self: Box<Self>) -> Result<Staged> {
        if self.failed {
            return Err(Error::unavailable("an earlier write of this upload failed"));
        }
        if self.committed.is_some() || self.held_bytes() > INLINE_BYTES_MAX {
            self.commit(true).await?;
        }
        let place = match &self.committed {
            None if self.single.is_empty() => {
                Place::Inline(std::mem::take(&mut self.buffer).freeze())
            }
            None => Place::Inline(std::mem::take(&mut self.single)),
            Some(Committed { upload, .. }) => Place::Uploaded { upload: upload.0 },
        };
        let id = BlobId(*self.hasher.finalize().as_bytes());
        metrics::counter!("rialto_blob_uploaded_bytes_total").increment(self.size_bytes);
        Ok(Staged { id, size_bytes: self.size_bytes, place })
    }
}

/// Some chunks and the lease. Writing them twice is writing them once.
struct Batch {
    upload: UploadId,
    first: bool,
    last: bool,
    rows: Vec<(Bytes, Bytes)>,
}

fn write(batch: Batch) -> impl Body<()> {
    body(batch, |batch, tx, _| {
        Box::pin(async move {
            let lease = batch.upload.lease_key();
            if batch.first {
                tx.set(&lease, &[crate::rows::VERSION]);
            } else if tx.get(&lease, Isolation::Serializable).await?.is_none() {
                // The upload took longer than its lease; its chunks are being cleared.
                return Err(Error::unavailable("the lease of an upload ran out").into());
            }
            for (key, row) in &batch.rows {
                tx.set(key, row);
            }
            if !batch.last {
                tx.set_durability(Durability::WithNext);
            }
            Ok(())
        })
    })
}
