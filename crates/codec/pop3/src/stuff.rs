//! A message on the wire: dots at the beginning of lines doubled, the end marked (RFC 1939 §3).
//!
//! Every byte is sent as it is stored, as IMAP shows it, but for NUL, which many clients cannot
//! hold: 0x80 stands in its place, so that sizes and offsets still fit.
//!
//! What is stored may hold bare LF (an IMAP APPEND, an old import). Many clients take each LF for
//! the end of a line; were a dot behind one not doubled, the rest of a message could pass for
//! answers of the server (attack 2). So dots are doubled behind every LF: no client, strict or not,
//! finds an end before the end. A client for which only CRLF ends a line sees one dot more there.
//!
//! A last line that has no CRLF gets one. It belongs to the end mark and does not count as part of
//! the message.

use bytes::{Bytes, BytesMut};

/// Runs shorter than this are copied together: about what sharing them costs.
const COPY_BELOW_BYTES: usize = 128;

/// Writes one message.
#[derive(Debug, Clone)]
pub struct Stuffer {
    at_line_start: bool,
    /// The last two bytes were CRLF, or there were none.
    after_crlf: bool,
    last: u8,
}

impl Default for Stuffer {
    fn default() -> Self {
        Self::new()
    }
}

impl Stuffer {
    /// At the start of a message.
    #[must_use]
    pub fn new() -> Self {
        Self { at_line_start: true, after_crlf: true, last: 0 }
    }

    /// Appends the wire form of the next part of the message to `out`.
    pub fn push(&mut self, input: &Bytes, out: &mut Vec<Bytes>) {
        let input = without_nul(input);
        let mut short = BytesMut::new();
        let mut from = 0;
        while from < input.len() {
            if self.at_line_start && input[from] == b'.' {
                short.extend_from_slice(b".");
            }
            // A run goes to the next dot that must be doubled.
            let end = next_dot(&input, from).unwrap_or(input.len());
            let run = input.slice(from..end);
            if run.len() < COPY_BELOW_BYTES {
                short.extend_from_slice(&run);
            } else {
                if !short.is_empty() {
                    out.push(short.split().freeze());
                }
                out.push(run);
            }
            self.at_line_start = input[end - 1] == b'\n';
            from = end;
        }
        if !short.is_empty() {
            out.push(short.freeze());
        }
        match *input {
            [] => {}
            [last] => {
                self.after_crlf = self.last == b'\r' && last == b'\n';
                self.last = last;
            }
            [.., before, last] => {
                self.after_crlf = before == b'\r' && last == b'\n';
                self.last = last;
            }
        }
    }

    /// Ends the last line if need be, and the message.
    pub fn finish(self, out: &mut Vec<Bytes>) {
        let end: &[u8] = if self.after_crlf { b".\r\n" } else { b"\r\n.\r\n" };
        out.push(Bytes::copy_from_slice(end));
    }
}

/// The first dot behind `from` that stands behind a LF.
fn next_dot(input: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = input[at..].iter().position(|byte| *byte == b'\n') {
        at += found + 1;
        if input.get(at) == Some(&b'.') {
            return Some(at);
        }
    }
    None
}

fn without_nul(input: &Bytes) -> Bytes {
    if !input.contains(&0) {
        return input.clone();
    }
    let mut shown = BytesMut::from(&input[..]);
    shown.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = 0x80);
    shown.freeze()
}
