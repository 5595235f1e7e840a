//! Reading a range of a blob.
//!
//! Pages of two chunks, each in a transaction of its own: bytes never change, so nothing binds the
//! pages together, and a slow reader never holds a read version. The first page reads the manifest
//! in the same transaction, unless it is known. A chunk that is missing under a known manifest
//! means that the blob was collected since; it may have been uploaded again, so the manifest is
//! read again. Missing under a manifest of the same transaction, it is damage.
//!
//! What was read lately is in memory, decoded: small blobs, and of large ones the first chunk, in
//! which the header is. Reading it again asks the store nothing.

use crate::hold::gone;
use crate::rows::{self, Manifest, UploadId};
use crate::{Shared, chunk};
use base::{Error, Result};
use bytes::Bytes;
use contract_blob::{BlobId, ByteStream, INLINE_BYTES_MAX, Staged};
use contract_store::transact::ATTEMPTS_MAX;
use contract_store::{BodyError, Isolation, KeyRange, RangeRead, Retry, StoreError, Transaction};
use futures::StreamExt;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Chunks in one page: the one that is asked for and one ahead.
const PAGE_CHUNKS: u32 = 2;

/// Of blobs up to this size all chunks are remembered, in bytes; of larger ones, which would drive
/// out everything else, the first.
const REMEMBERED_BLOB_BYTES_MAX: u64 = INLINE_BYTES_MAX as u64;

/// What an entry takes in memory beside its bytes, about.
const ENTRY_BYTES: usize = 160;

/// The stream of a range's bytes.
pub(crate) fn stream(shared: Arc<Shared>, id: BlobId, range: Range<u64>) -> ByteStream {
    unfold(shared, id, range, true, None)
}

/// The same as the store has it, whatever is in memory; and nothing of it stays there.
pub(crate) fn stream_stored(shared: Arc<Shared>, id: BlobId, range: Range<u64>) -> ByteStream {
    unfold(shared, id, range, false, None)
}

/// The same of an upload that nobody refers to yet.
pub(crate) fn stream_upload(
    shared: Arc<Shared>,
    blob: &Staged,
    upload: UploadId,
    range: Range<u64>,
) -> ByteStream {
    let manifest = match Manifest::new(upload, blob.size_bytes) {
        Ok(manifest) if range.start <= range.end && range.end <= blob.size_bytes => manifest,
        Ok(_) => {
            let error = Error::internal(format!("a range outside of an upload: {range:?}"));
            return futures::stream::once(async { Err(error) }).boxed();
        }
        Err(error) => return futures::stream::once(async { Err(error) }).boxed(),
    };
    unfold(shared, blob.id, range, false, Some(manifest))
}

fn unfold(
    shared: Arc<Shared>,
    id: BlobId,
    range: Range<u64>,
    remembers: bool,
    own: Option<Manifest>,
) -> ByteStream {
    let (checked, ready) = (own.is_some(), VecDeque::new());
    let reading = Reading { shared, id, range, remembers, own, checked, ready };
    futures::stream::try_unfold(reading, Reading::next).boxed()
}

struct Reading {
    shared: Arc<Shared>,
    id: BlobId,
    /// Whether chunks may come from memory and stay there.
    remembers: bool,
    /// Of an upload that has no manifest in the store yet.
    own: Option<Manifest>,
    /// What has not been fetched yet.
    range: Range<u64>,
    /// Whether the range has been compared with the size.
    checked: bool,
    /// What has been fetched.
    ready: VecDeque<Bytes>,
}

/// What one look into the store brought.
enum Fetched {
    Page,
    /// The manifest in the cache does not hold any more.
    Stale,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Ok(Some((piece, self)));
            }
            if self.checked && self.range.is_empty() {
                return Ok(None);
            }
            if !self.recall() {
                self.fetch().await?;
            }
        }
    }

    /// Takes the next chunk from memory, if it is there.
    fn recall(&mut self) -> bool {
        if !self.remembers || self.range.is_empty() {
            return false;
        }
        let Some(manifest) = self.shared.manifests.get(&self.id) else {
            return false;
        };
        if self.range.end > manifest.size_bytes {
            return false;
        }
        let index = manifest.chunk_of(self.range.start);
        let Some(data) = self.shared.chunks.get(&(manifest.upload(), index)) else {
            return false;
        };
        self.checked = true;
        self.cut(&manifest, index, data);
        true
    }

    /// Fetches the next page, with all the tries that a transaction gets.
    async fn fetch(&mut self) -> Result<()> {
        let mut tx = self.shared.store.begin();
        let mut attempt = 1;
        loop {
            // Without a chunk to miss, an old manifest would not be found out.
            let cached = match self.range.is_empty() {
                true => None,
                false => self.own.or_else(|| self.shared.manifests.get(&self.id)),
            };
            let error = match self.try_fetch(&*tx, cached).await {
                Ok(Fetched::Page) => return Ok(()),
                Ok(Fetched::Stale) => {
                    self.shared.manifests.remove(&self.id);
                    tx = self.shared.store.begin();
                    StoreError::Conflict
                }
                Err(BodyError::Refused(error)) => return Err(error),
                Err(BodyError::Store(error)) => error,
            };
            if error.retry() == Retry::Never || attempt >= ATTEMPTS_MAX {
                return Err(error.into());
            }
            attempt += 1;
            if error != StoreError::Conflict && tx.on_error(error).await.is_err() {
                tx = self.shared.store.begin();
            }
        }
    }

    async fn try_fetch(
        &mut self,
        tx: &dyn Transaction,
        cached: Option<Manifest>,
    ) -> Result<Fetched, BodyError> {
        let manifest = match cached {
            Some(manifest) => manifest,
            None => rows::manifest(tx, self.id, Isolation::Snapshot)
                .await?
                .ok_or_else(|| gone(self.id))?,
        };
        if self.range.start > self.range.end || self.range.end > manifest.size_bytes {
            let asked = format!("{:?} of {:?}, {} bytes", self.range, self.id, manifest.size_bytes);
            return Err(Error::internal(format!("a range outside of a blob: {asked}")).into());
        }
        self.checked = true;
        if !self.range.is_empty() {
            let first = manifest.chunk_of(self.range.start);
            let last = manifest.chunk_of(self.range.end - 1);
            let last = last.min(first.saturating_add(PAGE_CHUNKS - 1));
            let found = chunk_rows(tx, &manifest, first, last).await?;
            match (found, cached) {
                (Some(found), _) => self.take(&manifest, first, found)?,
                (None, Some(_)) => return Ok(Fetched::Stale),
                (None, None) => {
                    let what = format!("a chunk of {first}..={last} is missing");
                    return Err(self.damaged(&what).into());
                }
            }
        }
        if cached.is_none() {
            self.shared.manifests.put(self.id, manifest, 1);
        }
        Ok(Fetched::Page)
    }

    /// Checks and decodes a page, and cuts what is not in the range.
    fn take(&mut self, manifest: &Manifest, first: u32, rows: Vec<Bytes>) -> Result<()> {
        for (index, row) in (first..).zip(rows) {
            let key = manifest.upload().chunk_key(index);
            let data = chunk::decode(&key, &row, manifest.chunk_len(index))
                .map_err(|why| self.damaged(&format!("chunk {index}: {why}")))?;
            if self.remembers && (index == 0 || manifest.size_bytes <= REMEMBERED_BLOB_BYTES_MAX) {
                // A row that was not compressed may be part of something larger.
                let apart = !row.as_ptr_range().contains(&data.as_ptr());
                let kept = if apart { data.clone() } else { Bytes::copy_from_slice(&data) };
                let weight = kept.len() + ENTRY_BYTES;
                self.shared.chunks.put((manifest.upload(), index), kept, weight);
            }
            self.cut(manifest, index, data);
        }
        Ok(())
    }

    /// Cuts what is not in the range off the next chunk.
    fn cut(&mut self, manifest: &Manifest, index: u32, data: Bytes) {
        let begin = u64::from(index) * u64::from(manifest.chunk_bytes);
        let from = (self.range.start - begin) as usize;
        let to = (self.range.end - begin).min(data.len() as u64) as usize;
        self.ready.push_back(data.slice(from..to));
        self.range.start = begin + to as u64;
    }

    fn damaged(&self, what: &str) -> Error {
        metrics::counter!("rialto_blob_damaged_total").increment(1);
        Error::corrupt(format!("{:?}: {what}", self.id))
    }
}

/// The rows of some chunks, in order; `None` if one is missing.
async fn chunk_rows(
    tx: &dyn Transaction,
    manifest: &Manifest,
    first: u32,
    last: u32,
) -> Result<Option<Vec<Bytes>>, StoreError> {
    let upload = manifest.upload();
    if first == last {
        let row = tx.get(&upload.chunk_key(first), Isolation::Snapshot).await?;
        return Ok(row.map(|row| vec![row]));
    }
    let wanted = (last - first) as usize + 1;
    let range =
        KeyRange::new(upload.chunk_key(first), KeyRange::single(&upload.chunk_key(last)).end);
    let mut rows = Vec::with_capacity(wanted);
    let mut next = Some(RangeRead::all(&range).limit(wanted));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        rows.extend(page.rows);
    }
    let in_order = (first..).zip(&rows).all(|(index, row)| row.key == upload.chunk_key(index));
    Ok((in_order && rows.len() == wanted).then(|| rows.into_iter().map(|row| row.value).collect()))
}
