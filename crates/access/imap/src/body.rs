//! What is known of a message as the values that FETCH prints: ENVELOPE and BODYSTRUCTURE.
//! Everything is borrowed from the stored structure.

use bytes::Bytes;
use codec_imap::response::{
    Address, BodyStructure, Disposition, Envelope, MultiPart, Param, PartKind, SinglePart,
};
use codec_mime::{self as mime, Part};
use std::borrow::Cow;

/// ENVELOPE (RFC 3501 §7.4.2).
pub(crate) fn envelope(envelope: &mime::Envelope) -> Envelope<'_> {
    Envelope {
        date: text(&envelope.date),
        subject: text(&envelope.subject),
        from: addresses(&envelope.from),
        sender: addresses(&envelope.sender),
        reply_to: addresses(&envelope.reply_to),
        to: addresses(&envelope.to),
        cc: addresses(&envelope.cc),
        bcc: addresses(&envelope.bcc),
        in_reply_to: text(&envelope.in_reply_to),
        message_id: text(&envelope.message_id),
    }
}

/// BODYSTRUCTURE. The depth is bounded by the parser ([`codec_mime::limits::DEPTH`]).
pub(crate) fn structure(part: &Part) -> BodyStructure<'_> {
    let kind = match &part.kind {
        mime::PartKind::Multipart(parts) => return multi(part, parts),
        mime::PartKind::Message { envelope: inner, part: message } => PartKind::Message {
            envelope: Box::new(envelope(inner)),
            body: structure(message),
            lines: part.lines,
        },
        mime::PartKind::Leaf if part.content_type.is_main("text") => {
            PartKind::Text { lines: part.lines }
        }
        mime::PartKind::Leaf => PartKind::Basic,
    };
    BodyStructure::Single(Box::new(SinglePart {
        media_type: borrowed(&part.content_type.main),
        subtype: borrowed(&part.content_type.sub),
        params: params(&part.content_type.params),
        id: text(&part.id),
        description: text(&part.description),
        encoding: part.encoding.as_ref().map_or(Cow::Borrowed(b"7BIT"), borrowed),
        size_bytes: part.body.end - part.body.start,
        kind,
        md5: text(&part.md5),
        disposition: disposition(part),
        language: part.language.iter().map(borrowed).collect(),
        location: text(&part.location),
    }))
}

fn multi<'p>(part: &'p Part, parts: &'p [Part]) -> BodyStructure<'p> {
    BodyStructure::Multi(MultiPart {
        parts: parts.iter().map(structure).collect(),
        subtype: borrowed(&part.content_type.sub),
        params: params(&part.content_type.params),
        disposition: disposition(part),
        language: part.language.iter().map(borrowed).collect(),
        location: text(&part.location),
    })
}

fn disposition(part: &Part) -> Option<Disposition<'_>> {
    let disposition = part.disposition.as_ref()?;
    Some(Disposition { kind: borrowed(&disposition.kind), params: params(&disposition.params) })
}

fn params(params: &[mime::Param]) -> Vec<Param<'_>> {
    params.iter().map(|param| (borrowed(&param.name), borrowed(&param.value))).collect()
}

fn addresses(addresses: &[mime::Address]) -> Vec<Address<'_>> {
    let address = |address| {
        let [name, adl, mailbox, host] = mime::Address::imap_fields(address);

        let [name, adl, mailbox, host] = [name, adl, mailbox, host].map(|f| f.map(borrowed));
        Address { name, adl, mailbox, host }
    };
    addresses.iter().map(address).collect()
}

fn text(text: &Option<Bytes>) -> Option<Cow<'_, [u8]>> {
    text.as_ref().map(borrowed)
}

fn borrowed(bytes: &Bytes) -> Cow<'_, [u8]> {
    Cow::Borrowed(bytes)
}
