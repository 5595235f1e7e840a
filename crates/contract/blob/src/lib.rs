//! The blob contract: byte strings too large for a row or for an actor's inbox.
//!
//! A blob is put as a stream and read by range. It is stored once however many items hold it:
//! its name is a keyed hash of its bytes. Life and death of a blob are transactional:
//!
//! - [`Blobs::upload`] writes chunks under a random upload id and a lease; nothing refers to them.
//!   Small uploads stay in memory and are written by the transaction that refers to them.
//! - [`Blobs::hold`] adds a reference in the caller's transaction; the first one writes the
//!   manifest `hash → upload`, later ones read the manifest as a conflict key.
//! - [`Blobs::release`] removes a reference in the caller's transaction.
//! - [`Blobs::collect`] reads references and manifest and clears the manifest in one transaction,
//!   chunks later. So collection can never race an arrival.
//!
//! [`suite`] holds the promises as tests, the races among them.

pub mod content;
pub mod suite;

pub use content::{Content, Segment};

use async_trait::async_trait;
use base::Result;
use bytes::Bytes;
use contract_store::{BodyError, Transaction};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// The longest upload that stays in memory until its first reference, in bytes. Larger ones are
/// committed as chunks first, so that the referring transaction stays small.
pub const INLINE_BYTES_MAX: usize = 256 * 1024;

/// How much an upload gathers before it commits chunks, in bytes: 50 MB take 70 transactions, each
/// well below what a store likes best (`contract_store::limits::TRANSACTION_BYTES_GOOD`).
pub const UPLOAD_BYTES_MAX: usize = 720_000;

/// The name of a blob: a hash of its bytes, keyed for each cluster.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobId(pub [u8; 32]);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blob:{self}")
    }
}

/// Who holds a reference: a byte string of the holder's choice, unique for each reference, at
/// most 64 bytes. Holding twice under one name is holding once, so a retried transaction never
/// counts double.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder(pub Bytes);

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holder:{}", self.0.escape_ascii())
    }
}

/// A finished upload, not yet referred to. Small enough to travel in a message between actors.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The blob's name.
    pub id: BlobId,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// Where the bytes are until the first reference.
    pub place: Place,
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.id, self.size_bytes)
    }
}

/// Where a staged blob's bytes are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Here; at most [`INLINE_BYTES_MAX`].
    Inline(Bytes),
    /// In the store, as chunks under this upload id, protected by a lease of
    /// [`LEASE_MS`].
    Uploaded {
        /// The random name of the upload.
        upload: u128,
    },
    /// Already referred to by somebody when it was staged.
    Stored,
}

/// A range of bytes that are at hand, as a stream.
pub fn inline_range(bytes: &Bytes, range: Range<u64>) -> ByteStream {
    let ends = (usize::try_from(range.start).ok(), usize::try_from(range.end).ok());
    let piece = match ends {
        (Some(start), Some(end)) if start <= end && end <= bytes.len() => {
            Ok(bytes.slice(start..end))
        }
        _ => Err(base::Error::internal(format!("{range:?} of {} bytes at hand", bytes.len()))),
    };
    futures::stream::once(async { piece }).boxed()
}

/// How long an upload that nobody refers to is kept, in milliseconds.
pub const LEASE_MS: i64 = 24 * 3600 * 1000;

/// How long a blob stays at least after its last reference was released, in milliseconds, so that
/// whoever has begun to read it can finish.
pub const GRACE_MS: i64 = 10 * 60 * 1000;

/// A stream of a blob's bytes, in pieces of at most one chunk.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// The blob store.
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// Begins an upload.
    fn upload(&self) -> Box<dyn Upload>;

    /// The bytes of a range of a blob; the range must lie within it. Memory use is a few chunks,
    /// whatever the range.
    fn read(&self, id: BlobId, range: Range<u64>) -> ByteStream;

    /// The bytes of a range of a staged blob, before anybody refers to it; the range must lie
    /// within it. Nothing of it is remembered.
    fn read_staged(&self, blob: &Staged, range: Range<u64>) -> ByteStream {
        match &blob.place {
            Place::Inline(bytes) => inline_range(bytes, range),
            Place::Uploaded { .. } | Place::Stored => self.read(blob.id, range),
        }
    }

    /// Adds a reference in the caller's transaction. It must read its own fence first; a body
    /// that runs again after an unknown commit may call this again.
    ///
    /// # Errors
    /// The store's; [`base::Kind::NotFound`] if a [`Place::Stored`] or leased blob is gone by now
    /// (stage it again).
    async fn hold(
        &self,
        tx: &dyn Transaction,
        blob: &Staged,
        holder: &Holder,
    ) -> Result<(), BodyError>;

    /// Adds a reference to a blob that the caller knows to be referred to (COPY; queue → item).
    ///
    /// # Errors
    /// As [`Blobs::hold`].
    async fn hold_stored(
        &self,
        tx: &dyn Transaction,
        id: BlobId,
        holder: &Holder,
    ) -> Result<(), BodyError>;

    /// Removes a reference. Removing what is not there does nothing.
    fn release(&self, tx: &dyn Transaction, id: BlobId, holder: &Holder);

    /// Looks at the next candidates (released blobs, expired leases) and removes what nobody
    /// holds. Continues where it stopped; to be called again while `more`.
    ///
    /// # Errors
    /// The store's; nothing is lost by calling again.
    async fn collect(&self, limit: usize) -> Result<Collected>;
}

/// What one round of collection did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Collected {
    /// Candidates looked at.
    pub examined: u64,
    /// Blobs and abandoned uploads removed.
    pub removed: u64,
    /// Rows that could not be read because they are damaged. They, and what they speak for, were
    /// left where they are; they are met again by every later round.
    pub damaged: u64,
    /// Whether there are more candidates.
    pub more: bool,
}

/// An upload in progress. Dropped without [`Upload::finish`], it leaves only chunks whose lease
/// runs out.
#[async_trait]
pub trait Upload: Send {
    /// Takes the next bytes. May wait for the store; memory use stays below twice
    /// [`UPLOAD_BYTES_MAX`] plus a chunk.
    ///
    /// # Errors
    /// The store's.
    async fn write(&mut self, bytes: Bytes) -> Result<()>;

    /// How many bytes it has taken.
    fn size_bytes(&self) -> u64;

    /// Ends it: all chunks are durable, or inline in the result.
    ///
    /// # Errors
    /// The store's.
    async fn finish(self: Box<Self>) -> Result<Staged>;
}
