//! Why a line is not a command, and what the client is told.

use std::fmt;

use crate::{
    address::AddressError,
    reply::{EnhancedCode, Reply},
};

/// Why a line was refused. `Display` is the text of the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandError {
    /// An empty line.
    Empty,
    /// Over [`COMMAND_BYTES_MAX`](super::COMMAND_BYTES_MAX).
    TooLong,
    /// A byte below 0x20 or 0x7f: CR, LF, NUL, TAB and the like.
    ControlCharacter,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// The verb needs an argument.
    MissingArgument,
    /// The verb takes no argument.
    UnexpectedArgument,
    /// `FROM:` or `TO:` is missing; the text tells the right form.
    WrongForm(&'static str),
    /// No space between the path and the first parameter.
    MissingSpace,
    /// The client's name for itself can not be a name.
    BadName,
    /// The path is no path.
    BadAddress(AddressError),
    /// A parameter nobody offered. Printable, at most 32 characters.
    UnknownParameter(String),
    /// A known parameter with a bad value, or without the one it needs.
    BadParameter(String),
    /// The same parameter twice.
    DuplicateParameter(&'static str),
    /// BDAT with arguments that are no size. The chunk may already be on its way, and its bytes
    /// would be read as commands.
    BadChunkSize,
    /// AUTH with a malformed mechanism name.
    BadMechanism,
    /// AUTH with an initial response that is no base64.
    BadInitialResponse,
}

impl CommandError {
    /// The session must close after the reply: where the next command begins is not known.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, CommandError::BadChunkSize)
    }

    /// The reply to send.
    #[must_use]
    pub fn reply(&self) -> Reply {
        let (code, subject, detail) = match self {
            CommandError::Empty
            | CommandError::TooLong
            | CommandError::ControlCharacter
            | CommandError::NotUtf8 => (500, 5, 2),
            CommandError::WrongForm(_)
            | CommandError::MissingSpace
            | CommandError::BadInitialResponse => (501, 5, 2),
            CommandError::BadAddress(AddressError::NeedsSmtpUtf8) => (553, 6, 7),
            CommandError::BadAddress(_) => (501, 1, 3),
            CommandError::UnknownParameter(_) => (555, 5, 4),
            CommandError::MissingArgument
            | CommandError::UnexpectedArgument
            | CommandError::BadName
            | CommandError::BadParameter(_)
            | CommandError::DuplicateParameter(_)
            | CommandError::BadChunkSize
            | CommandError::BadMechanism => (501, 5, 4),
        };
        Reply::new(code, Some(EnhancedCode::new(5, subject, detail)), self.to_string())
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Empty => f.write_str("empty command"),
            CommandError::TooLong => f.write_str("line too long"),
            CommandError::ControlCharacter => f.write_str("control characters are not allowed"),
            CommandError::NotUtf8 => f.write_str("line is not UTF-8"),
            CommandError::MissingArgument => f.write_str("argument required"),
            CommandError::UnexpectedArgument => f.write_str("no argument allowed"),
            CommandError::WrongForm(form) => write!(f, "expected {form}"),
            CommandError::MissingSpace => f.write_str("space required behind the address"),
            CommandError::BadName => f.write_str("invalid client name"),
            CommandError::BadAddress(error) => error.fmt(f),
            CommandError::UnknownParameter(keyword) => {
                write!(f, "parameter {keyword} not recognised")
            }
            CommandError::BadParameter(keyword) => write!(f, "invalid value for {keyword}"),
            CommandError::DuplicateParameter(keyword) => write!(f, "{keyword} given twice"),
            CommandError::BadChunkSize => f.write_str("invalid chunk size"),
            CommandError::BadMechanism => f.write_str("invalid mechanism name"),
            CommandError::BadInitialResponse => f.write_str("initial response is not base64"),
        }
    }
}

impl std::error::Error for CommandError {}

impl From<AddressError> for CommandError {
    fn from(error: AddressError) -> CommandError {
        CommandError::BadAddress(error)
    }
}
