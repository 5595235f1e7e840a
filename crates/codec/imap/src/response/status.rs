//! Condition responses: OK, NO, BAD, PREAUTH, BYE (RFC 3501 §7.1) and the continuation (§7.5).

use super::Code;
use crate::value::Tag;
use bytes::{BufMut, BytesMut};

/// The condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done, or information.
    Ok,
    /// Refused or failed.
    No,
    /// Not understood.
    Bad,
    /// The greeting of a connection that is authenticated already; untagged only.
    Preauth,
    /// The connection closes; untagged only.
    Bye,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::No => "NO",
            Status::Bad => "BAD",
            Status::Preauth => "PREAUTH",
            Status::Bye => "BYE",
        }
    }
}

/// A condition with its code and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusResponse<'a> {
    /// The command it answers; `None`: untagged.
    pub tag: Option<&'a Tag>,
    /// The condition.
    pub status: Status,
    /// The code in brackets.
    pub code: Option<Code<'a>>,
    /// For the reader; what is not printable ASCII goes out as `?`.
    pub text: &'a str,
}

impl StatusResponse<'_> {
    /// Prints the response with its line end.
    pub fn encode(&self, out: &mut BytesMut) {
        match self.tag {
            Some(tag) => out.put_slice(tag.as_bytes()),
            None => out.put_u8(b'*'),
        }
        out.put_u8(b' ');
        out.put_slice(self.status.name().as_bytes());
        out.put_u8(b' ');
        if let Some(code) = &self.code {
            code.encode(out);
            out.put_u8(b' ');
        }
        put_text(out, self.text, self.code.is_none());
        out.put_slice(b"\r\n");
    }
}

/// `+ text`: the client may go on. The text of a SASL challenge is its base64.
pub fn put_continuation(out: &mut BytesMut, text: &str) {
    out.put_slice(b"+ ");
    out.extend(text.bytes().map(printable));
    out.put_slice(b"\r\n");
}

/// A text that can be neither a code nor a literal header to the simplest client, and is not empty.
fn put_text(out: &mut BytesMut, text: &str, could_be_code: bool) {
    let text = text.trim_matches(' ');
    if text.is_empty() {
        out.put_u8(b'.');
        return;
    }
    if could_be_code && text.starts_with('[') {
        out.put_slice(b". ");
    }
    out.extend(text.bytes().map(printable));
    if text.ends_with('}') {
        out.put_u8(b'.');
    }
}

fn printable(b: u8) -> u8 {
    if matches!(b, b' '..=b'~') { b } else { b'?' }
}
