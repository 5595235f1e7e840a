//! ENVELOPE (RFC 3501 §7.4.2): borrowed from wherever the header was parsed.

use crate::wire::{LiteralForm, put_nstring};
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;

/// Header text as it shall be printed, or absent. Bytes, since headers may hold 8-bit text.
pub(super) type Text<'a> = Option<Cow<'a, [u8]>>;

/// The envelope of a message. Empty `sender` and `reply_to` go out as given: the rule that they fall back to
/// `from` is for whoever fills them in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Envelope<'a> {
    /// Date field, unparsed.
    pub date: Text<'a>,
    /// Subject, unfolded, encoded words as they are.
    pub subject: Text<'a>,
    /// From.
    pub from: Vec<Address<'a>>,
    /// Sender.
    pub sender: Vec<Address<'a>>,
    /// Reply-To.
    pub reply_to: Vec<Address<'a>>,
    /// To.
    pub to: Vec<Address<'a>>,
    /// Cc.
    pub cc: Vec<Address<'a>>,
    /// Bcc.
    pub bcc: Vec<Address<'a>>,
    /// In-Reply-To, unparsed.
    pub in_reply_to: Text<'a>,
    /// Message-ID, with its angle brackets.
    pub message_id: Text<'a>,
}

/// An address. A group starts with only `mailbox` (its name) and ends with nothing at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address<'a> {
    /// Display name.
    pub name: Text<'a>,
    /// Source route; obsolete.
    pub adl: Text<'a>,
    /// Local part, or the name of a group.
    pub mailbox: Text<'a>,
    /// Domain.
    pub host: Text<'a>,
}

impl Envelope<'_> {
    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'(');
        put_text(out, &self.date);
        out.put_u8(b' ');
        put_text(out, &self.subject);
        let lists = [&self.from, &self.sender, &self.reply_to, &self.to, &self.cc, &self.bcc];
        for list in lists {
            out.put_u8(b' ');
            put_addresses(out, list);
        }
        out.put_u8(b' ');
        put_text(out, &self.in_reply_to);
        out.put_u8(b' ');
        put_text(out, &self.message_id);
        out.put_u8(b')');
    }
}

pub(super) fn put_text(out: &mut BytesMut, text: &Text<'_>) {
    put_nstring(out, text.as_deref(), LiteralForm::Plain);
}

/// `((…)(…))` without spaces between, or `NIL` for none.
fn put_addresses(out: &mut BytesMut, addresses: &[Address<'_>]) {
    if addresses.is_empty() {
        out.put_slice(b"NIL");
        return;
    }
    out.put_u8(b'(');
    for address in addresses {
        out.put_u8(b'(');
        put_text(out, &address.name);
        out.put_u8(b' ');
        put_text(out, &address.adl);
        out.put_u8(b' ');
        put_text(out, &address.mailbox);
        out.put_u8(b' ');
        put_text(out, &address.host);
        out.put_u8(b')');
    }
    out.put_u8(b')');
}
