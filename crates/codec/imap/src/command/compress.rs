//! COMPRESS (RFC 4978 §3).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::limits::MAX_IDENTIFIER_BYTES;
use bytes::{BufMut, BytesMut};

/// The argument of COMPRESS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compress {
    /// The mechanism in upper case.
    pub mechanism: String,
}

impl Compress {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Compress, ParseError> {
        cursor.space()?;
        let at = cursor.mark();
        let name = cursor.atom("a mechanism")?;
        if name.len() > MAX_IDENTIFIER_BYTES {
            return Err(cursor.error_at(at, "a shorter mechanism"));
        }
        Ok(Compress { mechanism: String::from_utf8_lossy(&name).to_ascii_uppercase() })
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b' ');
        out.put_slice(self.mechanism.as_bytes());
    }
}
