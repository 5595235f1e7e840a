//! The announcement of a literal at the end of a line: `{n}`, `{n+}` (RFC 7888), `~{n}` (RFC 3516).

use crate::limits::MAX_NUMBER64;

/// Bytes of the longest header that can announce a literal of less than 2^63 bytes, with its CR and
/// some leading zeros: what must be kept of a line that is being thrown away.
pub(super) const HEADER_BYTES_MAX: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) len_bytes: u64,
    pub(super) sync: bool,
    pub(super) binary: bool,
}

/// A size above 2^63-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeaderError {
    pub(super) sync: bool,
}

impl Header {
    /// The header at the end of a line and the length of the text before it.
    pub(super) fn at_end_of(line: &[u8]) -> Result<Option<(Header, usize)>, HeaderError> {
        let Some(inner) = line.strip_suffix(b"}") else {
            return Ok(None);
        };
        let (inner, sync) = match inner.strip_suffix(b"+") {
            Some(inner) => (inner, false),
            None => (inner, true),
        };
        let digits = inner.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let (before, digits) = inner.split_at(inner.len() - digits);
        let Some(text) = before.strip_suffix(b"{").filter(|_| !digits.is_empty()) else {
            return Ok(None);
        };
        let mut len_bytes = 0u64;
        for digit in digits {
            len_bytes = len_bytes.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        }
        if len_bytes > MAX_NUMBER64 {
            return Err(HeaderError { sync });
        }
        let (text, binary) = match text.strip_suffix(b"~") {
            Some(text) => (text, true),
            None => (text, false),
        };
        Ok(Some((Header { len_bytes, sync, binary }, text.len())))
    }
}
