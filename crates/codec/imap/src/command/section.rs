//! Body sections: `BODY[1.2.HEADER.FIELDS (From)]` (RFC 3501 §6.4.5, §9 `section`).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::limits::MAX_SECTION_DEPTH;
use crate::wire::{LiteralForm, put_astring, put_list, put_number};
use bytes::{BufMut, Bytes, BytesMut};

/// A section; the default is the whole message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// The part numbers, each at least 1, at most 128 of them.
    pub parts: Vec<u32>,
    /// What of the part; `None`: its whole content.
    pub text: Option<SectionText>,
}

/// The named piece of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// The header of the message.
    Header,
    /// Only these fields of it; RFC 5322 field names as sent.
    HeaderFields(Vec<Bytes>),
    /// All but these fields of it.
    HeaderFieldsNot(Vec<Bytes>),
    /// The message without its header.
    Text,
    /// The MIME header of the part; only with part numbers.
    Mime,
}

impl Section {
    /// Reads from behind `[` up to and with `]`.
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Section, ParseError> {
        let mut section = Section::default();
        let mut number_may_come = true;
        while number_may_come && cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
            if section.parts.len() == MAX_SECTION_DEPTH {
                return Err(cursor.too_much("part numbers in a section"));
            }
            section.parts.push(cursor.nz_number("a part number")?);
            number_may_come = cursor.eat(b'.');
        }
        // After "1." something must come, after "1" nothing may, after "" anything.
        let dangling = number_may_come && !section.parts.is_empty();
        if number_may_come && (dangling || cursor.peek() != Some(b']')) {
            section.text = Some(SectionText::parse(cursor, !section.parts.is_empty())?);
        }
        cursor.expect(b']', "`]` after the section")?;
        Ok(section)
    }

    /// The section with its brackets.
    pub(crate) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'[');
        for (index, &part) in self.parts.iter().enumerate() {
            if index > 0 {
                out.put_u8(b'.');
            }
            put_number(out, u64::from(part));
        }
        if let Some(text) = &self.text {
            if !self.parts.is_empty() {
                out.put_u8(b'.');
            }
            text.encode(out);
        }
        out.put_u8(b']');
    }
}

impl SectionText {
    fn parse(cursor: &mut Cursor<'_>, in_part: bool) -> Result<SectionText, ParseError> {
        let at = cursor.mark();
        Ok(match cursor.word().as_bytes() {
            b"HEADER" => SectionText::Header,
            b"HEADER.FIELDS" => SectionText::HeaderFields(field_names(cursor)?),
            b"HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(field_names(cursor)?),
            b"TEXT" => SectionText::Text,
            b"MIME" if in_part => SectionText::Mime,
            _ => return Err(cursor.error_at(at, "a body section")),
        })
    }

    fn encode(&self, out: &mut BytesMut) {
        let (name, fields) = match self {
            SectionText::Header => ("HEADER", None),
            SectionText::HeaderFields(fields) => ("HEADER.FIELDS ", Some(fields)),
            SectionText::HeaderFieldsNot(fields) => ("HEADER.FIELDS.NOT ", Some(fields)),
            SectionText::Text => ("TEXT", None),
            SectionText::Mime => ("MIME", None),
        };
        out.put_slice(name.as_bytes());
        if let Some(fields) = fields {
            put_list(out, fields, |out, field| put_astring(out, field, LiteralForm::Plain));
        }
    }
}

/// `(From "To" …)`, at least one. Only the characters of a field name (RFC 5322 §3.6.8) pass, as the
/// list is echoed in the response.
fn field_names(cursor: &mut Cursor<'_>) -> Result<Vec<Bytes>, ParseError> {
    cursor.space()?;
    cursor.expect(b'(', "a list of header fields")?;
    let mut fields = Vec::new();
    loop {
        let at = cursor.mark();
        let field = cursor.astring("a header field")?;
        if field.is_empty() || !field.iter().all(|&b| matches!(b, 0x21..=0x7e) && b != b':') {
            return Err(cursor.error_at(at, "a header field name"));
        }
        fields.push(field);
        if cursor.eat(b')') {
            return Ok(fields);
        }
        cursor.space()?;
    }
}
