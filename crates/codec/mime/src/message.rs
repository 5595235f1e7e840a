//! The values a message is parsed into: stored in database rows and sent between nodes.
//!
//! All byte strings are header bytes, unfolded and trimmed, otherwise as they arrived (RFC 2047 and
//! RFC 2231 encodings are kept, 8-bit bytes are kept). They never contain CR, LF or NUL: the
//! scanner replaces these by spaces, so that a value can be sent as an IMAP quoted string or
//! literal. Offsets count octets from the first byte of the whole message.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::address::Address;

/// All that is known of a message besides its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedMessage {
    /// Octets of the whole message (RFC822.SIZE).
    pub size_bytes: u64,
    /// The message itself as a part: its header, its body, and the tree below.
    pub root: Part,
    /// What IMAP calls ENVELOPE.
    pub envelope: Envelope,
    /// The Message-ID without angle brackets, for threading and duplicate detection.
    pub message_id: Option<Bytes>,
    /// Ids of In-Reply-To, without angle brackets.
    pub in_reply_to: Vec<Bytes>,
    /// Ids of References, oldest first, without angle brackets.
    pub references: Vec<Bytes>,
    /// Outlook's Thread-Index, base64 as it arrived (MS-OXOMSG §2.2.1.3).
    pub thread_index: Option<Bytes>,
    /// The Date header as a time, where it could be understood.
    pub sent_at: Option<SentAt>,
    /// Whether a limit was met, so that parts, addresses or parameters are missing here.
    pub truncated: bool,
}

/// A Date header as a point in time and the zone it was written in (RFC 5322 §3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SentAt {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub unix_seconds: i64,
    /// Minutes east of UTC; IMAP SENTSINCE compares dates in this zone (RFC 9051 §6.4.4).
    pub offset_minutes: i16,
}

/// RFC 9051 §7.5.2 ENVELOPE. `sender` and `reply_to` already default to `from`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Date, as written.
    pub date: Option<Bytes>,
    /// Subject, RFC 2047 not decoded.
    pub subject: Option<Bytes>,
    /// From; groups appear as start and end markers in every list.
    pub from: Vec<Address>,
    /// Sender, or From where absent or empty.
    pub sender: Vec<Address>,
    /// Reply-To, or From where absent or empty.
    pub reply_to: Vec<Address>,
    /// To.
    pub to: Vec<Address>,
    /// Cc.
    pub cc: Vec<Address>,
    /// Bcc.
    pub bcc: Vec<Address>,
    /// In-Reply-To, as written.
    pub in_reply_to: Option<Bytes>,
    /// Message-ID, as written (with angle brackets).
    pub message_id: Option<Bytes>,
}

/// One MIME entity (RFC 2045 §2.4): a message, or a part of a multipart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Header octets including the blank line that ends them, where there is one.
    pub header: Range<u64>,
    /// Body octets, without the line end that belongs to the next boundary.
    pub body: Range<u64>,
    /// Line ends within `body`; for a message/rfc822 part that is the embedded message whole.
    pub lines: u64,
    /// The media type in force. It agrees with `kind`: a `multipart/*` is always
    /// [`PartKind::Multipart`] and `message/rfc822` or `message/global` always
    /// [`PartKind::Message`]; a multipart without any part is reported as `text/plain`, and what
    /// was left unparsed because of a limit or an encoding as `application/octet-stream`.
    pub content_type: ContentType,
    /// Content-ID, as written.
    pub id: Option<Bytes>,
    /// Content-Description, as written.
    pub description: Option<Bytes>,
    /// Content-Transfer-Encoding, as written; absent means 7bit.
    pub encoding: Option<Bytes>,
    /// Content-MD5, as written.
    pub md5: Option<Bytes>,
    /// Content-Disposition (RFC 2183).
    pub disposition: Option<Disposition>,
    /// Content-Language tags (RFC 3282).
    pub language: Vec<Bytes>,
    /// Content-Location, as written (RFC 2557).
    pub location: Option<Bytes>,
    /// What the body consists of.
    pub kind: PartKind,
}

/// What the body of a part consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartKind {
    /// Octets in a transfer encoding.
    Leaf,
    /// At least one part, in order, disjoint, inside the body.
    Multipart(Vec<Part>),
    /// An embedded message: its header and body together fill the body of this part.
    Message {
        /// Envelope of the embedded message.
        envelope: Box<Envelope>,
        /// The embedded message as a part.
        part: Box<Part>,
    },
}

/// A media type with its parameters (RFC 2045 §5.1), letter case as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentType {
    /// Such as `text`.
    pub main: Bytes,
    /// Such as `plain`.
    pub sub: Bytes,
    /// Parameters in order.
    pub params: Vec<Param>,
}

/// A Content-Disposition (RFC 2183) with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disposition {
    /// Such as `attachment`, letter case as written.
    pub kind: Bytes,
    /// Parameters in order.
    pub params: Vec<Param>,
}

/// A parameter as written: quoting removed, RFC 2231 pieces (`name*0*`) kept apart and encoded,
/// as IMAP BODYSTRUCTURE wants them. [`crate::params::decoded`] puts them together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Name, letter case as written.
    pub name: Bytes,
    /// Value without quotes.
    pub value: Bytes,
}

/// What of a numbered part is wanted (RFC 9051 §6.4.5.1 section-text).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SectionKind {
    /// `BODY[]`, `BODY[n]`: the whole message, or the body of a part.
    Whole,
    /// `HEADER`: header of the message, or of the message embedded in the part.
    Header,
    /// `TEXT`: body of the message, or of the message embedded in the part.
    Text,
    /// `n.MIME`: header of the part itself.
    Mime,
}

impl ContentType {
    /// RFC 2045 §5.2: what a part without a (usable) Content-Type is.
    pub fn text_plain() -> Self {
        ContentType {
            main: Bytes::from_static(b"text"),
            sub: Bytes::from_static(b"plain"),
            params: vec![Param {
                name: Bytes::from_static(b"charset"),
                value: Bytes::from_static(b"us-ascii"),
            }],
        }
    }

    /// RFC 2046 §5.1.5: what a part of a digest without Content-Type is.
    pub fn message_rfc822() -> Self {
        ContentType::bare(b"message", b"rfc822")
    }

    /// Unknown octets (RFC 2046 §4.5.1).
    pub fn octet_stream() -> Self {
        ContentType::bare(b"application", b"octet-stream")
    }

    fn bare(main: &'static [u8], sub: &'static [u8]) -> Self {
        ContentType {
            main: Bytes::from_static(main),
            sub: Bytes::from_static(sub),
            params: Vec::new(),
        }
    }

    /// Whether this is `main/sub`, letter case ignored.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.is_main(main) && self.sub.eq_ignore_ascii_case(sub.as_bytes())
    }

    /// Whether the type is `main/…`, letter case ignored.
    pub fn is_main(&self, main: &str) -> bool {
        self.main.eq_ignore_ascii_case(main.as_bytes())
    }

    /// `main/sub` in lower case, other than ASCII replaced.
    pub fn media_type(&self) -> String {
        let name = [&self.main[..], b"/", &self.sub[..]].concat();
        String::from_utf8_lossy(&name).to_ascii_lowercase()
    }

    /// Raw value of the first parameter called `name`, letter case ignored.
    pub fn param(&self, name: &str) -> Option<&Bytes> {
        find_param(&self.params, name)
    }
}

impl Disposition {
    /// Whether the part asks to be shown as an attachment (RFC 2183 §2.2); unknown kinds count as
    /// attachments (§2.8).
    pub fn is_attachment(&self) -> bool {
        !self.kind.eq_ignore_ascii_case(b"inline")
    }

    /// Raw value of the first parameter called `name`, letter case ignored.
    pub fn param(&self, name: &str) -> Option<&Bytes> {
        find_param(&self.params, name)
    }
}

fn find_param<'a>(params: &'a [Param], name: &str) -> Option<&'a Bytes> {
    params
        .iter()
        .find(|param| param.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|param| &param.value)
}
