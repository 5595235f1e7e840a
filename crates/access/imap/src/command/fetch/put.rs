//! Printing one FETCH response.

use super::load::{self, Piece};
use super::{Plan, Target};
use crate::body;
use crate::flags;
use crate::reply::{Ending, Stop};
use crate::view::View;
use crate::wire::Wire;
use bytes::{Bytes, BytesMut};
use codec_imap::command::FetchItem;
use codec_imap::{DateTime, FetchWriter};
use contract_blob::Blobs;
use contract_mailbox::{Content, MessageMeta};
use futures::StreamExt;
use std::sync::Arc;

/// Prints the response for one message, sending as the output grows.
pub(super) async fn message(
    wire: &mut Wire,
    view: &mut View,
    plan: &Plan,
    target: &Target,
    pieces: Vec<Piece>,
    blobs: &Arc<dyn Blobs>,
) -> Result<(), Stop> {
    let row = target.row;
    let mut fetch = wire.begin_fetch(view, row);
    let mut pieces = pieces.into_iter();
    for item in &plan.items {
        if known(wire, &mut fetch, view, row, item) {
            continue;
        }
        let Some(meta) = &target.meta else { continue };
        if described(wire, &mut fetch, meta, item) {
            continue;
        }
        match pieces.next() {
            None | Some(Piece::Nil) => nil(wire, &mut fetch, item),
            Some(Piece::Ready(bytes)) => ready(wire, &mut fetch, item, bytes).await?,
            Some(Piece::Stream(content)) => stream(wire, &mut fetch, item, content, blobs).await?,
            Some(Piece::Size(size_bytes)) => size(wire, &mut fetch, item, size_bytes),
            Some(Piece::Decoded(decoded)) => {
                announce(wire, &mut fetch, item, decoded.cut.end - decoded.cut.start);
                decoded.send(wire, blobs).await?;
            }
            // The message is left out where there is one.
            Some(Piece::Unknown) => nil(wire, &mut fetch, item),
            Some(Piece::Fields(header)) => {
                // Part of the response may be on its way: it cannot be taken back.
                let bytes = load::fields(item, header, blobs).await.map_err(|error| {
                    crate::reply::log("FETCH", &error);
                    Ending::Broken
                })?;
                ready(wire, &mut fetch, item, bytes).await?;
            }
        }
    }
    if target.now_seen && !plan.asks_flags {
        known(wire, &mut fetch, view, row, &FetchItem::Flags);
    }
    // Flags never come without their modification sequence to who wants it (RFC 7162 §3.1.4.2).
    if (target.now_seen || plan.asks_flags) && !plan.items.contains(&FetchItem::ModSeq) {
        known(wire, &mut fetch, view, row, &FetchItem::ModSeq);
    }
    fetch.finish(wire.out());
    if target.now_seen || plan.asks_flags {
        view.shown(row);
    }
    Ok(wire.relieve().await?)
}

/// Items that the view knows.
fn known(
    wire: &mut Wire,
    fetch: &mut FetchWriter,
    view: &View,
    row: usize,
    item: &FetchItem,
) -> bool {
    let out = wire.out();
    match item {
        FetchItem::Flags => {
            let (flags, recent) = view.flags(row);
            fetch.flags(out, flags::names(flags, recent, view.keywords()));
        }
        FetchItem::ModSeq => {
            if let Some(mod_seq) = view.mod_seq(row) {
                fetch.mod_seq(out, mod_seq);
            }
        }
        FetchItem::Uid => fetch.uid(out, view.uid(row).unwrap_or_default().0),
        FetchItem::Rfc822Size => fetch.size(out, view.size_bytes(row)),
        FetchItem::InternalDate => {
            fetch.internal_date(out, DateTime::from_unix_seconds(view.received_s(row), 0));
        }
        _ => return false,
    }
    true
}

/// Items that the stored structure tells.
fn described(
    wire: &mut Wire,
    fetch: &mut FetchWriter,
    meta: &MessageMeta,
    item: &FetchItem,
) -> bool {
    let (out, parsed) = (wire.out(), &meta.parsed);
    match item {
        FetchItem::Envelope => fetch.envelope(out, &body::envelope(&parsed.envelope)),
        FetchItem::Body => fetch.body(out, &body::structure(&parsed.root)),
        FetchItem::BodyStructure => fetch.body_structure(out, &body::structure(&parsed.root)),
        _ => return false,
    }
    true
}

fn size(wire: &mut Wire, fetch: &mut FetchWriter, item: &FetchItem, size_bytes: u64) {
    if let FetchItem::BinarySize(parts) = item {
        fetch.binary_size(wire.out(), parts, size_bytes);
    }
}

fn nil(wire: &mut Wire, fetch: &mut FetchWriter, item: &FetchItem) {
    match item {
        FetchItem::Section(body) => {
            let origin = body.partial.map(|partial| partial.offset_bytes);
            fetch.section_nil(wire.out(), &body.section, origin);
        }
        FetchItem::Binary(binary) => {
            let origin = binary.partial.map(|partial| partial.offset_bytes);
            fetch.binary_nil(wire.out(), &binary.parts, origin);
        }
        FetchItem::BinarySize(parts) => fetch.binary_size(wire.out(), parts, 0),
        // Every message has these.
        other => fetch.rfc822_header(wire.out(), other, 0),
    }
}

fn announce(wire: &mut Wire, fetch: &mut FetchWriter, item: &FetchItem, len_bytes: u64) {
    match item {
        FetchItem::Section(body) => {
            let origin = body.partial.map(|partial| partial.offset_bytes);
            fetch.section_header(wire.out(), &body.section, origin, len_bytes);
        }
        FetchItem::Binary(binary) => {
            let origin = binary.partial.map(|partial| partial.offset_bytes);
            fetch.binary_header(wire.out(), &binary.parts, origin, len_bytes);
        }
        other => fetch.rfc822_header(wire.out(), other, len_bytes),
    }
}

async fn ready(
    wire: &mut Wire,
    fetch: &mut FetchWriter,
    item: &FetchItem,
    bytes: Bytes,
) -> Result<(), Ending> {
    announce(wire, fetch, item, bytes.len() as u64);
    // What is decoded may be anything: that is what it is asked for.
    let as_it_is = matches!(item, FetchItem::Binary(_));
    wire.payload(if as_it_is { bytes } else { without_nul(bytes) }).await
}

/// Sends bytes as they come from the store. Once the literal is announced nothing but its bytes
/// can be said, so an error ends the connection.
async fn stream(
    wire: &mut Wire,
    fetch: &mut FetchWriter,
    item: &FetchItem,
    content: Content,
    blobs: &Arc<dyn Blobs>,
) -> Result<(), Ending> {
    let mut left_bytes = content.size_bytes();
    announce(wire, fetch, item, left_bytes);
    let mut bytes = content.read(blobs);
    while let Some(next) = bytes.next().await {
        let next = next.map_err(|error| {
            crate::reply::log("FETCH", &error);
            Ending::Broken
        })?;
        left_bytes = left_bytes.checked_sub(next.len() as u64).ok_or(Ending::Broken)?;
        wire.payload(without_nul(next)).await?;
    }
    if left_bytes == 0 { Ok(()) } else { Err(Ending::Broken) }
}

/// A literal cannot hold NUL (RFC 3501 §9 CHAR8). Messages that came over SMTP may; then 0x80 is
/// shown in its place, as other servers do, so that every size and offset still fits. All other
/// bytes, and so all messages without NUL, are shown as they are stored.
fn without_nul(bytes: Bytes) -> Bytes {
    if !bytes.contains(&0) {
        return bytes;
    }
    let mut shown = BytesMut::from(bytes);
    shown.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x80);
    shown.freeze()
}
