//! COPY (RFC 3501 §6.4.7), MOVE (RFC 6851) and UID EXPUNGE (RFC 4315 §2.1).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::value::{MailboxName, SequenceSet};
use crate::wire::LiteralForm;
use bytes::{BufMut, BytesMut};

/// The arguments of COPY and MOVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// Where to.
    pub mailbox: MailboxName,
}

impl Copy {
    pub(super) fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Copy, ParseError> {
        cursor.space()?;
        let set = SequenceSet::parse(cursor)?;
        cursor.space()?;
        Ok(Copy { uid, set, mailbox: MailboxName::parse(cursor)? })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        self.set.encode(out);
        out.put_u8(b' ');
        self.mailbox.encode(out, form);
    }
}

/// The arguments of EXPUNGE and UID EXPUNGE.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expunge {
    /// With UID EXPUNGE only these; otherwise every message with `\Deleted`.
    pub uids: Option<SequenceSet>,
}

impl Expunge {
    pub(super) fn parse_uid(cursor: &mut Cursor<'_>) -> Result<Expunge, ParseError> {
        cursor.space()?;
        Ok(Expunge { uids: Some(SequenceSet::parse(cursor)?) })
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        if let Some(uids) = &self.uids {
            out.put_u8(b' ');
            uids.encode(out);
        }
    }
}
