//! The ESEARCH response (RFC 4731 §3.1, RFC 9394 §3.1).

use crate::command::PartialRange;
use crate::value::{IdRange, Tag, put_ranges};
use crate::wire::{LiteralForm, put_number, put_string};
use bytes::{BufMut, BytesMut};

/// What a SEARCH found, as far as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ESearch<'a> {
    /// The command it answers.
    pub tag: Option<&'a Tag>,
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// The lowest number.
    pub min: Option<u32>,
    /// The highest number.
    pub max: Option<u32>,
    /// All numbers, ascending; not told where there is none.
    pub all: &'a [IdRange],
    /// How many.
    pub count: Option<u32>,
    /// A part of them, ascending; none is told as `NIL`.
    pub partial: Option<(PartialRange, &'a [IdRange])>,
    /// The highest modification sequence of what is told (RFC 7162 §3.1.6).
    pub mod_seq: Option<u64>,
}

impl ESearch<'_> {
    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_slice(b"ESEARCH");
        if let Some(tag) = self.tag {
            out.put_slice(b" (TAG ");
            put_string(out, tag.as_bytes(), LiteralForm::Plain);
            out.put_u8(b')');
        }
        if self.uid {
            out.put_slice(b" UID");
        }
        let number = |out: &mut BytesMut, name: &str, number: Option<u64>| {
            if let Some(number) = number {
                out.put_slice(name.as_bytes());
                put_number(out, number);
            }
        };
        number(out, " MIN ", self.min.map(u64::from));
        number(out, " MAX ", self.max.map(u64::from));
        if !self.all.is_empty() {
            out.put_slice(b" ALL ");
            put_ranges(out, self.all);
        }
        number(out, " COUNT ", self.count.map(u64::from));
        if let Some((range, ids)) = self.partial {
            out.put_slice(b" PARTIAL (");
            range.encode(out);
            out.put_u8(b' ');
            if ids.is_empty() {
                out.put_slice(b"NIL");
            }
            put_ranges(out, ids);
            out.put_u8(b')');
        }
        number(out, " MODSEQ ", self.mod_seq);
    }
}
