//! GETQUOTA and SETQUOTA (RFC 9208 §4.1). GETQUOTAROOT has the arguments of DELETE.

use crate::error::ParseError;
use crate::lex::{Cursor, is_atom_char};
use crate::limits::{MAX_IDENTIFIER_BYTES, MAX_QUOTA_LIMITS};
use crate::wire::{LiteralForm, put_astring, put_list, put_number};
use bytes::{BufMut, BytesMut};

/// The arguments of GETQUOTA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetQuota {
    /// The quota root; may be empty.
    pub root: String,
}

/// The arguments of SETQUOTA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetQuota {
    /// The quota root; may be empty.
    pub root: String,
    /// Resources in upper case and their limits, at most [`MAX_QUOTA_LIMITS`].
    pub limits: Vec<(String, u64)>,
}

impl GetQuota {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<GetQuota, ParseError> {
        Ok(GetQuota { root: parse_root(cursor)? })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        put_astring(out, self.root.as_bytes(), form);
    }
}

impl SetQuota {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<SetQuota, ParseError> {
        let root = parse_root(cursor)?;
        cursor.space()?;
        cursor.expect(b'(', "a list of limits")?;
        let mut limits = Vec::new();
        while !cursor.eat(b')') {
            if !limits.is_empty() {
                cursor.space()?;
            }
            if limits.len() == MAX_QUOTA_LIMITS {
                return Err(cursor.too_much("quota limits"));
            }
            let name = cursor.take_while(is_atom_char);
            if name.is_empty() || name.len() > MAX_IDENTIFIER_BYTES {
                return Err(cursor.error("the name of a resource"));
            }
            cursor.space()?;
            let name = String::from_utf8_lossy(&name).to_ascii_uppercase();
            limits.push((name, cursor.number64("a limit")?));
        }
        Ok(SetQuota { root, limits })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        put_astring(out, self.root.as_bytes(), form);
        out.put_u8(b' ');
        put_list(out, &self.limits, |out, (name, limit)| {
            out.put_slice(name.as_bytes());
            out.put_u8(b' ');
            put_number(out, *limit);
        });
    }
}

fn parse_root(cursor: &mut Cursor<'_>) -> Result<String, ParseError> {
    cursor.space()?;
    let at = cursor.mark();
    let root = cursor.utf8("a quota root")?;
    match root.len() <= MAX_IDENTIFIER_BYTES {
        true => Ok(root),
        false => Err(cursor.error_at(at, "a shorter quota root")),
    }
}
