//! What goes into a framer and what comes out: limits, events, errors.

use super::RawCommand;
use crate::limits;
use bytes::Bytes;
use std::fmt;

/// What one connection may make the server hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all lines of one command without its literals.
    pub line_bytes: usize,
    /// Bytes of all buffered literals of one command.
    pub literal_bytes: u64,
    /// Number of literals of one command, streamed ones included.
    pub literals: usize,
    /// Bytes thrown away after a refusal before the connection must be closed.
    pub skip_bytes: u64,
}

impl Limits {
    /// For a client that has not said who it is.
    pub const PRE_AUTH: Limits = Limits {
        line_bytes: limits::MAX_LINE_BYTES,
        literal_bytes: limits::MAX_PRE_AUTH_LITERAL_BYTES,
        literals: limits::MAX_PRE_AUTH_LITERALS,
        skip_bytes: limits::MAX_PRE_AUTH_SKIP_BYTES,
    };
    /// For a known client.
    pub const AUTHENTICATED: Limits = Limits {
        line_bytes: limits::MAX_LINE_BYTES,
        literal_bytes: limits::MAX_LITERAL_BYTES,
        literals: limits::MAX_LITERALS,
        skip_bytes: limits::MAX_SKIP_BYTES,
    };
}

/// A literal that the client announced; nothing of it has been taken from the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiteralOffer {
    /// Its size in bytes, at most 2^63-1.
    pub len_bytes: u64,
    /// Whether the client waits for a continuation (`{n}`) or sends on (`{n+}`, RFC 7888).
    pub sync: bool,
    /// Whether it is a literal8 (`~{n}`, RFC 3516), which may hold NUL.
    pub binary: bool,
    /// Whether [`Framer::accept`] would take it under the limits.
    pub fits: bool,
}

/// What [`Framer::next`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameEvent {
    /// Nothing complete: read more into the same buffer and call again.
    NeedMore,
    /// A literal is announced: call `accept`, `stream` or `refuse`. Comes again until one is called.
    Literal(LiteralOffer),
    /// The next bytes of a streamed literal; the `Command` follows the last of them.
    Chunk(Bytes),
    /// A complete command.
    Command(RawCommand),
}

/// Why the framer gave up a command. Unless [`FrameError::is_fatal`], it is already skipping the rest
/// of it: answer `BAD` and call `next` again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The lines of the command are longer than [`Limits::line_bytes`].
    LineTooLong,
    /// NUL or a bare CR in a line.
    ControlByte,
    /// NUL in a streamed literal; the chunks handed out so far must be thrown away.
    NulInLiteral,
    /// More than [`Limits::literals`].
    TooManyLiterals,
    /// A literal size above 2^63-1; the client waits for a continuation that will not come.
    LiteralSize,
    /// The same, but the client does not wait, so its end cannot be found. Fatal.
    LiteralSizeUnskippable,
    /// More than [`Limits::skip_bytes`] to throw away. Fatal.
    SkippedTooMuch,
    /// The connection was to be closed after an earlier error. Fatal.
    Closed,
    /// `next_line` in the middle of a command.
    NotBetweenCommands,
}

impl FrameError {
    /// Whether the client cannot be followed any further: say `BYE` and close.
    pub fn is_fatal(self) -> bool {
        use FrameError::{Closed, LiteralSizeUnskippable, SkippedTooMuch};
        matches!(self, LiteralSizeUnskippable | SkippedTooMuch | Closed)
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FrameError::LineTooLong => "Command line too long",
            FrameError::ControlByte => "NUL or bare CR in a command",
            FrameError::NulInLiteral => "NUL in a literal",
            FrameError::TooManyLiterals => "Too many literals in a command",
            FrameError::LiteralSize | FrameError::LiteralSizeUnskippable => {
                "Literal size out of range"
            }
            FrameError::SkippedTooMuch => "Too much data after a refused command",
            FrameError::Closed => "Connection is closing",
            FrameError::NotBetweenCommands => "Not between commands",
        })
    }
}

impl std::error::Error for FrameError {}

/// What [`Framer::refuse`] made of the rest of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The framer skips what is still to come; go on with `next`.
    Continue,
    /// The client will send more than it is worth skipping: say `BYE` and close.
    Close,
}
