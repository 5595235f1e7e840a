//! LOGIN (RFC 3501 §6.2.3).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::value::Secret;
use crate::wire::{LiteralForm, put_astring, put_string};
use bytes::{BufMut, BytesMut};

/// The arguments of LOGIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The user name, UTF-8, as sent.
    pub user: String,
    /// The password, bytes as sent.
    pub password: Secret,
}

impl Login {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Login, ParseError> {
        cursor.space()?;
        let user = cursor.utf8("a user name")?;
        cursor.space()?;
        let password = Secret::new(cursor.astring("a password")?);
        Ok(Login { user, password })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        put_astring(out, self.user.as_bytes(), form);
        out.put_u8(b' ');
        put_string(out, self.password.expose(), form);
    }
}
