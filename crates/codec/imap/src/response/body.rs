//! BODY and BODYSTRUCTURE (RFC 3501 §7.4.2).
//!
//! The MIME parser bounds the depth of what it gives; the printer recurses, so it bounds it again and
//! shows anything deeper as one opaque part (attack 27).

use super::envelope::{Envelope, Text, put_text};
use crate::limits::MAX_BODY_DEPTH;
use crate::wire::{LiteralForm, put_list, put_number, put_string};
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;

/// A parameter: name and value.
pub type Param<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The structure of a message or part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyStructure<'a> {
    /// A part that is not a multipart.
    Single(Box<SinglePart<'a>>),
    /// A multipart.
    Multi(MultiPart<'a>),
}

/// A part that is not a multipart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinglePart<'a> {
    /// Media type, such as `TEXT`.
    pub media_type: Cow<'a, [u8]>,
    /// Media subtype, such as `PLAIN`.
    pub subtype: Cow<'a, [u8]>,
    /// Parameters of the Content-Type.
    pub params: Vec<Param<'a>>,
    /// Content-ID.
    pub id: Text<'a>,
    /// Content-Description.
    pub description: Text<'a>,
    /// Content-Transfer-Encoding; `7BIT` if there is none.
    pub encoding: Cow<'a, [u8]>,
    /// Bytes of the part in its transfer encoding.
    pub size_bytes: u64,
    /// What else the media type wants told. It decides the form of the output, so it must agree with the
    /// type: `Text` for `TEXT/…`, `Message` for `MESSAGE/RFC822`.
    pub kind: PartKind<'a>,
    /// Content-MD5.
    pub md5: Text<'a>,
    /// Content-Disposition.
    pub disposition: Option<Disposition<'a>>,
    /// Content-Language.
    pub language: Vec<Cow<'a, [u8]>>,
    /// Content-Location.
    pub location: Text<'a>,
}

/// What is told of a part beside its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartKind<'a> {
    /// Nothing.
    Basic,
    /// A text.
    Text {
        /// Its lines.
        lines: u64,
    },
    /// A message.
    Message {
        /// Its envelope.
        envelope: Box<Envelope<'a>>,
        /// Its structure.
        body: BodyStructure<'a>,
        /// Its lines.
        lines: u64,
    },
}

/// A multipart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultiPart<'a> {
    /// The parts. An empty multipart is printed with one empty text, as the grammar wants one at least.
    pub parts: Vec<BodyStructure<'a>>,
    /// Media subtype, such as `MIXED`.
    pub subtype: Cow<'a, [u8]>,
    /// Parameters of the Content-Type.
    pub params: Vec<Param<'a>>,
    /// Content-Disposition.
    pub disposition: Option<Disposition<'a>>,
    /// Content-Language.
    pub language: Vec<Cow<'a, [u8]>>,
    /// Content-Location.
    pub location: Text<'a>,
}

/// Content-Disposition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition<'a> {
    /// `INLINE`, `ATTACHMENT` or another.
    pub kind: Cow<'a, [u8]>,
    /// Its parameters.
    pub params: Vec<Param<'a>>,
}

/// What stands for a part that cannot be shown.
const OPAQUE: &[u8] = b"(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"BINARY\" 0)";
const EMPTY_TEXT: &[u8] = b"(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)";

impl BodyStructure<'_> {
    /// `extended` tells BODYSTRUCTURE from BODY.
    pub(super) fn encode(&self, out: &mut BytesMut, extended: bool) {
        self.encode_at(out, extended, MAX_BODY_DEPTH);
    }

    fn encode_at(&self, out: &mut BytesMut, extended: bool, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else {
            out.put_slice(OPAQUE);
            return;
        };
        out.put_u8(b'(');
        match self {
            BodyStructure::Single(part) => part.encode(out, extended, depth),
            BodyStructure::Multi(multi) => multi.encode(out, extended, depth),
        }
        out.put_u8(b')');
    }
}

impl SinglePart<'_> {
    fn encode(&self, out: &mut BytesMut, extended: bool, depth: usize) {
        put_plain(out, &self.media_type);
        out.put_u8(b' ');
        put_plain(out, &self.subtype);
        out.put_u8(b' ');
        put_params(out, &self.params);
        out.put_u8(b' ');
        put_text(out, &self.id);
        out.put_u8(b' ');
        put_text(out, &self.description);
        out.put_u8(b' ');
        put_plain(out, &self.encoding);
        out.put_u8(b' ');
        put_number(out, self.size_bytes);
        match &self.kind {
            PartKind::Basic => {}
            PartKind::Text { lines } => {
                out.put_u8(b' ');
                put_number(out, *lines);
            }
            PartKind::Message { envelope, body, lines } => {
                out.put_u8(b' ');
                envelope.encode(out);
                out.put_u8(b' ');
                body.encode_at(out, extended, depth);
                out.put_u8(b' ');
                put_number(out, *lines);
            }
        }
        if extended {
            out.put_u8(b' ');
            put_text(out, &self.md5);
            put_extension(out, self.disposition.as_ref(), &self.language, &self.location);
        }
    }
}

impl MultiPart<'_> {
    fn encode(&self, out: &mut BytesMut, extended: bool, depth: usize) {
        for part in &self.parts {
            part.encode_at(out, extended, depth);
        }
        if self.parts.is_empty() {
            out.put_slice(EMPTY_TEXT);
        }
        out.put_u8(b' ');
        put_plain(out, &self.subtype);
        if extended {
            out.put_u8(b' ');
            put_params(out, &self.params);
            put_extension(out, self.disposition.as_ref(), &self.language, &self.location);
        }
    }
}

fn put_extension(
    out: &mut BytesMut,
    disposition: Option<&Disposition<'_>>,
    language: &[Cow<'_, [u8]>],
    location: &Text<'_>,
) {
    out.put_u8(b' ');
    match disposition {
        None => out.put_slice(b"NIL"),
        Some(disposition) => {
            out.put_u8(b'(');
            put_plain(out, &disposition.kind);
            out.put_u8(b' ');
            put_params(out, &disposition.params);
            out.put_u8(b')');
        }
    }
    out.put_u8(b' ');
    match language {
        [] => out.put_slice(b"NIL"),
        [one] => put_plain(out, one),
        many => put_list(out, many, |out, one| put_plain(out, one)),
    }
    out.put_u8(b' ');
    put_text(out, location);
}

fn put_plain(out: &mut BytesMut, text: &[u8]) {
    put_string(out, text, LiteralForm::Plain);
}

/// `(name value name value …)`, or `NIL` for none.
fn put_params(out: &mut BytesMut, params: &[Param<'_>]) {
    if params.is_empty() {
        out.put_slice(b"NIL");
        return;
    }
    put_list(out, params, |out, (name, value)| {
        put_plain(out, name);
        out.put_u8(b' ');
        put_plain(out, value);
    });
}
