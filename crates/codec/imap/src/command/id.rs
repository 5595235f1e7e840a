//! ID (RFC 2971) and ENABLE (RFC 5161): what each side is and can do.

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::limits::{MAX_ID_FIELD_BYTES, MAX_ID_PAIRS, MAX_ID_VALUE_BYTES};
use crate::value::Capability;
use crate::wire::{LiteralForm, put_list, put_nstring, put_string};
use bytes::{BufMut, Bytes, BytesMut};

/// The arguments of ID: field and value pairs; none for `NIL` and `()`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Id {
    /// Field names and values as sent, at most 30.
    pub params: Vec<(Bytes, Option<Bytes>)>,
}

impl Id {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Id, ParseError> {
        cursor.space()?;
        let mut params = Vec::new();
        if cursor.eat_nil() {
            return Ok(Id { params });
        }
        cursor.expect(b'(', "NIL or a list of fields")?;
        while !cursor.eat(b')') {
            if !params.is_empty() {
                cursor.space()?;
            }
            if params.len() == MAX_ID_PAIRS {
                return Err(cursor.too_much("ID fields"));
            }
            let field = cursor.string("a field name")?;
            cursor.space()?;
            let value =
                if cursor.eat_nil() { None } else { Some(cursor.string("a value or NIL")?) };
            let value_bytes = value.as_ref().map_or(0, Bytes::len);
            if field.len() > MAX_ID_FIELD_BYTES || value_bytes > MAX_ID_VALUE_BYTES {
                return Err(cursor.too_much("bytes in an ID field"));
            }
            params.push((field, value));
        }
        Ok(Id { params })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        if self.params.is_empty() {
            out.put_slice(b"NIL");
            return;
        }
        put_list(out, &self.params, |out, (field, value)| {
            put_string(out, field, form);
            out.put_u8(b' ');
            put_nstring(out, value.as_deref(), form);
        });
    }
}

/// The arguments of ENABLE, at least one; unknown ones are to be ignored (RFC 5161 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enable {
    /// The capabilities asked for.
    pub capabilities: Vec<Capability>,
}

impl Enable {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Enable, ParseError> {
        let mut capabilities = Vec::new();
        while capabilities.is_empty() || !cursor.at_end() {
            cursor.space()?;
            let name = cursor.atom("a capability")?;
            capabilities.push(Capability::from_name(&String::from_utf8_lossy(&name)));
        }
        Ok(Enable { capabilities })
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        for capability in &self.capabilities {
            out.put_u8(b' ');
            out.put_slice(capability.to_string().as_bytes());
        }
    }
}
