//! BINARY (RFC 3516 §4.2): parts without their transfer encoding.
//!
//! Short ones are decoded at once. Of long ones the size is counted first, which reads them, and they
//! are decoded again while they are sent, so that memory stays bounded.

use super::load::Piece;
use crate::config::FETCH_AHEAD_BYTES;
use crate::reply::{self, Ending};
use crate::wire::Wire;
use base::Result;
use bytes::Bytes;
use codec_imap::command::{FetchItem, Partial};
use codec_mime::decode::{self, TransferDecoder, TransferEncoding};
use codec_mime::{Part, PartKind, SectionKind};
use contract_blob::Blobs;
use contract_mailbox::{Content, MessageMeta};
use futures::StreamExt;
use std::ops::Range;
use std::sync::Arc;

/// A long part.
pub(super) struct Decoded {
    content: Content,
    encoding: TransferEncoding,
    /// Which bytes of what is decoded are sent.
    pub(super) cut: Range<u64>,
}

/// What is shown for an item of BINARY; `None` for any other. What is decoded at once counts as read
/// ahead.
pub(super) async fn piece(
    item: &FetchItem,
    meta: &MessageMeta,
    left_bytes: &mut u64,
    blobs: &Arc<dyn Blobs>,
) -> Result<Option<Piece>> {
    let (parts, partial, sized) = match item {
        FetchItem::Binary(binary) => (&binary.parts, binary.partial, false),
        FetchItem::BinarySize(parts) => (parts, None, true),
        _ => return Ok(None),
    };
    let Some((content, encoding)) = locate(parts, meta) else {
        return Ok(Some(Piece::Nil));
    };
    let Some(encoding) = encoding else {
        return Ok(Some(Piece::Unknown));
    };
    let encoded_bytes = content.size_bytes();
    let identity = matches!(encoding, TransferEncoding::Identity);
    if encoded_bytes <= *left_bytes && !(sized && identity) {
        *left_bytes -= encoded_bytes;
        let bytes = decode::whole(encoding, &content.read_all(blobs, encoded_bytes).await?);
        let cut = cut(partial, bytes.len() as u64);
        return Ok(Some(match sized {
            true => Piece::Size(bytes.len() as u64),
            false => Piece::Ready(Bytes::from(bytes).slice(cut.start as usize..cut.end as usize)),
        }));
    }
    let size_bytes = match identity {
        true => encoded_bytes,
        false => count(&content, encoding, blobs).await?,
    };
    Ok(Some(match sized {
        true => Piece::Size(size_bytes),
        false => Piece::Decoded(Decoded { content, encoding, cut: cut(partial, size_bytes) }),
    }))
}

fn cut(partial: Option<Partial>, size_bytes: u64) -> Range<u64> {
    partial.map_or(0..size_bytes, |partial| partial.clamp(size_bytes))
}

/// Where a part is and how it is encoded; `None` for an encoding that is not known. What holds other
/// parts is never encoded (RFC 2045 §6.4).
fn locate(parts: &[u32], meta: &MessageMeta) -> Option<(Content, Option<TransferEncoding>)> {
    let range = meta.parsed.section(parts, SectionKind::Whole)?;
    let content = meta.content.slice(range);
    let leaf = meta.parsed.part(parts).filter(|part| matches!(part.kind, PartKind::Leaf));
    let encoding = match leaf.filter(|_| !parts.is_empty()) {
        Some(part) => known(part).then(|| part.transfer_encoding()),
        None => Some(TransferEncoding::Identity),
    };
    Some((content, encoding))
}

fn known(part: &Part) -> bool {
    let Some(name) = &part.encoding else { return true };
    let end = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b';' | b'(');
    let name = name.trim_ascii().split(end).next().unwrap_or_default();
    let plain = ["", "7bit", "8bit", "binary"];
    !matches!(part.transfer_encoding(), TransferEncoding::Identity)
        || plain.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// How many bytes a part has once it is decoded.
async fn count(
    content: &Content,
    encoding: TransferEncoding,
    blobs: &Arc<dyn Blobs>,
) -> Result<u64> {
    let (mut decoder, mut piece, mut size_bytes) = (TransferDecoder::new(encoding), Vec::new(), 0);
    let mut bytes = content.read(blobs);
    while let Some(next) = bytes.next().await {
        decoder.push(&next?, &mut piece);
        size_bytes += piece.len() as u64;
        piece.clear();
    }
    decoder.finish(&mut piece);
    Ok(size_bytes + piece.len() as u64)
}

impl Decoded {
    /// Sends the bytes; that many were announced, so an error ends the connection.
    pub(super) async fn send(self, wire: &mut Wire, blobs: &Arc<dyn Blobs>) -> Result<(), Ending> {
        let mut decoder = Some(TransferDecoder::new(self.encoding));
        let mut bytes = self.content.read(blobs);
        let (mut at, mut piece) = (0u64, Vec::with_capacity(FETCH_AHEAD_BYTES as usize));
        while at < self.cut.end {
            match bytes.next().await {
                Some(Ok(next)) => {
                    if let Some(decoder) = &mut decoder {
                        decoder.push(&next, &mut piece);
                    }
                }
                Some(Err(error)) => {
                    reply::log("FETCH", &error);
                    return Err(Ending::Broken);
                }
                None => match decoder.take() {
                    Some(decoder) => decoder.finish(&mut piece),
                    None => return Err(Ending::Broken),
                },
            }
            let end = at + piece.len() as u64;
            let (first, last) = (self.cut.start.clamp(at, end), self.cut.end.clamp(at, end));
            let wanted = (first - at) as usize..(last - at) as usize;
            wire.payload(Bytes::copy_from_slice(&piece[wanted])).await?;
            at = end;
            piece.clear();
        }
        Ok(())
    }
}
