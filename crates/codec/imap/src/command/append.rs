//! APPEND (RFC 3501 §6.3.11). The message is meant to be streamed: when its literal is on offer,
//! [`append_head`] reads everything before it, so that the session can check the mailbox and the
//! quota before it lets the client send.

use super::parse_tag;
use crate::error::ParseError;
use crate::framer::{Part, RawCommand};
use crate::lex::Cursor;
use crate::value::flag::flag_list;
use crate::value::{DateTime, Flag, MailboxName, Tag};
use crate::wire::{LiteralForm, put_flags, put_literal_header};
use bytes::{BufMut, Bytes, BytesMut};

/// The arguments of APPEND before the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendHead {
    /// Where to.
    pub mailbox: MailboxName,
    /// The flags it shall have.
    pub flags: Vec<Flag>,
    /// The internal date it shall have; `None`: now.
    pub date: Option<DateTime>,
}

/// The message of an APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendData {
    /// Collected by the framer.
    Buffered(Bytes),
    /// Handed out in chunks already.
    Streamed {
        /// Its size.
        len_bytes: u64,
    },
}

impl AppendData {
    pub(super) fn is_streamed(&self) -> bool {
        matches!(self, AppendData::Streamed { .. })
    }
}

/// The arguments of APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Everything before the message.
    pub head: AppendHead,
    /// The message.
    pub data: AppendData,
    /// Whether it came as a literal8 (RFC 3516), which a server without BINARY refuses.
    pub binary: bool,
}

/// The tag and arguments of an APPEND whose message literal is on offer; `None` if the command is
/// another, is malformed, or the literal on offer is the mailbox name. Whether the client may APPEND
/// in its state is for the session to check before it lets the literal come.
pub fn append_head(pending: &RawCommand) -> Option<(Tag, AppendHead)> {
    let mut cursor = Cursor::new(pending);
    let tag = parse_tag(&mut cursor).ok()?;
    cursor.space().ok()?;
    if cursor.word().as_bytes() != b"APPEND" {
        return None;
    }
    let head = AppendHead::parse(&mut cursor).ok()?;
    (cursor.peek().is_none() && cursor.at_end()).then_some((tag, head))
}

/// Whether the literal on offer is the message of an APPEND, to be streamed.
pub fn is_append_message(pending: &RawCommand) -> bool {
    append_head(pending).is_some()
}

impl AppendHead {
    /// Reads up to and with the space before the message.
    fn parse(cursor: &mut Cursor<'_>) -> Result<AppendHead, ParseError> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        cursor.space()?;
        let mut flags = Vec::new();
        if cursor.peek() == Some(b'(') {
            flags = flag_list(cursor)?;
            cursor.space()?;
        }
        let mut date = None;
        if cursor.peek() == Some(b'"') {
            date = Some(DateTime::parse(cursor)?);
            cursor.space()?;
        }
        Ok(AppendHead { mailbox, flags, date })
    }
}

impl Append {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Append, ParseError> {
        let head = AppendHead::parse(cursor)?;
        let at = cursor.mark();
        let (data, binary) = match cursor.literal_part("the message as a literal")? {
            Part::Literal { bytes, binary } if *binary || !bytes.contains(&0) => {
                (AppendData::Buffered(bytes.clone()), *binary)
            }
            Part::Streamed { len_bytes, binary } => {
                (AppendData::Streamed { len_bytes: *len_bytes }, *binary)
            }
            _ => return Err(cursor.error_at(at, "a message without NUL")),
        };
        Ok(Append { head, data, binary })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        self.head.mailbox.encode(out, form);
        out.put_u8(b' ');
        if !self.head.flags.is_empty() {
            put_flags(out, self.head.flags.iter().map(Flag::as_str));
            out.put_u8(b' ');
        }
        if let Some(date) = self.head.date {
            date.encode(out);
            out.put_u8(b' ');
        }
        if self.binary {
            out.put_u8(b'~');
        }
        match &self.data {
            AppendData::Streamed { len_bytes } => put_literal_header(out, *len_bytes, form),
            AppendData::Buffered(bytes) => {
                put_literal_header(out, bytes.len() as u64, form);
                out.put_slice(bytes);
            }
        }
    }
}
