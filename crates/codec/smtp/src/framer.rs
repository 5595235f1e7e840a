//! Cuts the command stream into lines, before anything is parsed.
//!
//! Only CRLF ends a line (RFC 5321 §2.3.8). A bare LF is an error and not a line end: servers and
//! proxies that disagree on this are how commands get smuggled. A bare CR stays in the line, where
//! the command parser refuses it like every other control character.
//!
//! Memory stays bounded: a line over the limit is reported once, as soon as it is over, and the
//! rest of it is thrown away as it arrives. After any error the framer resynchronises at the next
//! CRLF, so a session may answer 500 and go on, or close.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::scan;

/// The longest line a session should accept: what AUTH needs (RFC 4954 §4.5.3.1.4 asks for 12288
/// octets, CRLF included). `Command::parse` holds every other verb to a smaller limit.
pub const LINE_BYTES_MAX: usize = 12_288;

/// Why a line was refused. The framer skips the rest of that line by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// More bytes than the limit without a CRLF.
    TooLong,
    /// A LF without a CR before it.
    BareLf,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LineError::TooLong => "line too long",
            LineError::BareLf => "line ends must be CRLF",
        })
    }
}

impl std::error::Error for LineError {}

/// Cuts CRLF lines out of a read buffer that the session owns.
#[derive(Debug, Clone)]
pub struct LineFramer {
    limit_bytes: usize,
    /// Bytes at the front of the buffer already known to hold no LF.
    scanned: usize,
    /// Inside a refused line: drop everything through the next CRLF.
    skipping: bool,
    /// While skipping: the last byte dropped was CR, so a LF that comes first ends the line.
    skipped_cr: bool,
}

impl LineFramer {
    /// A framer for lines of at most `limit_bytes`, CRLF included.
    #[must_use]
    pub fn new(limit_bytes: usize) -> LineFramer {
        LineFramer { limit_bytes, scanned: 0, skipping: false, skipped_cr: false }
    }

    /// Takes the next line, without its CRLF, off the front of `input`.
    ///
    /// `Ok(None)` means more bytes are needed; `input` then holds at most `limit_bytes`. Between
    /// two calls the caller may only append to `input`, or call [`LineFramer::reset`].
    ///
    /// # Errors
    /// [`LineError`], once per refused line.
    pub fn next_line(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, LineError> {
        if self.skipping && !self.skip(input) {
            return Ok(None);
        }
        let Some(found) = scan::lf(&input[self.scanned.min(input.len())..]) else {
            if input.len() >= self.limit_bytes {
                return Err(self.refuse(input, input.len(), LineError::TooLong));
            }
            self.scanned = input.len();
            return Ok(None);
        };
        let lf_at = self.scanned + found;
        if lf_at >= self.limit_bytes {
            return Err(self.refuse(input, self.limit_bytes, LineError::TooLong));
        }
        if lf_at == 0 || input[lf_at - 1] != b'\r' {
            return Err(self.refuse(input, lf_at + 1, LineError::BareLf));
        }
        self.scanned = 0;
        let line = input.split_to(lf_at - 1).freeze();
        input.advance(2);
        Ok(Some(line))
    }

    /// Forgets everything about bytes seen so far. To be called when the session takes the buffer
    /// away, for a message or because TLS starts.
    pub fn reset(&mut self) {
        *self = LineFramer::new(self.limit_bytes);
    }

    fn refuse(&mut self, input: &mut BytesMut, through: usize, error: LineError) -> LineError {
        self.skipped_cr = through > 0 && input[through - 1] == b'\r';
        input.advance(through);
        self.scanned = 0;
        self.skipping = true;
        error
    }

    /// Drops bytes through the next CRLF; true when it was found.
    fn skip(&mut self, input: &mut BytesMut) -> bool {
        while !input.is_empty() {
            let Some(lf_at) = scan::lf(input) else {
                self.skipped_cr = input.last() == Some(&b'\r');
                input.clear();
                return false;
            };
            let is_line_end = if lf_at == 0 { self.skipped_cr } else { input[lf_at - 1] == b'\r' };
            input.advance(lf_at + 1);
            self.skipped_cr = false;
            if is_line_end {
                self.skipping = false;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `step` bytes; lines and errors in order, as text.
    fn check(input: &[u8], step: usize, expected: &[&str]) {
        let mut framer = LineFramer::new(16);
        let mut buffer = BytesMut::new();
        let mut seen = Vec::new();
        for piece in input.chunks(step) {
            buffer.extend_from_slice(piece);
            loop {
                match framer.next_line(&mut buffer) {
                    Ok(Some(line)) => seen.push(String::from_utf8_lossy(&line).into_owned()),
                    Ok(None) => break,
                    Err(error) => seen.push(format!("!{error:?}")),
                }
            }
            assert!(buffer.len() <= 16, "the buffer stays bounded");
        }
        assert_eq!(seen, expected, "{:?} in steps of {step}", String::from_utf8_lossy(input));
    }

    #[test]
    fn lines_end_with_crlf_only() {
        for step in [1, 2, 3, 7, 100] {
            check(b"NOOP\r\nQUIT\r\n", step, &["NOOP", "QUIT"]);
            check(b"\r\n\r\n", step, &["", ""]);
            check(b"a\rb\r\n", step, &["a\rb"]);
            check(b"NOOP\r\r\n", step, &["NOOP\r"]);
            check(b"NOOP\nQUIT\r\nRSET\r\n", step, &["!BareLf", "RSET"]);
            check(b"\nQUIT\r\nRSET\r\n", step, &["!BareLf", "RSET"]);
            check(b"NOOP\n\r\nRSET\r\n", step, &["!BareLf", "RSET"]);
            check(b"no end", step, &[]);
        }
    }

    #[test]
    fn the_limit_counts_crlf() {
        for step in [1, 5, 100] {
            check(b"0123456789abcd\r\nok\r\n", step, &["0123456789abcd", "ok"]);
            check(b"0123456789abcde\r\nok\r\n", step, &["!TooLong", "ok"]);
            check(b"0123456789abcdef\r\nok\r\n", step, &["!TooLong", "ok"]);
            check(b"0123456789abcdefghijkl\nxx\r\nok\r\n", step, &["!TooLong", "ok"]);
        }
    }
}
