//! Raw header blocks: their fields, and the exact octets IMAP HEADER.FIELDS wants.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

/// One field of a header block, folded lines included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Where it stands in the block, with its last line end.
    pub range: Range<usize>,
    /// The name as written; empty for a line that is no field (no colon).
    pub name: &'a [u8],
    /// What follows the colon, folded, with its last line end.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether the field is called `name`, letter case ignored (RFC 5322 §1.2.2).
    pub fn is(&self, name: &[u8]) -> bool {
        !self.name.is_empty() && self.name.eq_ignore_ascii_case(name)
    }

    /// The value unfolded and trimmed; see [`unfold`].
    pub fn text(&self) -> Cow<'_, [u8]> {
        unfold(self.value)
    }
}

/// Walks the fields of a raw header block up to its blank line or its end.
pub struct Fields<'a> {
    header: &'a [u8],
    at: usize,
}

/// The fields of a raw header block.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields { header, at: 0 }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        let first = line_end(self.header, start)?;
        if is_blank(&self.header[start..first]) {
            return None;
        }
        let mut end = first;
        while matches!(self.header.get(end), Some(b' ' | b'\t')) {
            end = line_end(self.header, end).unwrap_or(self.header.len());
        }
        self.at = end;
        let colon = self.header[start..first].iter().position(|byte| *byte == b':');
        let (name, value) = match colon {
            Some(colon) => (
                self.header[start..start + colon].trim_ascii_end(),
                &self.header[start + colon + 1..end],
            ),
            None => (&b""[..], &self.header[start..end]),
        };
        Some(Field { range: start..end, name, value })
    }
}

/// What ends a header block behind its last field.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// How long the header block of a message is that is still coming, with its blank line, in bytes;
/// `None` while that has not come. What stands before `known` has been looked at.
pub fn length(bytes: &[u8], known: usize) -> Option<usize> {
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    let from = known.saturating_sub(BLANK_LINE.len() - 1);
    let found = bytes.get(from..)?.windows(BLANK_LINE.len()).position(|four| four == BLANK_LINE);
    found.map(|at| from + at + BLANK_LINE.len())
}

/// The first field called `name`.
pub fn find<'a>(header: &'a [u8], name: &[u8]) -> Option<Field<'a>> {
    fields(header).find(|field| field.is(name))
}

/// Which fields [`filter`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// IMAP HEADER.FIELDS: those named.
    Listed,
    /// IMAP HEADER.FIELDS.NOT: all others, lines that are no field among them.
    Unlisted,
}

/// Ranges of `header` that HEADER.FIELDS or HEADER.FIELDS.NOT returns, neighbours joined: the
/// fields in their order and, where the header has one, the blank line (RFC 9051 §6.4.5.1).
pub fn filter<N: AsRef<[u8]>>(header: &[u8], names: &[N], keep: Keep) -> Vec<Range<usize>> {
    let mut sorted: Vec<&[u8]> = names.iter().map(AsRef::as_ref).collect();
    // A client may list thousands of names for a header of thousands of fields.
    sorted.sort_unstable_by(|left, right| in_order(left, right));
    let mut kept: Vec<Range<usize>> = Vec::new();
    let mut walk = fields(header);
    let mut push = |range: Range<usize>| match kept.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ => kept.push(range),
    };
    for field in walk.by_ref() {
        let found = sorted.binary_search_by(|name| in_order(name, field.name));
        let listed = found.is_ok() && !field.name.is_empty();
        if listed == (keep == Keep::Listed) {
            push(field.range);
        }
    }
    if let Some(end) = line_end(header, walk.at) {
        push(walk.at..end);
    }
    kept
}

/// The order of field names, letter case ignored.
fn in_order(left: &[u8], right: &[u8]) -> Ordering {
    let lower = u8::to_ascii_lowercase;
    left.iter().map(lower).cmp(right.iter().map(lower))
}

/// Removes the folding of a value (RFC 5322 §2.2.3), trims white space at its ends, and replaces
/// CR, LF and NUL that are left by spaces. Borrows where nothing changes.
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return Cow::Borrowed(value);
    }
    let mut text = Vec::with_capacity(value.len());
    for (number, line) in value.split(|byte| *byte == b'\n').enumerate() {
        if number > 0 && !matches!(line.first(), Some(b' ' | b'\t')) {
            text.push(b' ');
        }
        append_neutral(&mut text, line.strip_suffix(b"\r").unwrap_or(line));
    }
    // What was a NUL at an end is white space now.
    text.truncate(text.trim_ascii_end().len());
    let start = text.len() - text.trim_ascii_start().len();
    text.drain(..start);
    Cow::Owned(text)
}

/// Appends one line without its end, CR, LF and NUL in it replaced by spaces.
pub(crate) fn append_neutral(text: &mut Vec<u8>, line: &[u8]) {
    let start = text.len();
    text.extend_from_slice(line);
    for byte in &mut text[start..] {
        if matches!(byte, b'\r' | b'\n' | 0) {
            *byte = b' ';
        }
    }
}

/// The index after the line that starts at `start`; `None` at the end of the block.
fn line_end(header: &[u8], start: usize) -> Option<usize> {
    let rest = header.get(start..).filter(|rest| !rest.is_empty())?;
    let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
    Some(start + length)
}

/// A line with nothing but its end.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}
