//! STATUS (RFC 3501 §6.3.10), with SIZE (RFC 8438), DELETED (RFC 9051 §6.3.11), APPENDLIMIT (RFC 7889)
//! and HIGHESTMODSEQ (RFC 7162 §3.1.7).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::value::MailboxName;
use crate::wire::{LiteralForm, put_list};
use bytes::{BufMut, BytesMut};

/// What STATUS can tell of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    /// Number of messages.
    Messages,
    /// Number of messages with `\Recent`.
    Recent,
    /// The next UID.
    UidNext,
    /// The UIDVALIDITY.
    UidValidity,
    /// Number of messages without `\Seen`.
    Unseen,
    /// Number of messages with `\Deleted`.
    Deleted,
    /// Bytes of all messages.
    Size,
    /// The newest modification sequence.
    HighestModSeq,
    /// The largest message that APPEND takes, in bytes.
    AppendLimit,
    /// Bytes that EXPUNGE would give back (RFC 9208 §4.1.4).
    DeletedStorage,
}

impl StatusItem {
    const ALL: [StatusItem; 10] = [
        StatusItem::Messages,
        StatusItem::Recent,
        StatusItem::UidNext,
        StatusItem::UidValidity,
        StatusItem::Unseen,
        StatusItem::Deleted,
        StatusItem::Size,
        StatusItem::HighestModSeq,
        StatusItem::AppendLimit,
        StatusItem::DeletedStorage,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            StatusItem::Messages => "MESSAGES",
            StatusItem::Recent => "RECENT",
            StatusItem::UidNext => "UIDNEXT",
            StatusItem::UidValidity => "UIDVALIDITY",
            StatusItem::Unseen => "UNSEEN",
            StatusItem::Deleted => "DELETED",
            StatusItem::Size => "SIZE",
            StatusItem::HighestModSeq => "HIGHESTMODSEQ",
            StatusItem::AppendLimit => "APPENDLIMIT",
            StatusItem::DeletedStorage => "DELETED-STORAGE",
        }
    }
}

/// The arguments of STATUS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCommand {
    /// The mailbox asked about.
    pub mailbox: MailboxName,
    /// The items, at least one, none twice.
    pub items: Vec<StatusItem>,
}

impl StatusCommand {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<StatusCommand, ParseError> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        cursor.space()?;
        Ok(StatusCommand { mailbox, items: StatusItem::parse_list(cursor)? })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        self.mailbox.encode(out, form);
        out.put_u8(b' ');
        StatusItem::encode_list(&self.items, out);
    }
}

impl StatusItem {
    /// `(ITEM ITEM …)`, at least one; none is kept twice.
    pub(super) fn parse_list(cursor: &mut Cursor<'_>) -> Result<Vec<StatusItem>, ParseError> {
        cursor.expect(b'(', "a list of status items")?;
        let mut items = Vec::new();
        loop {
            let at = cursor.mark();
            let word = cursor.word();
            let found =
                StatusItem::ALL.into_iter().find(|item| item.name().as_bytes() == word.as_bytes());
            let item = found.ok_or_else(|| cursor.error_at(at, "a status item"))?;
            if !items.contains(&item) {
                items.push(item);
            }
            if cursor.eat(b')') {
                return Ok(items);
            }
            cursor.space()?;
        }
    }

    pub(super) fn encode_list(items: &[StatusItem], out: &mut BytesMut) {
        put_list(out, items, |out, item| out.put_slice(item.name().as_bytes()));
    }
}
