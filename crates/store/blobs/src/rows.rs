//! Keys and rows. See the table in the crate's words.

use crate::chunk;
use base::{Error, Result, Timestamp, wire};
use bytes::Bytes;
use contract_blob::{BlobId, Holder, LEASE_MS};
use contract_store::keys::{KeyBuilder, KeyReader};
use contract_store::{BodyError, Isolation, KeyRange, Transaction};
use serde::{Deserialize, Serialize};

/// The version byte of every row here but chunks, which have their own.
pub(crate) const VERSION: u8 = 1;

/// The compression that chunks of an upload may use: lz4 blocks.
pub(crate) const CODEC_LZ4: u8 = 1;

/// The longest holder, in bytes.
pub(crate) const HOLDER_BYTES_MAX: usize = 64;

/// Names an upload for ever: 16 bits of its writer's own, 48 bits of the lease's deadline in
/// milliseconds since 1970, 64 random bits. One writer's uploads so stand in order of time (new
/// rows go to one end of the table, not all over it), different writers' apart, and the lease can
/// be found from the id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct UploadId(pub(crate) u128);

impl UploadId {
    pub(crate) fn new(stripe: u16, now: Timestamp, random: u64) -> Self {
        let deadline = now.plus_ms(LEASE_MS).unix_ms.max(0) as u128 & 0xffff_ffff_ffff;
        Self(u128::from(stripe) << 112 | deadline << 64 | u128::from(random))
    }

    /// When the lease runs out, in milliseconds since 1970.
    fn deadline_ms(self) -> u64 {
        (self.0 >> 64) as u64 & 0xffff_ffff_ffff
    }

    pub(crate) fn chunk_key(self, index: u32) -> Bytes {
        KeyBuilder::new(b"BD").u128(self.0).u32(index).build()
    }

    /// The upload of a chunk's key.
    pub(crate) fn of_chunk(key: &[u8]) -> Option<Self> {
        KeyReader::new(key, b"BD")?.u128().map(Self)
    }

    /// All its chunks.
    pub(crate) fn chunks(self) -> KeyRange {
        KeyRange::prefix(&KeyBuilder::new(b"BD").u128(self.0).build())
    }

    pub(crate) fn lease_key(self) -> Bytes {
        KeyBuilder::new(b"BL").u64(self.deadline_ms()).u128(self.0).build()
    }

    /// The upload of a lease's key.
    pub(crate) fn of_lease(key: &[u8]) -> Option<Self> {
        let mut reader = KeyReader::new(key, b"BL")?;
        reader.u64()?;
        reader.u128().map(Self)
    }

    /// The key of the order to clear its chunks.
    pub(crate) fn doomed_key(self) -> Bytes {
        KeyBuilder::new(b"BX").u128(self.0).build()
    }

    /// The upload of such an order.
    pub(crate) fn of_doomed(key: &[u8]) -> Option<Self> {
        KeyReader::new(key, b"BX")?.u128().map(Self)
    }

    /// Orders its chunks to be cleared; `chunk_count` is 0 where it is not known.
    pub(crate) fn doom(self, tx: &dyn Transaction, chunk_count: u32) -> Result<()> {
        tx.set(&self.doomed_key(), &wire::encode_row(VERSION, &chunk_count)?);
        Ok(())
    }
}

/// Orders to clear chunks.
pub(crate) fn doomed() -> KeyRange {
    KeyRange::prefix(b"BX")
}

/// The leases that have run out.
pub(crate) fn leases_until(now: Timestamp) -> KeyRange {
    until(b"BL", now)
}

/// The candidates that are due.
pub(crate) fn candidates_until(now: Timestamp) -> KeyRange {
    until(b"BC", now)
}

fn until(prefix: &[u8], now: Timestamp) -> KeyRange {
    let end = KeyBuilder::new(prefix).u64(now.unix_ms.max(0) as u64 + 1).build();
    KeyRange::new(KeyBuilder::new(prefix).build(), end)
}

pub(crate) fn candidate_key(due: Timestamp, id: BlobId) -> Bytes {
    KeyBuilder::new(b"BC").u64(due.unix_ms.max(0) as u64).raw(&id.0).build()
}

pub(crate) fn blob_of_candidate(key: &[u8]) -> Option<BlobId> {
    let mut reader = KeyReader::new(key, b"BC")?;
    reader.u64()?;
    reader.rest().try_into().ok().map(BlobId)
}

pub(crate) fn reference_key(id: BlobId, holder: &Holder) -> Bytes {
    KeyBuilder::new(b"BR").raw(&id.0).raw(&holder.0).build()
}

pub(crate) fn references(id: BlobId) -> KeyRange {
    KeyRange::prefix(&KeyBuilder::new(b"BR").raw(&id.0).build())
}

pub(crate) fn manifest_key(id: BlobId) -> Bytes {
    KeyBuilder::new(b"BM").raw(&id.0).build()
}

pub(crate) fn blob_of_manifest(key: &[u8]) -> Option<BlobId> {
    KeyReader::new(key, b"BM")?.rest().try_into().ok().map(BlobId)
}

pub(crate) fn hash_key() -> Bytes {
    KeyBuilder::new(b"BK").build()
}

/// Where a blob's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    upload: u128,
    pub(crate) size_bytes: u64,
    pub(crate) chunk_count: u32,
    /// Bytes of the blob in each chunk but the last.
    pub(crate) chunk_bytes: u32,
    codec: u8,
}

impl Manifest {
    /// Of an upload written by this binary.
    pub(crate) fn new(upload: UploadId, size_bytes: u64) -> Result<Self> {
        let chunk_bytes = chunk::DATA_BYTES as u32;
        let chunk_count = u32::try_from(size_bytes.div_ceil(u64::from(chunk_bytes)))
            .map_err(|_| Error::invalid("The blob is too large"))?;
        Ok(Self { upload: upload.0, size_bytes, chunk_count, chunk_bytes, codec: CODEC_LZ4 })
    }

    pub(crate) fn upload(&self) -> UploadId {
        UploadId(self.upload)
    }

    /// Which chunk holds a byte of the blob.
    pub(crate) fn chunk_of(&self, at: u64) -> u32 {
        (at / u64::from(self.chunk_bytes)) as u32
    }

    /// How many bytes of the blob a chunk holds.
    pub(crate) fn chunk_len(&self, index: u32) -> usize {
        let begin = u64::from(index) * u64::from(self.chunk_bytes);
        self.size_bytes.saturating_sub(begin).min(u64::from(self.chunk_bytes)) as usize
    }

    pub(crate) fn encode(&self) -> Result<Bytes> {
        wire::encode_row(VERSION, self)
    }

    /// Reads the row of a blob. Nothing in it can lead astray: it has a whole number of chunks of
    /// a legal size, in a compression that we know.
    pub(crate) fn decode(id: BlobId, row: &[u8]) -> Result<Self> {
        let broken = |why: &str| Error::corrupt(format!("the manifest of {id:?}: {why}"));
        let found: Self = wire::decode_row(VERSION, row).map_err(|e| broken(&e.detail))?;
        let chunk_bytes = u64::from(found.chunk_bytes);
        if !(1..=chunk::DATA_BYTES_READABLE as u64).contains(&chunk_bytes) {
            return Err(broken("no legal chunk size"));
        }
        if u64::from(found.chunk_count) != found.size_bytes.div_ceil(chunk_bytes) {
            return Err(broken("size and number of chunks do not fit"));
        }
        if found.codec != CODEC_LZ4 {
            return Err(broken("unknown compression"));
        }
        Ok(found)
    }
}

/// Reads a blob's manifest.
pub(crate) async fn manifest(
    tx: &dyn Transaction,
    id: BlobId,
    isolation: Isolation,
) -> Result<Option<Manifest>, BodyError> {
    let row = tx.get(&manifest_key(id), isolation).await?;
    Ok(row.map(|row| Manifest::decode(id, &row)).transpose()?)
}
