//! Status lines: what the server says first to every command, and its challenges (RFC 1939 §3,
//! RFC 2449 §8, RFC 5034 §4).

use crate::code::Code;
use bytes::BytesMut;

/// The longest status line, CRLF included (RFC 1939 §3).
pub const STATUS_BYTES_MAX: usize = 512;

/// `+OK` or `-ERR`, a response code, and words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StatusLine<'t> {
    /// Whether the command succeeded.
    pub ok: bool,
    /// Why not, for programs.
    pub code: Option<Code>,
    /// For people. What no line can hold is shown as `?`.
    pub text: &'t str,
}

impl StatusLine<'_> {
    /// Appends the line with its CRLF; words that are too long are cut.
    pub fn encode(&self, out: &mut BytesMut) {
        let begin = out.len();
        out.extend_from_slice(if self.ok { b"+OK" } else { b"-ERR" });
        if let Some(code) = self.code {
            out.extend_from_slice(b" [");
            out.extend_from_slice(code.word().as_bytes());
            out.extend_from_slice(b"]");
        }
        let room = STATUS_BYTES_MAX - 2 - (out.len() - begin);
        let mut words = String::with_capacity(self.text.len() + 1);
        for c in self.text.trim_start_matches(' ').chars() {
            let c = match c {
                // At the front this would be a response code.
                '[' if words.is_empty() && self.code.is_none() => '(',
                c if c.is_control() => '?',
                c => c,
            };
            if words.len() + c.len_utf8() + 1 > room {
                break;
            }
            words.push(c);
        }
        if !words.is_empty() {
            out.extend_from_slice(b" ");
            out.extend_from_slice(words.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a challenge, which is base64 already (RFC 5034 §4); it may be empty.
pub fn put_challenge(out: &mut BytesMut, base64: &str) {
    out.extend_from_slice(b"+ ");
    out.extend(base64.bytes().filter(|byte| !byte.is_ascii_control()));
    out.extend_from_slice(b"\r\n");
}

/// The first line of a server's answer, as a client reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerLine {
    /// `+OK` or `-ERR`.
    Status {
        /// Whether the command succeeded.
        ok: bool,
        /// The response code, if it is one that we know.
        code: Option<Code>,
        /// The words, without a code that we know.
        text: String,
    },
    /// `+ …`: base64.
    Challenge(String),
}

impl ServerLine {
    /// Parses a line, without its CRLF; `None` for what is no status line.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        let (word, rest) = line.split_once(' ').unwrap_or((&*line, ""));
        let ok = match word {
            "+" => return Some(Self::Challenge(rest.to_owned())),
            "+OK" => true,
            "-ERR" => false,
            _ => return None,
        };
        let coded = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (code, text) = match coded.and_then(|(word, text)| Some((Code::parse(word)?, text))) {
            Some((code, text)) => (Some(code), text.trim_start_matches(' ')),
            None => (None, rest),
        };
        Some(Self::Status { ok, code, text: text.to_owned() })
    }
}
