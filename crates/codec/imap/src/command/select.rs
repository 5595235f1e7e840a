//! SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2), with CONDSTORE and QRESYNC (RFC 7162 §3.1.8, §3.2.5).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::value::{IdSet, MailboxName, SequenceSet, put_ranges};
use crate::wire::{LiteralForm, put_number};
use bytes::{BufMut, BytesMut};

/// The arguments of SELECT and EXAMINE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The mailbox to open.
    pub mailbox: MailboxName,
    /// `CONDSTORE`: modification sequences are to be told from now on.
    pub condstore: bool,
    /// What the client knows of the mailbox, to be brought up to date.
    pub resync: Option<Resync>,
}

/// What a client knows of a mailbox (RFC 7162 §3.2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    /// The UIDVALIDITY it knows.
    pub uid_validity: u32,
    /// The modification sequence up to which it knows everything; at least 1.
    pub mod_seq: u64,
    /// The UIDs it has; `None`: any.
    pub known_uids: Option<IdSet>,
    /// Message numbers and the UIDs they had, as far apart as it likes; as many of the one as of
    /// the other (RFC 7162 §3.2.5.2).
    pub seq_match: Option<(IdSet, IdSet)>,
}

impl Select {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Select, ParseError> {
        cursor.space()?;
        let mailbox = MailboxName::parse(cursor)?;
        let mut select = Select { mailbox, condstore: false, resync: None };
        if cursor.at_end() {
            return Ok(select);
        }
        cursor.space()?;
        cursor.expect(b'(', "a list of parameters")?;
        loop {
            let at = cursor.mark();
            match cursor.word().as_bytes() {
                b"CONDSTORE" => select.condstore = true,
                b"QRESYNC" if select.resync.is_none() => {
                    select.resync = Some(Resync::parse(cursor)?);
                }
                _ => return Err(cursor.error_at(at, "CONDSTORE or QRESYNC")),
            }
            if cursor.eat(b')') {
                return Ok(select);
            }
            cursor.space()?;
        }
    }

    pub(super) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        out.put_u8(b' ');
        self.mailbox.encode(out, form);
        match (&self.resync, self.condstore) {
            (None, false) => {}
            (None, true) => out.put_slice(b" (CONDSTORE)"),
            (Some(resync), condstore) => {
                out.put_slice(if condstore {
                    b" (CONDSTORE QRESYNC ".as_slice()
                } else {
                    b" (QRESYNC "
                });
                resync.encode(out);
                out.put_u8(b')');
            }
        }
    }
}

impl Resync {
    /// ` (uidvalidity modseq [known-uids] [(numbers uids)])`
    fn parse(cursor: &mut Cursor<'_>) -> Result<Resync, ParseError> {
        cursor.space()?;
        cursor.expect(b'(', "what is known of the mailbox")?;
        let uid_validity = cursor.nz_number("a UIDVALIDITY")?;
        cursor.space()?;
        let at = cursor.mark();
        let mod_seq = cursor.number64("a modification sequence")?;
        if mod_seq == 0 {
            return Err(cursor.error_at(at, "a modification sequence above zero"));
        }
        let mut resync = Resync { uid_validity, mod_seq, known_uids: None, seq_match: None };
        if cursor.eat(b')') {
            return Ok(resync);
        }
        cursor.space()?;
        if cursor.peek() != Some(b'(') {
            resync.known_uids = Some(SequenceSet::parse_plain(cursor, "UIDs without `*`")?);
            if cursor.eat(b')') {
                return Ok(resync);
            }
            cursor.space()?;
        }
        cursor.expect(b'(', "message numbers and their UIDs")?;
        let at = cursor.mark();
        let numbers = SequenceSet::parse_plain(cursor, "message numbers without `*`")?;
        cursor.space()?;
        let uids = SequenceSet::parse_plain(cursor, "UIDs without `*`")?;
        if numbers.count() != uids.count() {
            return Err(cursor.error_at(at, "as many message numbers as UIDs"));
        }
        resync.seq_match = Some((numbers, uids));
        cursor.expect(b')', "`)` after the UIDs")?;
        cursor.expect(b')', "`)` after what is known")?;
        Ok(resync)
    }

    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b'(');
        put_number(out, u64::from(self.uid_validity));
        out.put_u8(b' ');
        put_number(out, self.mod_seq);
        if let Some(known) = &self.known_uids {
            out.put_u8(b' ');
            put_ranges(out, known.ranges());
        }
        if let Some((numbers, uids)) = &self.seq_match {
            out.put_slice(b" (");
            put_ranges(out, numbers.ranges());
            out.put_u8(b' ');
            put_ranges(out, uids.ranges());
            out.put_u8(b')');
        }
        out.put_u8(b')');
    }
}
