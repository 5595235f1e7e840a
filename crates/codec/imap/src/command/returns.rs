//! What SEARCH is to give back (RFC 4731, RFC 5182) and a part of a result (RFC 9394).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::wire::put_number;
use bytes::{BufMut, BytesMut};

/// `RETURN (…)` of SEARCH (RFC 4731 §3.1). None of them at all is what `RETURN ()` means: ALL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// The lowest number.
    pub min: bool,
    /// The highest number.
    pub max: bool,
    /// All numbers.
    pub all: bool,
    /// How many.
    pub count: bool,
    /// Keep the result as `$` (RFC 5182 §2).
    pub save: bool,
    /// A part of the numbers (RFC 9394 §3.1); never beside ALL.
    pub partial: Option<PartialRange>,
}

/// A part of a result: from its begin or, with a minus, from its end (RFC 9394 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartialRange {
    /// The first place, from 1; at most `last`.
    pub first: u32,
    /// The last place.
    pub last: u32,
    /// Whether places are counted from the end.
    pub from_end: bool,
}

impl SearchReturn {
    /// Reads from behind `RETURN`.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<SearchReturn, ParseError> {
        cursor.space()?;
        cursor.expect(b'(', "a list of result options")?;
        let mut returns = SearchReturn::default();
        while !cursor.eat(b')') {
            if returns != SearchReturn::default() {
                cursor.space()?;
            }
            let at = cursor.mark();
            match cursor.word().as_bytes() {
                b"MIN" => returns.min = true,
                b"MAX" => returns.max = true,
                b"ALL" => returns.all = true,
                b"COUNT" => returns.count = true,
                b"SAVE" => returns.save = true,
                b"PARTIAL" if returns.partial.is_none() => {
                    cursor.space()?;
                    returns.partial = Some(PartialRange::parse(cursor)?);
                }
                _ => return Err(cursor.error_at(at, "a result option")),
            }
            if returns.all && returns.partial.is_some() {
                return Err(cursor.error_at(at, "either ALL or PARTIAL"));
            }
        }
        Ok(returns)
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let SearchReturn { min, max, all, count, save, partial } = *self;
        let names = [("MIN", min), ("MAX", max), ("ALL", all), ("COUNT", count), ("SAVE", save)];
        out.put_slice(b" RETURN (");
        let mut first = true;
        for (name, _) in names.into_iter().filter(|(_, chosen)| *chosen) {
            if !std::mem::take(&mut first) {
                out.put_u8(b' ');
            }
            out.put_slice(name.as_bytes());
        }
        if let Some(partial) = partial {
            out.put_slice(if first { b"PARTIAL ".as_slice() } else { b" PARTIAL " });
            partial.encode(out);
        }
        out.put_u8(b')');
    }
}

impl PartialRange {
    /// `1:500` or `-1:-500`, either end first.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<PartialRange, ParseError> {
        let from_end = cursor.eat(b'-');
        let one = cursor.nz_number("a place in the result")?;
        cursor.expect(b':', "`:` between two places")?;
        if from_end {
            cursor.expect(b'-', "`-` before the second place")?;
        }
        let other = cursor.nz_number("a place in the result")?;
        Ok(PartialRange { first: one.min(other), last: one.max(other), from_end })
    }

    /// The range as it was asked for.
    pub(crate) fn encode(self, out: &mut BytesMut) {
        let sign = if self.from_end { b"-".as_slice() } else { b"" };
        out.put_slice(sign);
        put_number(out, u64::from(self.first));
        out.put_u8(b':');
        out.put_slice(sign);
        put_number(out, u64::from(self.last));
    }

    /// Which places of a result of so many these are, from 0; what is not there is left out.
    pub fn places(self, len: usize) -> std::ops::Range<usize> {
        let (first, last) = (self.first as usize - 1, (self.last as usize).min(len));
        let first = first.min(last);
        match self.from_end {
            false => first..last,
            true => len - last..len - first,
        }
    }
}
