//! Reads replies off a byte stream, for the client side.

use std::fmt;

use bytes::BytesMut;

use super::{EnhancedCode, Reply};
use crate::framer::{LineError, LineFramer};

/// Longest reply line taken: eight times what RFC 5321 §4.5.3.1.5 allows a server to send, and
/// enough for a long SASL challenge.
const LINE_BYTES_MAX: usize = 4_096;
/// Most lines of one reply; EHLO answers of known servers stay below 40.
const LINES_MAX: usize = 100;
/// Most bytes of all lines of one reply, without their ends.
const REPLY_BYTES_MAX: usize = 32 * 1024;

/// Why bytes are not a reply. The stream is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyError {
    /// A line too long, or not ended by CRLF.
    Line(LineError),
    /// A line that does not begin with a code from 200 to 599 and a space or hyphen, or that holds
    /// a NUL or a bare CR: whoever reads on may see another reply than we do.
    Malformed,
    /// Lines of one reply with different codes.
    MixedCodes,
    /// More than 100 lines, or more than 32 KiB in all of them.
    TooLong,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplyError::Line(error) => error.fmt(f),
            ReplyError::Malformed => f.write_str("malformed reply"),
            ReplyError::MixedCodes => f.write_str("reply with different codes"),
            ReplyError::TooLong => f.write_str("reply is too long"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// An incremental reader of replies.
#[derive(Debug, Clone)]
pub struct ReplyReader {
    framer: LineFramer,
    partial: Option<Reply>,
    /// Bytes of the lines in `partial`.
    partial_bytes: usize,
}

impl ReplyReader {
    /// A reader at the start of a reply.
    #[must_use]
    pub fn new() -> ReplyReader {
        ReplyReader { framer: LineFramer::new(LINE_BYTES_MAX), partial: None, partial_bytes: 0 }
    }

    /// Takes one whole reply off `input`; `Ok(None)` if more bytes are needed. The enhanced code
    /// is the one of the first line, and is removed from each line that repeats it. Characters a
    /// [`Reply`] can not hold are replaced.
    ///
    /// # Errors
    /// [`ReplyError`]; the reader must not be used again.
    pub fn next_reply(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        while let Some(line) = self.framer.next_line(input).map_err(ReplyError::Line)? {
            let (code, is_last, text) = split(&line).ok_or(ReplyError::Malformed)?;
            let reply = match self.partial.take() {
                None => {
                    let (enhanced, text) = split_enhanced(code, &text);
                    Reply::new(code, enhanced, text.to_owned())
                }
                Some(partial) if partial.code != code => return Err(ReplyError::MixedCodes),
                Some(partial)
                    if partial.lines.len() == LINES_MAX || self.partial_bytes > REPLY_BYTES_MAX =>
                {
                    return Err(ReplyError::TooLong);
                }
                Some(partial) => {
                    let text = match split_enhanced(code, &text) {
                        (enhanced, rest) if enhanced == partial.enhanced => rest.to_owned(),
                        _ => text,
                    };
                    partial.with_line(text)
                }
            };
            if is_last {
                self.partial_bytes = 0;
                return Ok(Some(reply));
            }
            self.partial_bytes += line.len();
            self.partial = Some(reply);
        }
        Ok(None)
    }
}

impl Default for ReplyReader {
    fn default() -> ReplyReader {
        ReplyReader::new()
    }
}

/// Code, whether it is the last line, and the text behind the separator.
fn split(line: &[u8]) -> Option<(u16, bool, String)> {
    let (digits, rest) = line.split_at_checked(3)?;
    let &[b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = digits else {
        return None;
    };
    if rest.iter().any(|byte| matches!(byte, b'\0' | b'\r')) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    let (is_last, text) = match rest {
        [] => (true, rest),
        [b' ', text @ ..] => (true, text),
        [b'-', text @ ..] => (false, text),
        _ => return None,
    };
    Some((code, is_last, String::from_utf8_lossy(text).into_owned()))
}

fn split_enhanced(code: u16, text: &str) -> (Option<EnhancedCode>, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match EnhancedCode::parse(word) {
        Some(enhanced) if u16::from(enhanced.class) == code / 100 => (Some(enhanced), rest),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wire: &str, expected: Result<&[&str], ReplyError>) {
        for step in [1, 3, wire.len()] {
            let (mut reader, mut input) = (ReplyReader::new(), BytesMut::new());
            let mut seen = Ok(Vec::new());
            for piece in wire.as_bytes().chunks(step) {
                input.extend_from_slice(piece);
                while let Ok(replies) = &mut seen {
                    match reader.next_reply(&mut input) {
                        Ok(Some(reply)) => replies.push(reply.to_string()),
                        Ok(None) => break,
                        Err(error) => seen = Err(error),
                    }
                }
            }
            let expected = expected.map(|lines| lines.iter().map(|&l| l.to_owned()).collect());
            assert_eq!(seen, expected, "{wire:?}");
        }
    }

    #[test]
    fn replies() {
        check("250 ok\r\n", Ok(&["250 ok"]));
        check("250\r\n", Ok(&["250"]));
        check("250 2.1.0 ok\r\n354 go\r\n", Ok(&["250 2.1.0 ok", "354 go"]));
        check("250-2.1.0 a\r\n250 2.1.0 b\r\n", Ok(&["250 2.1.0 a b"]));
        check("250-x.test\r\n250-SIZE 10\r\n250 HELP\r\n", Ok(&["250 x.test SIZE 10 HELP"]));
        check("550 2.1.0 odd\r\n", Ok(&["550 2.1.0 odd"]));
        check("250-more\r\n", Ok(&[]));
        check("250-a\r\n251 b\r\n", Err(ReplyError::MixedCodes));
        check("25 ok\r\n", Err(ReplyError::Malformed));
        check("\r\n", Err(ReplyError::Malformed));
        check("250:ok\r\n", Err(ReplyError::Malformed));
        check("650 ok\r\n", Err(ReplyError::Malformed));
        check("250 ok\n", Err(ReplyError::Line(LineError::BareLf)));
        check("250 a\0b\r\n", Err(ReplyError::Malformed));
        check("250 a\r250 b\r\n", Err(ReplyError::Malformed));
        let lines = |count| "250-x\r\n".repeat(count) + "250 x\r\n";
        check(&lines(99), Ok(&[format!("250{}", " x".repeat(100)).as_str()]));
        check(&lines(100), Err(ReplyError::TooLong));
        let long = format!("250-{}\r\n", "x".repeat(4000));
        check(&long.repeat(10), Err(ReplyError::TooLong));
        check(&"2".repeat(5000), Err(ReplyError::Line(LineError::TooLong)));
    }
}
