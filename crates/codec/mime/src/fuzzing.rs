//! Entry points for fuzzers: any octets go in, and what must always hold is asserted. The same
//! functions run in the normal tests over random and over real input.

use std::ops::Range;

use bytes::Bytes;

use crate::charset::{self, CharsetDecoder};
use crate::decode::{self, TransferDecoder, TransferEncoding};
use crate::header::{self, Keep};
use crate::message::{ParsedMessage, Part, PartKind, SectionKind};
use crate::{
    Address, Limits, Scanner, address, author, date, encoded_word, filename, message_id, params,
};

/// The result is the same for all ways to cut the input, its ranges are sound, and a trace header
/// in front only shifts it.
pub fn scanner(data: &[u8]) {
    let whole = crate::parse(data);
    cuts_do_not_matter(&whole, data, &Limits::default());
    for limits in [TIGHT, NOTHING] {
        let mut scanner = Scanner::new(limits.clone());
        scanner.push(data);
        cuts_do_not_matter(&scanner.finish(), data, &limits);
    }
    if !matches!(data.first(), Some(b' ' | b'\t')) {
        let trace = b"Received: from a by b;\r\n\tMon, 1 Jan 2024 00:00:00 +0000\r\n";
        let traced = crate::parse(&[trace, data].concat());
        assert_eq!(traced, whole.shifted(trace.len() as u64));
    }
}

/// Limits that short inputs meet.
const TIGHT: Limits = Limits {
    parts: 3,
    depth: 3,
    root_header_bytes: 100,
    part_header_bytes: 40,
    content_field_bytes: 70,
    kept_bytes: 300,
    addresses: 3,
    parameters: 2,
};
const NOTHING: Limits = Limits {
    parts: 0,
    depth: 0,
    root_header_bytes: 0,
    part_header_bytes: 0,
    content_field_bytes: 0,
    kept_bytes: 0,
    addresses: 0,
    parameters: 0,
};

fn cuts_do_not_matter(whole: &ParsedMessage, data: &[u8], limits: &Limits) {
    check(whole, data);
    for size in [1, 2, 3, 7, 64] {
        let mut scanner = Scanner::new(limits.clone());
        data.chunks(size).for_each(|chunk| scanner.push(chunk));
        assert_eq!(&scanner.finish(), whole, "in chunks of {size}");
    }
}

/// Asserts what holds for each parsed message and the octets it came from.
pub fn check(message: &ParsedMessage, data: &[u8]) {
    assert_eq!(message.size_bytes, data.len() as u64);
    assert_eq!(message.root.header.start, 0);
    assert_eq!(message.root.body.end, message.size_bytes);
    check_part(&message.root, data);
    let parts = message.parts();
    // The root may be a multipart, which has no number; embedded multipart roots likewise.
    assert!(parts.len() <= crate::limits::PARTS);
    for (path, part) in parts {
        assert_eq!(message.part(&path), Some(part), "{path:?}");
        assert_eq!(message.section(&path, SectionKind::Whole), Some(part.body.clone()));
        assert_eq!(message.section(&path, SectionKind::Mime), Some(part.header.clone()));
        let embeds = matches!(part.kind, PartKind::Message { .. });
        assert_eq!(message.section(&path, SectionKind::Header).is_some(), embeds);
        let name = part.safe_filename();
        assert!(!name.is_empty() && name.len() <= 255);
    }
    message.has_attachments();
    message.preview_part();
}

fn check_part(part: &Part, data: &[u8]) {
    assert!(part.header.start <= part.header.end, "{part:?}");
    assert_eq!(part.header.end, part.body.start, "{part:?}");
    assert!(part.body.start <= part.body.end, "{part:?}");
    let body = &data[usize_range(&part.body)];
    let lines = body.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert_eq!(part.lines, lines, "{part:?}");
    let kind = &part.content_type;
    let embeds = kind.is("message", "rfc822") || kind.is("message", "global");
    match &part.kind {
        PartKind::Leaf => assert!(!kind.is_main("multipart") && !embeds, "{part:?}"),
        PartKind::Multipart(children) => {
            assert!(kind.is_main("multipart") && !children.is_empty(), "{part:?}");
            let mut at = part.body.start;
            for child in children {
                assert!(child.header.start >= at && child.body.end <= part.body.end, "{part:?}");
                at = child.body.end;
                check_part(child, data);
            }
        }
        PartKind::Message { part: embedded, .. } => {
            assert!(embeds, "{part:?}");
            assert_eq!(embedded.header.start..embedded.body.end, part.body.clone());
            check_part(embedded, data);
        }
    }
}

fn usize_range(range: &Range<u64>) -> Range<usize> {
    range.start as usize..range.end as usize
}

/// HEADER.FIELDS and HEADER.FIELDS.NOT together are the header, and unfolded values hold no line
/// end.
pub fn headers(data: &[u8]) {
    let mut at = 0;
    for field in header::fields(data) {
        assert_eq!(field.range.start, at);
        at = field.range.end;
        let text = field.text();
        assert!(!text.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let names: Vec<&[u8]> = header::fields(data).map(|field| field.name).take(2).collect();
    let octets = |keep| header::filter(data, &names, keep).into_iter().map(|r| r.len()).sum();
    let (listed, unlisted): (usize, usize) = (octets(Keep::Listed), octets(Keep::Unlisted));
    let blank = data.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'));
    let blank = blank.map_or(0, |end| end + 1);
    assert_eq!(listed + unlisted, at + 2 * blank);
}

/// Lists are no longer than asked for, groups are paired, and parameters and ids are total.
pub fn addresses(data: &[u8]) {
    let value = Bytes::from(header::unfold(data).into_owned());
    for max in [0, 3, usize::MAX] {
        let (list, _) = address::parse_list(&value, max);
        assert!(list.len() <= max.saturating_add(1));
        let mut open = false;
        for address in &list {
            match address {
                Address::GroupStart(_) => assert!(!std::mem::replace(&mut open, true)),
                Address::GroupEnd => assert!(std::mem::replace(&mut open, false)),
                Address::Mailbox { .. } => {}
            }
            assert!(address.email().is_none_or(|email| !email.contains(['\r', '\n', '\0'])));
        }
        assert!(!open);
    }
    // Where there is no doubt about authors the forgiving reader finds the same.
    if let Some(authors) = author::authors(data) {
        let (list, _) = address::parse_list(&value, usize::MAX);
        let found = list.iter().map(|address| match address {
            Address::Mailbox { mailbox, host, .. } => Some((mailbox, host)),
            _ => None,
        });
        let authors = authors.iter().map(|author| Some((&author.local, &author.domain)));
        assert!(found.eq(authors), "{}", data.escape_ascii());
    }
    assert!(message_id::parse_list(&value, 5).len() <= 5);
    let (kind, more) = params::content_type(&value, 5);
    let params = kind.map(|kind| kind.params).unwrap_or_default();
    assert!(params.len() <= 5 && (!more || params.len() == 5));
    if let Some(name) = params::decoded(&params, "name") {
        assert!(!name.chars().any(char::is_control));
    }
    params::disposition(&value, 5);
    if let Some(at) = date::parse(&value) {
        assert_eq!(date::parse(date::print(at).as_bytes()), Some(at));
    }
}

/// Bodies: in whatever pieces one is decoded, transfer encoding and character set give the same, of
/// bounded size. The first octet chooses both.
pub fn bodies(data: &[u8]) {
    const CHARSETS: [&[u8]; 8] =
        [b"utf-8", b"utf-7", b"", b"iso-2022-jp", b"gb18030", b"utf-16", b"x-nothing", b"big5"];
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let label = CHARSETS[usize::from(choice) % CHARSETS.len()];
    let text = charset::to_utf8(label, body);
    assert!(text.len() <= 3 * body.len() + 3, "text grows");
    for encoding in [TransferEncoding::Base64, TransferEncoding::QuotedPrintable] {
        let whole = decode::whole(encoding, body);
        assert!(whole.len() <= body.len(), "a decoded body is no larger");
        for size in [1, 2, 3, 7, 64] {
            let (mut octets, mut decoder) = (Vec::new(), TransferDecoder::new(encoding));
            body.chunks(size).for_each(|piece| decoder.push(piece, &mut octets));
            decoder.finish(&mut octets);
            assert_eq!(octets, whole, "in pieces of {size}");
        }
    }
    for size in [1, 2, 3, 7, 64] {
        let (mut piecewise, mut decoder) = (String::new(), CharsetDecoder::new(label));
        body.chunks(size).for_each(|piece| decoder.push(piece, &mut piecewise));
        decoder.finish(&mut piecewise);
        assert_eq!(piecewise, text, "in pieces of {size}");
    }
}

/// Decoded text is one line; what is encoded decodes to itself, in short words.
pub fn rfc2047(data: &[u8]) {
    let text = encoded_word::decode(data);
    assert!(!text.chars().any(char::is_control));
    let encoded = encoded_word::encode(&text);
    assert!(encoded.is_ascii());
    if encoded != text {
        assert!(encoded.split(' ').all(|word| word.len() <= 75));
    }
    assert_eq!(encoded_word::decode(encoded.as_bytes()), text);
    let name = filename::safe(&text);
    assert!(!name.contains(['/', '\\']) && name.len() <= 255);
    assert_eq!(filename::safe(&name), name);
}
