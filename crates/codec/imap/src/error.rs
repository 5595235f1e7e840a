//! Why a command could not be parsed: what was expected, where, and whom to answer.

use crate::Tag;
use std::fmt;

/// What sort of refusal a [`ParseError`] is; all are answered with `BAD` (RFC 3501 §7.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// An empty line.
    Empty,
    /// The tag is missing or holds a forbidden character; answer untagged.
    BadTag,
    /// The command word is not known.
    UnknownCommand,
    /// The arguments do not follow the grammar.
    Syntax,
    /// The arguments follow the grammar but pass a bound of [`crate::limits`].
    TooMuch,
}

/// A command refused by the parser. `Display` gives a text fit for a `BAD` response: it never
/// contains bytes of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The tag, if it could be read; otherwise the `BAD` is untagged.
    pub tag: Option<Tag>,
    /// The sort of error.
    pub kind: ParseErrorKind,
    /// What was expected or exceeded, a noun phrase.
    pub what: &'static str,
    /// Where, in bytes from the start of the command; literal headers and line ends not counted.
    pub offset_bytes: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            ParseErrorKind::Empty => f.write_str("Empty command"),
            ParseErrorKind::BadTag => f.write_str("Bad tag"),
            ParseErrorKind::UnknownCommand => f.write_str("Unknown command"),
            ParseErrorKind::Syntax => {
                write!(f, "Expected {} at byte {}", self.what, self.offset_bytes)
            }
            ParseErrorKind::TooMuch => {
                write!(f, "Too much: {} at byte {}", self.what, self.offset_bytes)
            }
        }
    }
}

impl std::error::Error for ParseError {}
