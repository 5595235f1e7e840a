//! The writer of FETCH responses (RFC 3501 §7.4.2).
//!
//! The writer only remembers where it is; the buffer is handed in each time. So a session prints small
//! items, opens a section, sends the buffer and then the payload from the store, and goes on:
//!
//! ```
//! use bytes::BytesMut;
//! use codec_imap::FetchWriter;
//! use codec_imap::command::Section;
//!
//! let mut out = BytesMut::new();
//! let mut fetch = FetchWriter::begin(&mut out, 12);
//! fetch.uid(&mut out, 100);
//! fetch.section_header(&mut out, &Section::default(), None, 5);
//! out.extend_from_slice(b"hello"); // or: flush, then stream five bytes
//! fetch.finish(&mut out);
//! assert_eq!(&out[..], b"* 12 FETCH (UID 100 BODY[] {5}\r\nhello)\r\n");
//! ```

use super::body::BodyStructure;
use super::envelope::Envelope;
use crate::command::{FetchItem, Section, put_part_numbers};
use crate::value::DateTime;
use crate::wire::{LiteralForm, put_flags, put_literal_header, put_number};
use bytes::{BufMut, BytesMut};

/// A FETCH response being printed.
#[derive(Debug)]
#[must_use = "a FETCH response must be finished"]
pub struct FetchWriter {
    first: bool,
}

impl FetchWriter {
    /// Begins the response for this message number.
    pub fn begin(out: &mut BytesMut, number: u32) -> FetchWriter {
        out.put_slice(b"* ");
        put_number(out, u64::from(number));
        out.put_slice(b" FETCH (");
        FetchWriter { first: true }
    }

    /// Begins the response for this UID, for clients that know no numbers (RFC 9586 §3.3).
    pub fn begin_uid(out: &mut BytesMut, uid: u32) -> FetchWriter {
        out.put_slice(b"* ");
        put_number(out, u64::from(uid));
        out.put_slice(b" UIDFETCH (");
        FetchWriter { first: true }
    }

    /// Ends the response.
    pub fn finish(self, out: &mut BytesMut) {
        out.put_slice(b")\r\n");
    }

    /// `FLAGS`, by wire name ([`crate::Flag::as_str`]); what is no flag is left out.
    pub fn flags<'f>(&mut self, out: &mut BytesMut, names: impl IntoIterator<Item = &'f str>) {
        self.key(out, "FLAGS ");
        put_flags(out, names);
    }

    /// `UID`
    pub fn uid(&mut self, out: &mut BytesMut, uid: u32) {
        self.key(out, "UID ");
        put_number(out, u64::from(uid));
    }

    /// `MODSEQ` (RFC 7162 §3.1.4.2)
    pub fn mod_seq(&mut self, out: &mut BytesMut, number: u64) {
        self.key(out, "MODSEQ (");
        put_number(out, number);
        out.put_u8(b')');
    }

    /// `RFC822.SIZE`
    pub fn size(&mut self, out: &mut BytesMut, size_bytes: u64) {
        self.key(out, "RFC822.SIZE ");
        put_number(out, size_bytes);
    }

    /// `INTERNALDATE`
    pub fn internal_date(&mut self, out: &mut BytesMut, date: DateTime) {
        self.key(out, "INTERNALDATE ");
        date.encode(out);
    }

    /// `ENVELOPE`
    pub fn envelope(&mut self, out: &mut BytesMut, envelope: &Envelope<'_>) {
        self.key(out, "ENVELOPE ");
        envelope.encode(out);
    }

    /// `BODY`: the structure without extension data.
    pub fn body(&mut self, out: &mut BytesMut, body: &BodyStructure<'_>) {
        self.key(out, "BODY ");
        body.encode(out, false);
    }

    /// `BODYSTRUCTURE`
    pub fn body_structure(&mut self, out: &mut BytesMut, body: &BodyStructure<'_>) {
        self.key(out, "BODYSTRUCTURE ");
        body.encode(out, true);
    }

    /// `BODY[section]<origin> {len}` and the line end: exactly `len_bytes` bytes of payload must
    /// follow. The origin is the offset of the [`crate::command::Partial`] that was asked for.
    pub fn section_header(
        &mut self,
        out: &mut BytesMut,
        section: &Section,
        origin: Option<u64>,
        len_bytes: u64,
    ) {
        self.section_key(out, section, origin);
        put_literal_header(out, len_bytes, LiteralForm::Plain);
    }

    /// A section whose payload is at hand; a literal whatever it holds.
    pub fn section(
        &mut self,
        out: &mut BytesMut,
        section: &Section,
        origin: Option<u64>,
        payload: &[u8],
    ) {
        self.section_header(out, section, origin, payload.len() as u64);
        out.put_slice(payload);
    }

    /// `BINARY[1.2]<origin> ~{len}` and the line end (RFC 3516 §4.2): exactly `len_bytes` bytes must
    /// follow, whatever they are.
    pub fn binary_header(
        &mut self,
        out: &mut BytesMut,
        parts: &[u32],
        origin: Option<u64>,
        len_bytes: u64,
    ) {
        self.binary_key(out, "BINARY", parts, origin);
        out.put_u8(b'~');
        put_literal_header(out, len_bytes, LiteralForm::Plain);
    }

    /// A part that the message does not have.
    pub fn binary_nil(&mut self, out: &mut BytesMut, parts: &[u32], origin: Option<u64>) {
        self.binary_key(out, "BINARY", parts, origin);
        out.put_slice(b"NIL");
    }

    /// `BINARY.SIZE[1.2] n`
    pub fn binary_size(&mut self, out: &mut BytesMut, parts: &[u32], size_bytes: u64) {
        self.binary_key(out, "BINARY.SIZE", parts, None);
        put_number(out, size_bytes);
    }

    fn binary_key(&mut self, out: &mut BytesMut, name: &str, parts: &[u32], origin: Option<u64>) {
        self.key(out, name);
        put_part_numbers(out, parts);
        put_origin(out, origin);
        out.put_u8(b' ');
    }

    /// A section that the message does not have.
    pub fn section_nil(&mut self, out: &mut BytesMut, section: &Section, origin: Option<u64>) {
        self.section_key(out, section, origin);
        out.put_slice(b"NIL");
    }

    /// `RFC822`, `RFC822.HEADER` or `RFC822.TEXT` and the literal header: exactly `len_bytes` bytes
    /// of payload must follow. Any other item is printed as `RFC822`.
    pub fn rfc822_header(&mut self, out: &mut BytesMut, item: &FetchItem, len_bytes: u64) {
        self.key(
            out,
            match item {
                FetchItem::Rfc822Header => "RFC822.HEADER ",
                FetchItem::Rfc822Text => "RFC822.TEXT ",
                _ => "RFC822 ",
            },
        );
        put_literal_header(out, len_bytes, LiteralForm::Plain);
    }

    fn section_key(&mut self, out: &mut BytesMut, section: &Section, origin: Option<u64>) {
        self.key(out, "BODY");
        section.encode(out);
        put_origin(out, origin);
        out.put_u8(b' ');
    }

    fn key(&mut self, out: &mut BytesMut, name: &str) {
        if !self.first {
            out.put_u8(b' ');
        }
        self.first = false;
        out.put_slice(name.as_bytes());
    }
}

fn put_origin(out: &mut BytesMut, origin: Option<u64>) {
    if let Some(origin) = origin {
        out.put_u8(b'<');
        put_number(out, origin);
        out.put_u8(b'>');
    }
}
