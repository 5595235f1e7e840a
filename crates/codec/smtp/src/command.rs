//! Client commands: one line, without its CRLF, to a value and back.
//!
//! The verbs live in one file per family under `command/`; this file is the list of them, the one
//! dispatch, and the checks that hold for every line: length, and no control character anywhere,
//! so that nothing a client sends can put a line break into a header, a log or another command.
//!
//! What real clients get away with: any case, several spaces between arguments, a space behind
//! `FROM:` and `TO:`, spaces at the end of the line. What they do not: a path without brackets, an
//! argument where none belongs, an unknown or doubled parameter.

mod auth;
mod content;
mod envelope;
mod error;
mod greeting;

use std::fmt::Write as _;

use bytes::BytesMut;

pub use self::error::CommandError;
use crate::{
    params::{MailParams, RcptParams},
    path::{ForwardPath, ReversePath},
    sasl::Secret,
};

/// Longest command line except AUTH, in bytes without CRLF. RFC 5321 §4.5.3.1.4 asks for 512, and
/// the parameters of RFC 1870, RFC 3461, RFC 4954 and RFC 6531 add about 1,100 to it.
pub const COMMAND_BYTES_MAX: usize = 2_048;

/// One client command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `EHLO name`: the client's name for itself, safe to print.
    Ehlo {
        /// As given; not verified.
        name: String,
    },
    /// `HELO name`.
    Helo {
        /// As given; not verified.
        name: String,
    },
    /// `MAIL FROM:<path> …`: begins an envelope.
    Mail {
        /// The sender.
        from: ReversePath,
        /// Its parameters.
        params: MailParams,
    },
    /// `RCPT TO:<path> …`: one more recipient.
    Rcpt {
        /// The recipient.
        to: ForwardPath,
        /// Its parameters.
        params: RcptParams,
    },
    /// `DATA`: the message follows a 354.
    Data,
    /// `BDAT size [LAST]`: a chunk follows at once (RFC 3030).
    Bdat {
        /// Exact size of the chunk.
        size_bytes: u64,
        /// The message is complete with it.
        last: bool,
    },
    /// `RSET`: forgets the envelope.
    Rset,
    /// `NOOP`, its argument dropped.
    Noop,
    /// `QUIT`.
    Quit,
    /// `VRFY name`.
    Vrfy {
        /// As given, printable.
        name: String,
    },
    /// `EXPN list`.
    Expn {
        /// As given, printable.
        name: String,
    },
    /// `HELP`, its argument dropped.
    Help,
    /// `STARTTLS` (RFC 3207).
    StartTls,
    /// `AUTH mechanism [initial]` (RFC 4954).
    Auth {
        /// Uppercase.
        mechanism: String,
        /// The initial response, decoded; `=` is an empty one.
        initial: Option<Secret>,
    },
    /// A verb we do not have.
    Unknown {
        /// Uppercase, at most 32 printable ASCII characters.
        verb: String,
    },
}

/// What is in force when a line is parsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dialect {
    /// For MAIL: the server offers SMTPUTF8. For RCPT: the envelope asked for it. For VRFY and
    /// EXPN: the server offers it.
    pub smtputf8: bool,
}

impl Command {
    /// Parses one line, without its CRLF.
    ///
    /// # Errors
    /// [`CommandError`], which knows its reply and whether the session must end.
    pub fn parse(line: &[u8], dialect: Dialect) -> Result<Command, CommandError> {
        let verb_bytes = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
        let verb = String::from_utf8_lossy(&line[..verb_bytes.min(32)]).to_ascii_uppercase();
        let arguments = arguments(line, verb_bytes, &verb);
        match verb.as_str() {
            // Whatever is wrong with a BDAT, its chunk is on its way already.
            "BDAT" => arguments.and_then(content::bdat).map_err(|_| CommandError::BadChunkSize),
            "EHLO" => greeting::client_name(arguments?).map(|name| Command::Ehlo { name }),
            "HELO" => greeting::client_name(arguments?).map(|name| Command::Helo { name }),
            "MAIL" => envelope::mail(arguments?, dialect),
            "RCPT" => envelope::rcpt(arguments?, dialect),
            "DATA" => alone(arguments?, Command::Data),
            "RSET" => alone(arguments?, Command::Rset),
            "NOOP" => arguments.map(|_| Command::Noop),
            "QUIT" => alone(arguments?, Command::Quit),
            "VRFY" => greeting::named(arguments?, dialect).map(|name| Command::Vrfy { name }),
            "EXPN" => greeting::named(arguments?, dialect).map(|name| Command::Expn { name }),
            "HELP" => arguments.map(|_| Command::Help),
            "STARTTLS" => alone(arguments?, Command::StartTls),
            "AUTH" => auth::parse(arguments?),
            "" => Err(CommandError::Empty),
            _ => {
                arguments?;
                Ok(Command::Unknown { verb: printable(&verb) })
            }
        }
    }

    /// Appends the wire form with its CRLF. A string of ours that holds control characters loses
    /// them, so a line always stays one line.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut line = Line(out);
        match self {
            Command::Ehlo { name } => line.put(&["EHLO ", name]),
            Command::Helo { name } => line.put(&["HELO ", name]),
            Command::Mail { from, params } => line.print(format_args!("MAIL FROM:{from}{params}")),
            Command::Rcpt { to, params } => line.print(format_args!("RCPT TO:{to}{params}")),
            Command::Data => line.put(&["DATA"]),
            Command::Bdat { size_bytes, last } => {
                let last = if *last { " LAST" } else { "" };
                line.print(format_args!("BDAT {size_bytes}{last}"));
            }
            Command::Rset => line.put(&["RSET"]),
            Command::Noop => line.put(&["NOOP"]),
            Command::Quit => line.put(&["QUIT"]),
            Command::Vrfy { name } => line.put(&["VRFY ", name]),
            Command::Expn { name } => line.put(&["EXPN ", name]),
            Command::Help => line.put(&["HELP"]),
            Command::StartTls => line.put(&["STARTTLS"]),
            Command::Auth { mechanism, initial } => {
                line.put(&["AUTH ", mechanism]);
                auth::put_initial(&mut line, initial.as_ref());
            }
            Command::Unknown { verb } => line.put(&[verb]),
        }
        line.0.extend_from_slice(b"\r\n");
    }
}

/// What stands behind the verb, after the checks that hold for every line.
fn arguments<'a>(line: &'a [u8], verb_bytes: usize, verb: &str) -> Result<&'a str, CommandError> {
    if line.len() > COMMAND_BYTES_MAX && verb != "AUTH" {
        return Err(CommandError::TooLong);
    }
    if line.iter().any(u8::is_ascii_control) {
        return Err(CommandError::ControlCharacter);
    }
    let text = str::from_utf8(line).map_err(|_| CommandError::NotUtf8)?;
    Ok(text[verb_bytes..].trim_matches(' '))
}

fn alone(arguments: &str, command: Command) -> Result<Command, CommandError> {
    if arguments.is_empty() { Ok(command) } else { Err(CommandError::UnexpectedArgument) }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

/// Writes parts of a line, without their control characters.
struct Line<'a>(&'a mut BytesMut);

impl Line<'_> {
    fn put(&mut self, parts: &[&str]) {
        for part in parts {
            self.0.extend(part.bytes().filter(|byte| !byte.is_ascii_control()));
        }
    }

    fn print(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a BytesMut fails only beyond usize::MAX bytes.
        let _ = self.0.write_fmt(arguments);
    }
}
