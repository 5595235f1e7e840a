//! What becomes of each stretch of a message.

use std::ops::Range;

use super::Target;
use crate::decode::TransferEncoding;
use crate::message::{Part, PartKind};

/// What a conversion does, stretch by stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(super) target: Target,
    /// In order, without gaps or overlaps.
    pub(super) stretches: Vec<Stretch>,
}

impl Plan {
    /// Whether anything changes at all.
    pub fn changes(&self) -> bool {
        self.stretches.iter().any(|stretch| stretch.action != Action::Keep)
    }
}

/// Octets with one fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) range: Range<u64>,
    pub(super) action: Action,
}

/// What becomes of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Keep,
    /// It is no content: boundaries and what is around them. Lines are repaired.
    Tidy,
    /// A header that is rewritten.
    Header(Edit),
    /// A body that is decoded and encoded.
    Encode(TransferEncoding, Encoding),
}

/// What changes in a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// Its new Content-Transfer-Encoding.
    pub(super) encoding: Option<Encoding>,
    /// That the character set of a text is not known (RFC 1428).
    pub(super) charset: bool,
    /// Fields become ASCII.
    pub(super) ascii: bool,
    /// MIME-Version is put in: without it the rest means nothing.
    pub(super) version: bool,
}

/// How a body is encoded then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    SevenBit,
    EightBit,
    Quoted,
    Base64,
}

impl Encoding {
    pub(super) fn word(self) -> &'static str {
        match self {
            Encoding::SevenBit => "7bit",
            Encoding::EightBit => "8bit",
            Encoding::Quoted => "quoted-printable",
            Encoding::Base64 => "base64",
        }
    }
}

/// A part as it is met, before anything is decided.
#[derive(Debug)]
pub(super) struct Area<'a> {
    pub(super) range: Range<u64>,
    pub(super) kind: AreaKind<'a>,
    /// Within something that is signed.
    pub(super) is_signed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AreaKind<'a> {
    /// The header of a part; `is_message` if it is that of a message.
    Header { part: &'a Part, is_message: bool },
    /// The body of the leaf whose header came before.
    Body,
    /// Around parts.
    Between,
}

/// The areas of a message, in order and without gaps.
pub(super) fn areas(root: &Part, size_bytes: u64) -> Vec<Area<'_>> {
    let mut areas = Areas { list: Vec::new(), at: 0 };
    areas.part(root, true, false);
    areas.push(size_bytes, AreaKind::Between, false);
    areas.list
}

struct Areas<'a> {
    list: Vec<Area<'a>>,
    at: u64,
}

impl<'a> Areas<'a> {
    fn push(&mut self, end: u64, kind: AreaKind<'a>, is_signed: bool) {
        let range = self.at..end.max(self.at);
        let is_empty = range.is_empty();
        self.at = range.end;
        // An empty header is still the place where fields may be put in.
        if !is_empty || !matches!(kind, AreaKind::Between) {
            self.list.push(Area { range, kind, is_signed });
        }
    }

    fn part(&mut self, part: &'a Part, is_message: bool, is_signed: bool) {
        self.push(part.header.start, AreaKind::Between, is_signed);
        self.push(part.body.start, AreaKind::Header { part, is_message }, is_signed);
        match &part.kind {
            PartKind::Leaf => self.push(part.body.end, AreaKind::Body, is_signed),
            // Whatever it says inside, it may be encoded as a whole (RFC 6532 §3.7).
            PartKind::Message { .. } if part.content_type.is("message", "global") => {
                self.push(part.body.end, AreaKind::Body, is_signed);
            }
            PartKind::Message { part: embedded, .. } => {
                self.part(embedded, true, is_signed);
                self.push(part.body.end, AreaKind::Between, is_signed);
            }
            PartKind::Multipart(children) => {
                let seals = part.content_type.is("multipart", "signed");
                for child in children {
                    self.part(child, false, is_signed || seals);
                }
                self.push(part.body.end, AreaKind::Between, is_signed);
            }
        }
    }
}
