//! The blob contract over any [`Store`].
//!
//! | Rows                              | What                                                       |
//! |-----------------------------------|------------------------------------------------------------|
//! | `BM` blob                         | the manifest: which upload holds the bytes, and their shape |
//! | `BR` blob holder                  | a reference                                                |
//! | `BD` upload chunk                 | the bytes: at most 60,000 a row, compressed, checksummed   |
//! | `BL` deadline upload              | the lease of an upload that nobody refers to yet           |
//! | `BC` due blob                     | a blob that lost a reference: to be looked at              |
//! | `BX` upload                       | an upload whose chunks are to be cleared                   |
//! | `BK`                              | the key of the hash that names blobs                       |
//!
//! A blob lives while its manifest stands, and a manifest is written and cleared only in
//! transactions that also read what the others write: the references, or the lease. So every race
//! between arrival and collection ends as a conflict of one of the two. Upload ids are never used
//! again, so a reader with an old manifest finds no chunk rather than wrong bytes.

mod chunk;
mod collect;
mod held;
mod hold;
mod leftovers;
mod over_damage;
mod read;
mod rows;
mod scrub;
mod upload;

pub use leftovers::Leftovers;
pub use scrub::Scrubbed;

use async_trait::async_trait;
use base::env::{Clock, Env, Random};
use base::{Recent, Result};
use bytes::Bytes;
use contract_blob::{BlobId, Blobs, ByteStream, Collected, Holder, Place, Staged, Upload};
use contract_store::{Body, BodyError, Isolation, Store, Transaction, body, transact};
use rows::{Manifest, UploadId};
use std::ops::Range;
use std::sync::Arc;

/// Blobs in a key-value store. Cheap to clone.
#[derive(Clone)]
pub struct StoreBlobs {
    shared: Arc<Shared>,
}

/// What the parts of this crate work with.
struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    hash_key: [u8; 32],
    stripe: u16,
    /// Manifests that were read lately. A blob's bytes never change, so an entry can only become
    /// useless, never wrong: after collection the chunks are gone and the reader looks again.
    manifests: Recent<BlobId, Manifest>,
    /// Chunks that were read lately, decoded: a client that fetches a header mostly fetches more
    /// of the message soon, and so do the other clients of its user. What is here may outlive the
    /// blob; only who knew it can ask for it.
    chunks: Recent<(UploadId, u32), Bytes>,
}

/// How many manifests are remembered; about 100 bytes each.
const MANIFESTS_MAX: usize = 8192;

/// How many bytes of decoded chunks are remembered on the whole node.
const CHUNKS_BYTES_MAX: usize = 16 << 20;

impl StoreBlobs {
    /// Opens the blobs of a store; the first time, draws the key of their names.
    ///
    /// # Errors
    /// The store's; [`base::Kind::Corrupt`] if the key is damaged.
    pub async fn open(store: Arc<dyn Store>, env: &Env) -> Result<Self> {
        let mut drawn = [0; 32];
        env.random.fill(&mut drawn);
        let hash_key = transact(&store, find_key(drawn)).await?;
        Ok(Self::new(store, env, hash_key))
    }

    /// Opens the blobs of a store without writing anything; `None` if none was ever stored, or the
    /// key of their names is lost.
    ///
    /// # Errors
    /// As [`StoreBlobs::open`].
    pub async fn open_existing(store: Arc<dyn Store>, env: &Env) -> Result<Option<Self>> {
        let key =
            body((), |(), tx, _| Box::pin(async move { read_key(tx, Isolation::Snapshot).await }));
        let hash_key = transact(&store, key).await?;
        Ok(hash_key.map(|hash_key| Self::new(store, env, hash_key)))
    }

    fn new(store: Arc<dyn Store>, env: &Env, hash_key: [u8; 32]) -> Self {
        let shared = Shared {
            store,
            clock: env.clock.clone(),
            random: env.random.clone(),
            hash_key,
            stripe: env.random.u64() as u16,
            manifests: Recent::new(MANIFESTS_MAX),
            chunks: Recent::new(CHUNKS_BYTES_MAX),
        };
        Self { shared: Arc::new(shared) }
    }
}

#[async_trait]
impl Blobs for StoreBlobs {
    fn upload(&self) -> Box<dyn Upload> {
        Box::new(upload::StoreUpload::new(self.shared.clone()))
    }

    fn read(&self, id: BlobId, range: Range<u64>) -> ByteStream {
        read::stream(self.shared.clone(), id, range)
    }

    fn read_staged(&self, blob: &Staged, range: Range<u64>) -> ByteStream {
        match &blob.place {
            Place::Inline(bytes) => contract_blob::inline_range(bytes, range),
            Place::Uploaded { upload } => {
                read::stream_upload(self.shared.clone(), blob, UploadId(*upload), range)
            }
            Place::Stored => self.read(blob.id, range),
        }
    }

    async fn hold(
        &self,
        tx: &dyn Transaction,
        blob: &Staged,
        holder: &Holder,
    ) -> Result<(), BodyError> {
        hold::hold(&self.shared, tx, blob, holder).await
    }

    async fn hold_stored(
        &self,
        tx: &dyn Transaction,
        id: BlobId,
        holder: &Holder,
    ) -> Result<(), BodyError> {
        hold::hold_stored(tx, id, holder).await
    }

    fn release(&self, tx: &dyn Transaction, id: BlobId, holder: &Holder) {
        hold::release(&self.shared, tx, id, holder);
    }

    async fn collect(&self, limit: usize) -> Result<Collected> {
        collect::collect(&self.shared, limit).await
    }
}

impl Shared {
    /// A name for an upload that has never been used. See [`rows::UploadId`].
    fn new_upload(&self) -> rows::UploadId {
        rows::UploadId::new(self.stripe, self.clock.now(), self.random.u64())
    }

    fn hasher(&self) -> blake3::Hasher {
        blake3::Hasher::new_keyed(&self.hash_key)
    }
}

/// Reads the hash key, or writes the one that was drawn.
fn find_key(drawn: [u8; 32]) -> impl Body<[u8; 32]> {
    body(drawn, |drawn, tx, _| {
        Box::pin(async move {
            match read_key(tx, Isolation::Serializable).await? {
                Some(key) => Ok(key),
                None => {
                    let row: Bytes = base::wire::encode_row(rows::VERSION, drawn)?;
                    tx.set(&rows::hash_key(), &row);
                    Ok(*drawn)
                }
            }
        })
    })
}

async fn read_key(
    tx: &dyn Transaction,
    isolation: Isolation,
) -> Result<Option<[u8; 32]>, BodyError> {
    let row = tx.get(&rows::hash_key(), isolation).await?;
    Ok(row.map(|row| base::wire::decode_row(rows::VERSION, &row)).transpose()?)
}
