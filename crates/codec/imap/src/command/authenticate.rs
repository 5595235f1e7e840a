//! AUTHENTICATE (RFC 3501 §6.2.2) with an initial response (RFC 4959), and the bare lines a client
//! sends within AUTHENTICATE and IDLE.

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::value::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, BytesMut};

/// The arguments of AUTHENTICATE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticate {
    /// The SASL mechanism in upper case.
    pub mechanism: String,
    /// The initial response, decoded; `=` on the wire is the empty one.
    pub initial: Option<Secret>,
}

impl Authenticate {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Authenticate, ParseError> {
        cursor.space()?;
        let name = cursor.atom("a SASL mechanism")?;
        let mechanism = String::from_utf8_lossy(&name).to_ascii_uppercase();
        if cursor.at_end() {
            return Ok(Authenticate { mechanism, initial: None });
        }
        cursor.space()?;
        let at = cursor.mark();
        let text =
            cursor.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        let initial = match &text[..] {
            b"=" => Some(Secret::new(Vec::new())),
            b"" => None,
            text => STANDARD.decode(text).ok().map(Secret::new),
        };
        match initial {
            Some(initial) => Ok(Authenticate { mechanism, initial: Some(initial) }),
            None => Err(cursor.error_at(at, "base64")),
        }
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b' ');
        out.put_slice(self.mechanism.as_bytes());
        let Some(initial) = &self.initial else { return };
        out.put_u8(b' ');
        if initial.expose().is_empty() {
            out.put_u8(b'=');
        } else {
            out.put_slice(STANDARD.encode(initial.expose()).as_bytes());
        }
    }
}

/// The answer of a client to a SASL challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaslReply {
    /// A response, decoded.
    Response(Secret),
    /// `*`: the client gives up; answer BAD.
    Cancelled,
    /// Not base64; answer BAD.
    Malformed,
}

/// Reads one line from [`crate::Framer::next_line`] as an answer to a SASL challenge.
pub fn sasl_reply(line: &[u8]) -> SaslReply {
    if line == b"*" {
        return SaslReply::Cancelled;
    }
    match STANDARD.decode(line) {
        Ok(response) => SaslReply::Response(Secret::new(response)),
        Err(_) => SaslReply::Malformed,
    }
}

/// Whether one line from [`crate::Framer::next_line`] ends IDLE (RFC 2177 §3).
pub fn is_idle_done(line: &[u8]) -> bool {
    line.eq_ignore_ascii_case(b"DONE")
}
