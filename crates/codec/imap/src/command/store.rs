//! STORE (RFC 3501 §6.4.6), conditional with UNCHANGEDSINCE (RFC 7162 §3.1.3).

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::value::flag::{flag, flag_list};
use crate::value::{Flag, SequenceSet};
use crate::wire::{put_flags, put_number};
use bytes::{BufMut, BytesMut};

/// What STORE does with its flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreMode {
    /// `FLAGS`: these and no others.
    Replace,
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
}

/// The arguments of STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Whether the numbers are UIDs.
    pub uid: bool,
    /// Which messages.
    pub set: SequenceSet,
    /// Only messages not changed after this modification sequence.
    pub unchanged_since: Option<u64>,
    /// How.
    pub mode: StoreMode,
    /// Whether to leave out the FETCH responses.
    pub silent: bool,
    /// The flags; may be empty.
    pub flags: Vec<Flag>,
}

impl Store {
    pub(super) fn parse(cursor: &mut Cursor<'_>, uid: bool) -> Result<Store, ParseError> {
        cursor.space()?;
        let set = SequenceSet::parse(cursor)?;
        cursor.space()?;
        let unchanged_since = parse_modifier(cursor)?;
        let at = cursor.mark();
        let mode = if cursor.eat(b'+') {
            StoreMode::Add
        } else if cursor.eat(b'-') {
            StoreMode::Remove
        } else {
            StoreMode::Replace
        };
        let silent = match cursor.word().as_bytes() {
            b"FLAGS" => false,
            b"FLAGS.SILENT" => true,
            _ => return Err(cursor.error_at(at, "FLAGS, +FLAGS or -FLAGS")),
        };
        cursor.space()?;
        let flags = if cursor.peek() == Some(b'(') {
            flag_list(cursor)?
        } else {
            let mut flags = vec![flag(cursor)?];
            while !cursor.at_end() {
                cursor.space()?;
                flags.push(flag(cursor)?);
            }
            flags
        };
        Ok(Store { uid, set, unchanged_since, mode, silent, flags })
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        out.put_u8(b' ');
        self.set.encode(out);
        if let Some(since) = self.unchanged_since {
            out.put_slice(b" (UNCHANGEDSINCE ");
            put_number(out, since);
            out.put_u8(b')');
        }
        out.put_slice(match self.mode {
            StoreMode::Replace => b" FLAGS".as_slice(),
            StoreMode::Add => b" +FLAGS",
            StoreMode::Remove => b" -FLAGS",
        });
        if self.silent {
            out.put_slice(b".SILENT");
        }
        out.put_u8(b' ');
        put_flags(out, self.flags.iter().map(Flag::as_str));
    }
}

/// `(UNCHANGEDSINCE 12345)` and the space behind it, if it stands here.
fn parse_modifier(cursor: &mut Cursor<'_>) -> Result<Option<u64>, ParseError> {
    if !cursor.eat(b'(') {
        return Ok(None);
    }
    let at = cursor.mark();
    if cursor.word().as_bytes() != b"UNCHANGEDSINCE" {
        return Err(cursor.error_at(at, "UNCHANGEDSINCE"));
    }
    cursor.space()?;
    let since = cursor.number64("a modification sequence")?;
    cursor.expect(b')', "`)` after the modifier")?;
    cursor.space()?;
    Ok(Some(since))
}
