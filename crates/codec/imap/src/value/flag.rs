//! Message flags (RFC 3501 §2.3.2).

use crate::error::ParseError;
use crate::lex::{Cursor, is_atom_char};
use crate::limits::MAX_FLAG_BYTES;

/// A flag. System flags compare without case; keywords keep the case of the client and whoever
/// stores them decides about equality.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Flag {
    /// `\Answered`
    Answered,
    /// `\Flagged`
    Flagged,
    /// `\Deleted`
    Deleted,
    /// `\Seen`
    Seen,
    /// `\Draft`
    Draft,
    /// `\Recent`; only the server sets it.
    Recent,
    /// Another system flag, with its backslash.
    Extension(String),
    /// A keyword such as `$Forwarded`.
    Keyword(String),
}

impl Flag {
    /// The flag of this wire name; `None` if it is no valid flag.
    pub fn from_name(name: &str) -> Option<Flag> {
        let atom = name.strip_prefix('\\').unwrap_or(name);
        let valid = !atom.is_empty() && name.len() <= MAX_FLAG_BYTES;
        if !valid || !atom.bytes().all(is_atom_char) {
            return None;
        }
        if atom.len() == name.len() {
            return Some(Flag::Keyword(name.to_owned()));
        }
        let known =
            [Flag::Answered, Flag::Flagged, Flag::Deleted, Flag::Seen, Flag::Draft, Flag::Recent];
        let system = known.into_iter().find(|flag| flag.as_str().eq_ignore_ascii_case(name));
        Some(system.unwrap_or_else(|| Flag::Extension(name.to_owned())))
    }

    /// The name on the wire, with the backslash of a system flag.
    pub fn as_str(&self) -> &str {
        match self {
            Flag::Answered => "\\Answered",
            Flag::Flagged => "\\Flagged",
            Flag::Deleted => "\\Deleted",
            Flag::Seen => "\\Seen",
            Flag::Draft => "\\Draft",
            Flag::Recent => "\\Recent",
            Flag::Extension(name) | Flag::Keyword(name) => name,
        }
    }
}

/// One flag of a STORE or APPEND: `\Recent` is not for clients (RFC 3501 §9 `flag`).
pub(crate) fn flag(cursor: &mut Cursor<'_>) -> Result<Flag, ParseError> {
    let at = cursor.mark();
    let name = cursor.take_while(|b| is_atom_char(b) || b == b'\\');
    let text = std::str::from_utf8(&name).unwrap_or_default();
    match Flag::from_name(text) {
        Some(Flag::Recent) => Err(cursor.error_at(at, "a flag other than \\Recent")),
        Some(flag) => Ok(flag),
        None => Err(cursor.error_at(at, "a flag")),
    }
}

/// `(flag flag …)`, possibly empty.
pub(crate) fn flag_list(cursor: &mut Cursor<'_>) -> Result<Vec<Flag>, ParseError> {
    cursor.expect(b'(', "a list of flags")?;
    let mut flags = Vec::new();
    if cursor.eat(b')') {
        return Ok(flags);
    }
    loop {
        flags.push(flag(cursor)?);
        if cursor.eat(b')') {
            return Ok(flags);
        }
        cursor.space()?;
    }
}
