//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 §6.3.3 to §6.3.7).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::value::MailboxName;
use crate::wire::LiteralForm;
use bytes::{BufMut, BytesMut};

macro_rules! mailbox_command {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// The mailbox it is about.
            pub mailbox: MailboxName,
        }

        impl $name {
            pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<$name, ParseError> {
                cursor.space()?;
                Ok($name { mailbox: MailboxName::parse(cursor)? })
            }

            pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
                out.put_u8(b' ');
                self.mailbox.encode(out, form);
            }
        }
    };
}

mailbox_command!(
    /// The arguments of CREATE. A trailing delimiter (RFC 3501 §6.3.3) is still in the name.
    Create
);
mailbox_command!(
    /// The arguments of DELETE.
    Delete
);
mailbox_command!(
    /// The arguments of SUBSCRIBE.
    Subscribe
);
mailbox_command!(
    /// The arguments of UNSUBSCRIBE.
    Unsubscribe
);

mailbox_command!(
    /// The argument of commands that ask something about one mailbox: GETQUOTAROOT, GETACL,
    /// MYRIGHTS.
    OfMailbox
);

/// The arguments of RENAME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The name that is.
    pub from: MailboxName,
    /// The name that shall be.
    pub to: MailboxName,
}

impl Rename {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Rename, ParseError> {
        cursor.space()?;
        let from = MailboxName::parse(cursor)?;
        cursor.space()?;
        Ok(Rename { from, to: MailboxName::parse(cursor)? })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        self.from.encode(out, form);
        out.put_u8(b' ');
        self.to.encode(out, form);
    }
}
