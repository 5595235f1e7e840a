//! The bytes that a FETCH shows of a message: where they are, and reading the short ones ahead.

use super::Plan;
use super::binary::{self, Decoded};
use crate::config::{FETCH_AHEAD_BYTES, HEADER_BYTES_MAX};
use base::Result;
use bytes::{Bytes, BytesMut};
use codec_imap::command::{BodySection, FetchItem, Partial, Section, SectionText};
use codec_mime::SectionKind;
use codec_mime::header::{Keep, filter};
use contract_blob::Blobs;
use contract_mailbox::{Content, MessageMeta};
use std::sync::Arc;

/// What is shown for one item that shows bytes.
pub(super) enum Piece {
    /// The message has no such section.
    Nil,
    /// The bytes.
    Ready(Bytes),
    /// The bytes, to be read when it is their turn.
    Stream(Content),
    /// Header fields, to be picked from this header when it is their turn.
    Fields(Content),
    /// How many bytes there are.
    Size(u64),
    /// A part to be decoded when it is its turn.
    Decoded(Decoded),
    /// A part whose transfer encoding is not known.
    Unknown,
}

/// The pieces for those items of a plan that show bytes, in their order. Reads ahead what fits
/// into [`FETCH_AHEAD_BYTES`].
pub(super) async fn pieces(
    plan: &Plan,
    meta: &MessageMeta,
    blobs: &Arc<dyn Blobs>,
) -> Result<Vec<Piece>> {
    let mut left_bytes = FETCH_AHEAD_BYTES;
    let mut pieces = Vec::new();
    for item in &plan.items {
        if let Some(piece) = binary::piece(item, meta, &mut left_bytes, blobs).await? {
            pieces.push(piece);
            continue;
        }
        let Some((section, partial)) = shown(item) else {
            continue;
        };
        let Some(content) = locate(&section, meta) else {
            pieces.push(Piece::Nil);
            continue;
        };
        let picks_fields = section.fields().is_some();
        let content = match partial {
            Some(partial) if !picks_fields => content.slice(partial.clamp(content.size_bytes())),
            _ => content,
        };
        let size_bytes = content.size_bytes();
        let ahead = size_bytes <= left_bytes;
        if ahead {
            left_bytes -= size_bytes;
        }
        pieces.push(match (picks_fields, ahead) {
            (true, true) => Piece::Ready(fields(item, content, blobs).await?),
            (true, false) => Piece::Fields(content),
            (false, true) => Piece::Ready(content.read_all(blobs, size_bytes).await?),
            (false, false) => Piece::Stream(content),
        });
    }
    Ok(pieces)
}

/// The fields that an item wants of a header, with the blank line, cut to the partial.
pub(super) async fn fields(
    item: &FetchItem,
    header: Content,
    blobs: &Arc<dyn Blobs>,
) -> Result<Bytes> {
    let (names, keep, partial) = match item {
        FetchItem::Section(BodySection { section, partial, .. }) => match named(section) {
            Some((names, keep)) => (names, keep, *partial),
            None => return Ok(Bytes::new()),
        },
        _ => return Ok(Bytes::new()),
    };
    let header = header.slice(0..HEADER_BYTES_MAX);
    let header = header.read_all(blobs, HEADER_BYTES_MAX).await?;
    let mut found = BytesMut::new();
    for range in filter(&header, names, keep) {
        found.extend_from_slice(&header[range]);
    }
    let found = found.freeze();
    let cut = partial.map(|partial| partial.clamp(found.len() as u64));
    Ok(match cut {
        Some(cut) => found.slice(cut.start as usize..cut.end as usize),
        None => found,
    })
}

/// The section and partial that an item shows, if it shows bytes.
fn shown(item: &FetchItem) -> Option<(Wanted<'_>, Option<Partial>)> {
    let plain = |kind| Some((Wanted { parts: &[], kind, section: None }, None));
    match item {
        FetchItem::Rfc822 => plain(SectionKind::Whole),
        FetchItem::Rfc822Header => plain(SectionKind::Header),
        FetchItem::Rfc822Text => plain(SectionKind::Text),
        FetchItem::Section(body) => {
            let section = &body.section;
            let kind = match &section.text {
                None => SectionKind::Whole,
                Some(SectionText::Text) => SectionKind::Text,
                Some(SectionText::Mime) => SectionKind::Mime,
                Some(
                    SectionText::Header
                    | SectionText::HeaderFields(_)
                    | SectionText::HeaderFieldsNot(_),
                ) => SectionKind::Header,
            };
            let wanted = Wanted { parts: &section.parts, kind, section: Some(section) };
            Some((wanted, body.partial))
        }
        _ => None,
    }
}

/// A section as the parsed message knows it.
struct Wanted<'i> {
    parts: &'i [u32],
    kind: SectionKind,
    section: Option<&'i Section>,
}

impl<'i> Wanted<'i> {
    fn fields(&self) -> Option<(&'i [Bytes], Keep)> {
        self.section.and_then(named)
    }
}

/// The names of HEADER.FIELDS and HEADER.FIELDS.NOT.
fn named(section: &Section) -> Option<(&[Bytes], Keep)> {
    match section.text.as_ref()? {
        SectionText::HeaderFields(names) => Some((names, Keep::Listed)),
        SectionText::HeaderFieldsNot(names) => Some((names, Keep::Unlisted)),
        _ => None,
    }
}

fn locate(wanted: &Wanted<'_>, meta: &MessageMeta) -> Option<Content> {
    let range = meta.parsed.section(wanted.parts, wanted.kind)?;
    Some(meta.content.slice(range))
}
