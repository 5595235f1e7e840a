//! Mailbox names as commands carry them (RFC 3501 §5.1).

use super::mutf7::{self, Utf7Error};
use crate::error::ParseError;
use crate::lex::Cursor;
use crate::limits::MAX_MAILBOX_BYTES;
use crate::wire::{LiteralForm, put_astring};
use bytes::BytesMut;
use std::fmt;

/// A mailbox name in Unicode: not empty, no control characters, at most 2048 bytes. `INBOX` in any
/// case is `INBOX`. What the hierarchy allows is for the mailbox service to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MailboxName(String);

/// How mailbox names stand on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// In modified UTF-7 (RFC 3501 §5.1.3).
    #[default]
    Utf7,
    /// As they are, once the client has enabled that (RFC 6855 §3, RFC 9051 §5.1).
    Utf8,
}

/// Why a mailbox name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// The empty name.
    Empty,
    /// Longer than [`MAX_MAILBOX_BYTES`].
    TooLong,
    /// A control character, shifted or not.
    Control,
    /// Not modified UTF-7.
    Utf7(Utf7Error),
    /// Not UTF-8.
    Utf8,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

impl std::error::Error for NameError {}

impl NameError {
    fn what(&self) -> &'static str {
        match self {
            NameError::Empty => "a mailbox name that is not empty",
            NameError::TooLong => "a shorter mailbox name",
            NameError::Utf8 => "a mailbox name in UTF-8",
            NameError::Control => "a mailbox name without control characters",
            NameError::Utf7(Utf7Error::NotPrintable) => {
                "a mailbox name in modified UTF-7, not 8-bit"
            }
            NameError::Utf7(_) => "a mailbox name in canonical modified UTF-7",
        }
    }
}

impl MailboxName {
    /// Checks a Unicode name.
    ///
    /// # Errors
    /// [`NameError`], except `Utf7`.
    pub fn new(name: &str) -> Result<MailboxName, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        check_name(name)?;
        let inbox = name.eq_ignore_ascii_case("INBOX");
        Ok(MailboxName(if inbox { "INBOX".to_owned() } else { name.to_owned() }))
    }

    /// Decodes the wire form, modified UTF-7.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn from_wire(wire: &[u8]) -> Result<MailboxName, NameError> {
        MailboxName::new(&decode_name(wire, Names::Utf7)?)
    }

    /// The name in Unicode.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is INBOX.
    pub fn is_inbox(&self) -> bool {
        self.0 == "INBOX"
    }

    /// The name in modified UTF-7.
    pub fn to_wire(&self) -> String {
        mutf7::encode(&self.0)
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<MailboxName, ParseError> {
        let at = cursor.mark();
        let wire = cursor.astring("a mailbox name")?;
        let name = decode_name(&wire, cursor.names());
        name.and_then(|name| MailboxName::new(&name))
            .map_err(|error| cursor.error_at(at, error.what()))
    }

    pub(crate) fn encode(&self, out: &mut BytesMut, form: LiteralForm) {
        put_astring(out, self.to_wire().as_bytes(), form);
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name, a reference or a pattern from its wire form; may be empty.
fn decode_name(wire: &[u8], names: Names) -> Result<String, NameError> {
    if wire.len() > MAX_MAILBOX_BYTES {
        return Err(NameError::TooLong);
    }
    let name = match names {
        Names::Utf7 => mutf7::decode(wire).map_err(NameError::Utf7)?,
        Names::Utf8 => String::from_utf8(wire.to_vec()).map_err(|_| NameError::Utf8)?,
    };
    check_name(&name)?;
    Ok(name)
}

/// The same for an argument of LIST.
pub(crate) fn decode_argument(
    cursor: &mut Cursor<'_>,
    class: fn(u8) -> bool,
    what: &'static str,
) -> Result<String, ParseError> {
    let at = cursor.mark();
    let wire = cursor.astring_of(class, what)?;
    decode_name(&wire, cursor.names()).map_err(|error| cursor.error_at(at, error.what()))
}

fn check_name(name: &str) -> Result<(), NameError> {
    if name.len() > MAX_MAILBOX_BYTES {
        return Err(NameError::TooLong);
    }
    if name.chars().any(char::is_control) { Err(NameError::Control) } else { Ok(()) }
}
