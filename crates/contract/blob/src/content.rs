//! A message's bytes as a list of segments, so that trace headers, per-recipient headers and
//! attachment edits never copy a body.

use crate::{BlobId, Blobs, ByteStream, Staged};
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::Arc;

/// One run of bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Segment {
    /// The bytes themselves; for headers, at most a few kilobytes.
    Inline(Bytes),
    /// Part of a blob.
    Blob {
        /// Which blob.
        id: BlobId,
        /// Where it begins in the blob, in bytes.
        offset: u64,
        /// How many bytes.
        size_bytes: u64,
    },
}

impl Segment {
    /// Its length in bytes.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Blob { size_bytes, .. } => *size_bytes,
        }
    }
}

/// A byte string made of segments.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Content {
    /// In order.
    pub segments: Vec<Segment>,
}

impl Content {
    /// All of a staged blob.
    pub fn of(staged: &Staged) -> Self {
        let (id, size_bytes) = (staged.id, staged.size_bytes);
        Self { segments: vec![Segment::Blob { id, offset: 0, size_bytes }] }
    }

    /// Puts bytes (trace headers) in front.
    #[must_use]
    pub fn with_prefix(mut self, prefix: Bytes) -> Self {
        if !prefix.is_empty() {
            self.segments.insert(0, Segment::Inline(prefix));
        }
        self
    }

    /// The length in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::size_bytes).sum()
    }

    /// The blobs it refers to, each once.
    pub fn blobs(&self) -> Vec<BlobId> {
        let mut ids: Vec<BlobId> = Vec::new();
        for segment in &self.segments {
            if let Segment::Blob { id, .. } = segment
                && !ids.contains(id)
            {
                ids.push(*id);
            }
        }
        ids
    }

    /// A range of it as content of its own; what lies beyond the end is left out.
    pub fn slice(&self, range: Range<u64>) -> Self {
        let mut segments = Vec::new();
        let mut at = 0;
        for segment in &self.segments {
            let size = segment.size_bytes();
            let begin = range.start.clamp(at, at + size) - at;
            let end = range.end.clamp(at, at + size) - at;
            if begin < end {
                segments.push(match segment {
                    Segment::Inline(bytes) => {
                        Segment::Inline(bytes.slice(begin as usize..end as usize))
                    }
                    Segment::Blob { id, offset, .. } => {
                        Segment::Blob { id: *id, offset: offset + begin, size_bytes: end - begin }
                    }
                });
            }
            at += size;
        }
        Self { segments }
    }

    /// Streams it in pieces of at most one chunk.
    pub fn read(&self, blobs: &Arc<dyn Blobs>) -> ByteStream {
        let blobs = blobs.clone();
        futures::stream::iter(self.segments.clone())
            .flat_map(move |segment| match segment {
                Segment::Inline(bytes) => futures::stream::once(async { Ok(bytes) }).boxed(),
                Segment::Blob { id, offset, size_bytes } => {
                    blobs.read(id, offset..offset + size_bytes)
                }
            })
            .boxed()
    }

    /// Reads all of it into memory; for small contents and headers.
    ///
    /// # Errors
    /// The store's; [`base::Kind::Limit`] if it is longer than `bytes_max`.
    pub async fn read_all(&self, blobs: &Arc<dyn Blobs>, bytes_max: u64) -> base::Result<Bytes> {
        if self.size_bytes() > bytes_max {
            return Err(base::Error::new(base::Kind::Limit, "The content is too long to read"));
        }
        let mut all = Gathered { size_bytes: self.size_bytes() as usize, found: Found::Nothing };
        for segment in &self.segments {
            match segment {
                Segment::Inline(bytes) => all.push(bytes.clone()),
                Segment::Blob { id, offset, size_bytes } => {
                    let mut pieces = blobs.read(*id, *offset..*offset + *size_bytes);
                    while let Some(piece) = pieces.next().await {
                        all.push(piece?);
                    }
                }
            }
        }
        Ok(match all.found {
            Found::Nothing => Bytes::new(),
            Found::One(bytes) => bytes,
            Found::Several(bytes) => bytes.into(),
        })
    }
}

/// Pieces put together; a single one is not copied.
struct Gathered {
    size_bytes: usize,
    found: Found,
}

enum Found {
    Nothing,
    One(Bytes),
    Several(Vec<u8>),
}

impl Gathered {
    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.found = match std::mem::replace(&mut self.found, Found::Nothing) {
            Found::Nothing => Found::One(piece),
            Found::One(first) => {
                let mut all = Vec::with_capacity(self.size_bytes);
                all.extend_from_slice(&first);
                all.extend_from_slice(&piece);
                Found::Several(all)
            }
            Found::Several(mut all) => {
                all.extend_from_slice(&piece);
                Found::Several(all)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_cross_segments() {
        let id = BlobId([1; 32]);
        let content = Content {
            segments: vec![
                Segment::Inline(Bytes::from_static(b"head")),
                Segment::Blob { id, offset: 10, size_bytes: 6 },
                Segment::Inline(Bytes::from_static(b"tail")),
            ],
        };
        assert_eq!(content.size_bytes(), 14);
        let check = |range: Range<u64>, expect: Vec<Segment>| {
            assert_eq!(content.slice(range).segments, expect);
        };
        let blob = |offset, size_bytes| Segment::Blob { id, offset, size_bytes };
        check(0..4, vec![Segment::Inline(Bytes::from_static(b"head"))]);
        check(2..6, vec![Segment::Inline(Bytes::from_static(b"ad")), blob(10, 2)]);
        check(5..6, vec![blob(11, 1)]);
        check(9..100, vec![blob(15, 1), Segment::Inline(Bytes::from_static(b"tail"))]);
        check(14..20, vec![]);
        check(6..6, vec![]);
    }
}
