//! SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 §3).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::limits::{MAX_IDENTIFIER_BYTES, MAX_RIGHTS_BYTES};
use crate::value::{MailboxName, Rights};
use crate::wire::{LiteralForm, put_astring};
use bytes::{BufMut, BytesMut};

/// What SETACL does with its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AclMode {
    /// These and no others.
    Replace,
    /// `+`: these too.
    Add,
    /// `-`: not these.
    Remove,
}

/// The arguments of SETACL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAcl {
    /// In which mailbox.
    pub mailbox: MailboxName,
    /// Whose rights, as sent.
    pub identifier: String,
    /// How.
    pub mode: AclMode,
    /// Which.
    pub rights: Rights,
}

/// The arguments of DELETEACL and LISTRIGHTS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// In which mailbox.
    pub mailbox: MailboxName,
    /// Whose rights, as sent.
    pub identifier: String,
}

impl SetAcl {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<SetAcl, ParseError> {
        let AclEntry { mailbox, identifier } = AclEntry::parse(cursor)?;
        cursor.space()?;
        let at = cursor.mark();
        let text = cursor.astring("rights")?;
        if text.len() > MAX_RIGHTS_BYTES {
            return Err(cursor.error_at(at, "fewer rights"));
        }
        let (mode, letters) = match text.split_first() {
            Some((b'+', letters)) => (AclMode::Add, letters),
            Some((b'-', letters)) => (AclMode::Remove, letters),
            _ => (AclMode::Replace, &text[..]),
        };
        Ok(SetAcl { mailbox, identifier, mode, rights: Rights::read(cursor, letters)? })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        put_entry(out, &self.mailbox, &self.identifier, form);
        out.put_u8(b' ');
        let sign = match self.mode {
            AclMode::Replace => "",
            AclMode::Add => "+",
            AclMode::Remove => "-",
        };
        put_astring(out, format!("{sign}{}", self.rights).as_bytes(), form);
    }
}

impl AclEntry {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<AclEntry, ParseError> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        cursor.space()?;
        let at = cursor.mark();
        let identifier = cursor.utf8("an identifier")?;
        if identifier.is_empty() || identifier.len() > MAX_IDENTIFIER_BYTES {
            return Err(cursor.error_at(at, "an identifier that is neither empty nor long"));
        }
        Ok(AclEntry { mailbox, identifier })
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        put_entry(out, &self.mailbox, &self.identifier, form);
    }
}

fn put_entry(out: &mut BytesMut, mailbox: &MailboxName, identifier: &str, form: LiteralForm) {
    out.put_u8(b' ');
    mailbox.encode(out, form);
    out.put_u8(b' ');
    put_astring(out, identifier.as_bytes(), form);
}
