//! FETCH (RFC 3501 §6.4.5), with the modifiers of RFC 7162 §3.1.4 and RFC 9394 §3.3.

use super::returns::PartialRange;
use super::section::Section;
use crate::error::ParseError;
use crate::lex::Cursor;
use crate::limits::MAX_FETCH_ITEMS;
use crate::value::SequenceSet;
use crate::wire::{put_list, put_number};
use bytes::{BufMut, BytesMut};

/// The arguments of FETCH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Whether the numbers are UIDs (and the UID belongs in every response).
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// What of them, in the order asked; the macros ALL, FAST and FULL are already expanded.
    pub items: Vec<FetchItem>,
    /// Of which messages only.
    pub modifiers: FetchModifiers,
}

/// What may follow the data items (RFC 4466 §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FetchModifiers {
    /// Only messages changed after this modification sequence (RFC 7162 §3.1.4.1).
    pub changed_since: Option<u64>,
    /// Also which of the messages have gone since then (RFC 7162 §3.2.6); only with
    /// `changed_since` and UIDs.
    pub vanished: bool,
    /// Only this part of the messages (RFC 9394 §3.3).
    pub partial: Option<PartialRange>,
}

/// A message data item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// `ENVELOPE`
    Envelope,
    /// `FLAGS`
    Flags,
    /// `INTERNALDATE`
    InternalDate,
    /// `RFC822`: like `BODY[]`.
    Rfc822,
    /// `RFC822.HEADER`: like `BODY.PEEK[HEADER]`.
    Rfc822Header,
    /// `RFC822.SIZE`
    Rfc822Size,
    /// `RFC822.TEXT`: like `BODY[TEXT]`.
    Rfc822Text,
    /// `BODY`: the structure without extension data.
    Body,
    /// `BODYSTRUCTURE`
    BodyStructure,
    /// `UID`
    Uid,
    /// `MODSEQ` (RFC 7162 §3.1.4.2)
    ModSeq,
    /// `BODY[…]` and `BODY.PEEK[…]`
    Section(BodySection),
    /// `BINARY[…]` and `BINARY.PEEK[…]` (RFC 3516 §4.2): a part without its transfer encoding.
    Binary(BinarySection),
    /// `BINARY.SIZE[…]`: the size of the same.
    BinarySize(Vec<u32>),
}

/// `BINARY[1.2]<partial>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinarySection {
    /// Whether `\Seen` stays as it is.
    pub peek: bool,
    /// The part numbers; none: the whole message.
    pub parts: Vec<u32>,
    /// Which bytes of what is decoded; `None`: all.
    pub partial: Option<Partial>,
}

/// `BODY[section]<partial>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodySection {
    /// Whether `\Seen` stays as it is.
    pub peek: bool,
    /// Which piece of the message.
    pub section: Section,
    /// Which bytes of the piece; `None`: all.
    pub partial: Option<Partial>,
}

/// `<offset.length>`, both below 2^63. May reach beyond the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partial {
    /// The first byte.
    pub offset_bytes: u64,
    /// How many at most; at least 1.
    pub len_bytes: u64,
}

impl Partial {
    /// The range of a piece of this size, cut to what is there.
    pub fn clamp(self, size_bytes: u64) -> std::ops::Range<u64> {
        let start = self.offset_bytes.min(size_bytes);
        start..self.offset_bytes.saturating_add(self.len_bytes).min(size_bytes).max(start)
    }
}

impl FetchItem {
    /// Whether fetching it sets `\Seen` (RFC 3501 §6.4.5).
    pub fn sets_seen(&self) -> bool {
        match self {
            FetchItem::Rfc822 | FetchItem::Rfc822Text => true,
            FetchItem::Section(body) => !body.peek,
            FetchItem::Binary(binary) => !binary.peek,
            _ => false,
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<FetchItem, ParseError> {
        let at = cursor.mark();
        let word = cursor.word();
        let peek = match word.as_bytes() {
            b"ENVELOPE" => return Ok(FetchItem::Envelope),
            b"FLAGS" => return Ok(FetchItem::Flags),
            b"INTERNALDATE" => return Ok(FetchItem::InternalDate),
            b"RFC822" => return Ok(FetchItem::Rfc822),
            b"RFC822.HEADER" => return Ok(FetchItem::Rfc822Header),
            b"RFC822.SIZE" => return Ok(FetchItem::Rfc822Size),
            b"RFC822.TEXT" => return Ok(FetchItem::Rfc822Text),
            b"BODYSTRUCTURE" => return Ok(FetchItem::BodyStructure),
            b"UID" => return Ok(FetchItem::Uid),
            b"MODSEQ" => return Ok(FetchItem::ModSeq),
            b"BODY" if cursor.peek() != Some(b'[') => return Ok(FetchItem::Body),
            b"BINARY" => return BinarySection::parse(cursor, false).map(FetchItem::Binary),
            b"BINARY.PEEK" => return BinarySection::parse(cursor, true).map(FetchItem::Binary),
            b"BINARY.SIZE" => return part_numbers(cursor).map(FetchItem::BinarySize),
            b"BODY" => false,
            b"BODY.PEEK" => true,
            _ => return Err(cursor.error_at(at, "a data item")),
        };
        cursor.expect(b'[', "`[` after BODY.PEEK")?;
        let section = Section::parse(cursor)?;
        let partial = Partial::parse_optional(cursor)?;
        Ok(FetchItem::Section(BodySection { peek, section, partial }))
    }

    fn encode(&self, out: &mut BytesMut) {
        let name = match self {
            FetchItem::Envelope => "ENVELOPE",
            FetchItem::Flags => "FLAGS",
            FetchItem::InternalDate => "INTERNALDATE",
            FetchItem::Rfc822 => "RFC822",
            FetchItem::Rfc822Header => "RFC822.HEADER",
            FetchItem::Rfc822Size => "RFC822.SIZE",
            FetchItem::Rfc822Text => "RFC822.TEXT",
            FetchItem::Body => "BODY",
            FetchItem::BodyStructure => "BODYSTRUCTURE",
            FetchItem::Uid => "UID",
            FetchItem::ModSeq => "MODSEQ",
            FetchItem::Section(body) => return body.encode(out),
            FetchItem::Binary(binary) => return binary.encode(out),
            FetchItem::BinarySize(parts) => {
                out.put_slice(b"BINARY.SIZE");
                return put_part_numbers(out, parts);
            }
        };
        out.put_slice(name.as_bytes());
    }
}

impl BodySection {
    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(if self.peek { b"BODY.PEEK".as_slice() } else { b"BODY" });
        self.section.encode(out);
        Partial::encode(self.partial, out);
    }
}

impl BinarySection {
    fn parse(cursor: &mut Cursor<'_>, peek: bool) -> Result<BinarySection, ParseError> {
        let parts = part_numbers(cursor)?;
        Ok(BinarySection { peek, parts, partial: Partial::parse_optional(cursor)? })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_slice(if self.peek { b"BINARY.PEEK".as_slice() } else { b"BINARY" });
        put_part_numbers(out, &self.parts);
        Partial::encode(self.partial, out);
    }
}

/// `[1.2]`: a section that is only numbers.
fn part_numbers(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, ParseError> {
    cursor.expect(b'[', "`[` after BINARY")?;
    let at = cursor.mark();
    match Section::parse(cursor)? {
        Section { parts, text: None } => Ok(parts),
        Section { text: Some(_), .. } => Err(cursor.error_at(at, "part numbers")),
    }
}

/// The same, printed.
pub(crate) fn put_part_numbers(out: &mut BytesMut, parts: &[u32]) {
    Section { parts: parts.to_vec(), text: None }.encode(out);
}

impl Partial {
    fn encode(partial: Option<Partial>, out: &mut BytesMut) {
        if let Some(partial) = partial {
            out.put_u8(b'<');
            put_number(out, partial.offset_bytes);
            out.put_u8(b'.');
            put_number(out, partial.len_bytes);
            out.put_u8(b'>');
        }
    }

    fn parse_optional(cursor: &mut Cursor<'_>) -> Result<Option<Partial>, ParseError> {
        if cursor.peek() == Some(b'<') { Partial::parse(cursor).map(Some) } else { Ok(None) }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Partial, ParseError> {
        cursor.expect(b'<', "`<`")?;
        let offset_bytes = cursor.number64("an offset below 2^63")?;
        cursor.expect(b'.', "`.` after the offset")?;
        let at = cursor.mark();
        let len_bytes = cursor.number64("a length below 2^63")?;
        if len_bytes == 0 {
            return Err(cursor.error_at(at, "a length above zero"));
        }
        cursor.expect(b'>', "`>` after the length")?;
        Ok(Partial { offset_bytes, len_bytes })
    }
}

impl Fetch {
    pub(super) fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Fetch, ParseError> {
        cursor.space()?;
        let set = SequenceSet::parse(cursor)?;
        cursor.space()?;
        let items = parse_items(cursor)?;
        let mut modifiers = FetchModifiers::default();
        if !cursor.at_end() {
            cursor.space()?;
            modifiers = FetchModifiers::parse(cursor, uid)?;
        }
        Ok(Fetch { uid, set, items, modifiers })
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b' ');
        self.set.encode(out);
        out.put_u8(b' ');
        put_list(out, &self.items, |out, item| item.encode(out));
        self.modifiers.encode(out);
    }
}

impl FetchModifiers {
    fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<FetchModifiers, ParseError> {
        let mut modifiers = FetchModifiers::default();
        cursor.expect(b'(', "a list of modifiers")?;
        loop {
            let at = cursor.mark();
            match cursor.word().as_bytes() {
                b"CHANGEDSINCE" => {
                    cursor.space()?;
                    modifiers.changed_since = Some(cursor.number64("a modification sequence")?);
                }
                b"VANISHED" if uid => modifiers.vanished = true,
                b"PARTIAL" => {
                    cursor.space()?;
                    modifiers.partial = Some(PartialRange::parse(cursor)?);
                }
                _ => return Err(cursor.error_at(at, "a FETCH modifier")),
            }
            if cursor.eat(b')') {
                break;
            }
            cursor.space()?;
        }
        if modifiers.vanished && modifiers.changed_since.is_none() {
            return Err(cursor.error("CHANGEDSINCE beside VANISHED"));
        }
        Ok(modifiers)
    }

    fn encode(&self, out: &mut BytesMut) {
        let mut before = " (";
        let mut next = |out: &mut BytesMut, name: &str| {
            out.put_slice(std::mem::replace(&mut before, " ").as_bytes());
            out.put_slice(name.as_bytes());
        };
        if let Some(since) = self.changed_since {
            next(out, "CHANGEDSINCE ");
            put_number(out, since);
        }
        if self.vanished {
            next(out, "VANISHED");
        }
        if let Some(partial) = self.partial {
            next(out, "PARTIAL ");
            partial.encode(out);
        }
        if *self != FetchModifiers::default() {
            out.put_u8(b')');
        }
    }
}

/// A macro, an item, or a list of items.
fn parse_items(cursor: &mut Cursor<'_>) -> Result<Vec<FetchItem>, ParseError> {
    if !cursor.eat(b'(') {
        return match parse_macro(cursor) {
            Some(items) => Ok(items),
            None => Ok(vec![FetchItem::parse(cursor)?]),
        };
    }
    let mut items = vec![FetchItem::parse(cursor)?];
    while !cursor.eat(b')') {
        if items.len() == MAX_FETCH_ITEMS {
            return Err(cursor.too_much("data items"));
        }
        cursor.space()?;
        items.push(FetchItem::parse(cursor)?);
    }
    Ok(items)
}

/// A macro, which stands alone and never in a list.
fn parse_macro(cursor: &mut Cursor<'_>) -> Option<Vec<FetchItem>> {
    let mut ahead = cursor.clone();
    let word = ahead.word();
    let mut items = vec![FetchItem::Flags, FetchItem::InternalDate, FetchItem::Rfc822Size];
    match word.as_bytes() {
        b"FAST" => {}
        b"ALL" => items.push(FetchItem::Envelope),
        b"FULL" => items.extend([FetchItem::Envelope, FetchItem::Body]),
        _ => return None,
    }
    *cursor = ahead;
    Some(items)
}
