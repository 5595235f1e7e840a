//! APPEND (RFC 3501 §6.3.11), of several messages at once (RFC 3502), with NUL in them (RFC 3516 §4.4)
//! or marked as UTF-8 (RFC 6855 §4). A message is meant to be streamed: when its literal is on offer,
//! [`append_head`] reads what stands before it, so that the session can check the mailbox and the
//! quota before it lets the client send.

use super::parse_tag;
use crate::error::ParseError;
use crate::framer::{Part, RawCommand};
use crate::lex::Cursor;
use crate::value::flag::flag_list;
use crate::value::{DateTime, Flag, MailboxName, Names, Tag};
use crate::wire::{LiteralForm, put_flags, put_literal_header};
use bytes::{BufMut, Bytes, BytesMut};

/// The arguments of APPEND before a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendHead {
    /// Where to.
    pub mailbox: MailboxName,
    /// What the message shall have.
    pub options: AppendOptions,
}

/// What stands before each message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AppendOptions {
    /// The flags it shall have.
    pub flags: Vec<Flag>,
    /// The internal date it shall have; `None`: now.
    pub date: Option<DateTime>,
    /// Whether its header may hold UTF-8: `UTF8 (~{…})`.
    pub utf8: bool,
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

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendMessage {
    /// What it shall have.
    pub options: AppendOptions,
    /// The message.
    pub data: AppendData,
    /// Whether it came as a literal8 (RFC 3516), which may hold NUL.
    pub binary: bool,
}

/// The arguments of APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Where to.
    pub mailbox: MailboxName,
    /// The messages, at least one.
    pub messages: Vec<AppendMessage>,
}

/// The tag and arguments of an APPEND for the message whose literal is on offer; `None` if the command
/// is another, is malformed, or the literal on offer is the mailbox name. Whether the client may APPEND
/// in its state is for the session to check before it lets the literal come.
pub fn append_head(pending: &RawCommand, names: Names) -> Option<(Tag, AppendHead)> {
    let mut cursor = Cursor::with_names(pending, names);
    let tag = parse_tag(&mut cursor).ok()?;
    cursor.space().ok()?;
    if cursor.word().as_bytes() != b"APPEND" {
        return None;
    }
    cursor.space().ok()?;
    let mailbox = MailboxName::parse(&mut cursor).ok()?;
    loop {
        let options = AppendOptions::parse(&mut cursor).ok()?;
        if cursor.peek().is_none() && cursor.at_end() {
            return Some((tag, AppendHead { mailbox, options }));
        }
        options.parse_message(&mut cursor).ok()?;
    }
}

/// Whether the literal on offer is a message of an APPEND, to be streamed.
pub fn is_append_message(pending: &RawCommand) -> bool {
    append_head(pending, Names::Utf7).is_some()
}

impl AppendOptions {
    /// Reads from the space before the options up to the message.
    fn parse(cursor: &mut Cursor<'_>) -> Result<AppendOptions, ParseError> {
        cursor.space()?;
        let mut options = AppendOptions::default();
        if cursor.peek() == Some(b'(') {
            options.flags = flag_list(cursor)?;
            cursor.space()?;
        }
        if cursor.peek() == Some(b'"') {
            options.date = Some(DateTime::parse(cursor)?);
            cursor.space()?;
        }
        if cursor.peek().is_some() {
            let at = cursor.mark();
            if cursor.word().as_bytes() != b"UTF8" {
                return Err(cursor.error_at(at, "the message as a literal"));
            }
            cursor.space()?;
            cursor.expect(b'(', "`(` before the message")?;
            options.utf8 = true;
        }
        Ok(options)
    }

    /// Reads the message.
    fn parse_message(self, cursor: &mut Cursor<'_>) -> Result<AppendMessage, ParseError> {
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
        if self.utf8 {
            if !binary {
                return Err(cursor.error_at(at, "the message as `~{…}`"));
            }
            cursor.expect(b')', "`)` after the message")?;
        }
        Ok(AppendMessage { options: self, data, binary })
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b' ');
        if !self.flags.is_empty() {
            put_flags(out, self.flags.iter().map(Flag::as_str));
            out.put_u8(b' ');
        }
        if let Some(date) = self.date {
            date.encode(out);
            out.put_u8(b' ');
        }
        if self.utf8 {
            out.put_slice(b"UTF8 (");
        }
    }
}

impl Append {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Append, ParseError> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        let mut messages = Vec::new();
        while messages.is_empty() || !cursor.at_end() {
            messages.push(AppendOptions::parse(cursor)?.parse_message(cursor)?);
        }
        Ok(Append { mailbox, messages })
    }

    /// Whether the last message was handed out: then it and the end are not printed.
    pub(super) fn is_streamed(&self) -> bool {
        let last = self.messages.last();
        last.is_some_and(|message| matches!(message.data, AppendData::Streamed { .. }))
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        self.mailbox.encode(out, form);
        for message in &self.messages {
            message.options.encode(out);
            if message.binary {
                out.put_u8(b'~');
            }
            match &message.data {
                AppendData::Streamed { len_bytes } => put_literal_header(out, *len_bytes, form),
                AppendData::Buffered(bytes) => {
                    put_literal_header(out, bytes.len() as u64, form);
                    out.put_slice(bytes);
                    if message.options.utf8 {
                        out.put_u8(b')');
                    }
                }
            }
        }
    }
}
