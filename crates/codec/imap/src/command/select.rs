//! SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::value::MailboxName;
use crate::wire::LiteralForm;
use bytes::{BufMut, BytesMut};

/// The arguments of SELECT and EXAMINE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The mailbox to open.
    pub mailbox: MailboxName,
}

impl Select {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Select, ParseError> {
        cursor.space()?;
        Ok(Select { mailbox: MailboxName::parse(cursor)? })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        self.mailbox.encode(out, form);
    }
}
