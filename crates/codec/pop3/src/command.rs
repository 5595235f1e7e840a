//! Client commands: one line, without its CRLF, to a value and back.
//!
//! What real clients get away with: any case of the keyword, several spaces between arguments and
//! behind them. What they do not: control characters, arguments where none belong, numbers with
//! signs. A password is taken as it stands, spaces among it (RFC 1939 §7, PASS).

use crate::secret::Secret;
use bytes::{Bytes, BytesMut};
use std::fmt;

/// Longest command line in bytes, without CRLF (RFC 2449 §4 allows 255 with it), but for those that
/// carry names, passwords and SASL responses.
pub const COMMAND_BYTES_MAX: usize = 253;

/// Longest line of USER, PASS and AUTH, without CRLF: that of a SASL response.
pub const CREDENTIAL_LINE_BYTES_MAX: usize = 12_286;

/// Longest name of a language that is looked at, in bytes.
pub const LANGUAGE_BYTES_MAX: usize = 35;

/// One client command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// `USER name`.
    User {
        /// As given, printable, not empty.
        name: String,
    },
    /// `PASS password`.
    Pass {
        /// As given, without control characters.
        password: Secret,
    },
    /// `APOP name digest`, its arguments dropped.
    Apop,
    /// `AUTH [mechanism [initial]]` (RFC 5034 §4); alone it asks for the mechanisms, as clients did
    /// before there was CAPA (RFC 1734).
    Auth {
        /// Uppercase.
        mechanism: Option<String>,
        /// The initial response, in base64; `=` stands for an empty one.
        initial: Option<Secret>,
    },
    /// `STLS` (RFC 2595 §4).
    Stls,
    /// `CAPA` (RFC 2449 §5).
    Capa,
    /// `UTF8` (RFC 6856 §2).
    Utf8,
    /// `LANG [tag]` (RFC 6856 §3).
    Lang {
        /// A language tag or `*`; none asks for the list.
        tag: Option<String>,
    },
    /// `STAT`.
    Stat,
    /// `LIST [number]`.
    List {
        /// One message; all where there is none.
        number: Option<u32>,
    },
    /// `UIDL [number]`.
    Uidl {
        /// One message; all where there is none.
        number: Option<u32>,
    },
    /// `RETR number`.
    Retr {
        /// The message.
        number: u32,
    },
    /// `TOP number lines`.
    Top {
        /// The message.
        number: u32,
        /// How many lines of the body.
        lines: u64,
    },
    /// `DELE number`.
    Dele {
        /// The message.
        number: u32,
    },
    /// `RSET`.
    Rset,
    /// `NOOP`.
    Noop,
    /// `QUIT`.
    Quit,
}

/// Why a line is no command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandError {
    /// More bytes than such a command may have.
    TooLong,
    /// A control character, or bytes that are not UTF-8.
    Unprintable,
    /// No such keyword.
    Unknown,
    /// Arguments are missing, too many, or not what they should be.
    Arguments,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the line is too long",
            Self::Unprintable => "there are bytes in it that no command has",
            Self::Unknown => "there is no such command",
            Self::Arguments => "the arguments are not right",
        })
    }
}

impl std::error::Error for CommandError {}

impl Command {
    /// Parses one line, without its CRLF.
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn parse(line: &[u8]) -> Result<Self, CommandError> {
        let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
        let keyword = line[..end.min(8)].to_ascii_uppercase();
        let is_credential = matches!(&keyword[..], b"USER" | b"PASS" | b"AUTH");
        let max = if is_credential { CREDENTIAL_LINE_BYTES_MAX } else { COMMAND_BYTES_MAX };
        if line.len() > max {
            return Err(CommandError::TooLong);
        }
        if line.iter().any(u8::is_ascii_control) {
            return Err(CommandError::Unprintable);
        }
        // What stands behind the one space that ends the keyword.
        let rest = line.get(end + 1..).unwrap_or_default();
        if keyword == b"PASS" {
            return pass(rest);
        }
        let rest = str::from_utf8(rest).map_err(|_| CommandError::Unprintable)?;
        let words: Vec<&str> = rest.split(' ').filter(|word| !word.is_empty()).take(4).collect();
        match &keyword[..] {
            b"USER" => user(rest),
            b"APOP" => Ok(Self::Apop),
            b"AUTH" => auth(&words),
            b"STLS" => alone(&words, Self::Stls),
            b"CAPA" => alone(&words, Self::Capa),
            b"UTF8" => alone(&words, Self::Utf8),
            b"LANG" => lang(&words),
            b"STAT" => alone(&words, Self::Stat),
            b"LIST" => Ok(Self::List { number: at_most_one(&words)? }),
            b"UIDL" => Ok(Self::Uidl { number: at_most_one(&words)? }),
            b"RETR" => Ok(Self::Retr { number: one(&words)? }),
            b"DELE" => Ok(Self::Dele { number: one(&words)? }),
            b"TOP" => top(&words),
            b"RSET" => alone(&words, Self::Rset),
            b"NOOP" => alone(&words, Self::Noop),
            b"QUIT" => alone(&words, Self::Quit),
            _ => Err(CommandError::Unknown),
        }
    }

    /// Its keyword in small letters, for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::User { .. } => "user",
            Self::Pass { .. } => "pass",
            Self::Apop => "apop",
            Self::Auth { .. } => "auth",
            Self::Stls => "stls",
            Self::Capa => "capa",
            Self::Utf8 => "utf8",
            Self::Lang { .. } => "lang",
            Self::Stat => "stat",
            Self::List { .. } => "list",
            Self::Uidl { .. } => "uidl",
            Self::Retr { .. } => "retr",
            Self::Top { .. } => "top",
            Self::Dele { .. } => "dele",
            Self::Rset => "rset",
            Self::Noop => "noop",
            Self::Quit => "quit",
        }
    }

    /// Appends the wire form with its CRLF. Control characters in a string of ours are left out, so
    /// a line always stays one line.
    pub fn encode(&self, out: &mut BytesMut) {
        let mut put = |part: &[u8]| {
            out.extend(part.iter().filter(|byte| !byte.is_ascii_control()));
        };
        put(self.name().to_ascii_uppercase().as_bytes());
        match self {
            Self::User { name } => put(format!(" {name}").as_bytes()),
            Self::Pass { password } => {
                put(b" ");
                put(password.expose());
            }
            Self::Auth { mechanism, initial } => {
                if let Some(mechanism) = mechanism {
                    put(format!(" {mechanism}").as_bytes());
                }
                if let Some(initial) = initial {
                    put(b" ");
                    put(initial.expose());
                }
            }
            Self::Lang { tag: Some(tag) } => put(format!(" {tag}").as_bytes()),
            Self::List { number: Some(number) }
            | Self::Uidl { number: Some(number) }
            | Self::Retr { number }
            | Self::Dele { number } => put(format!(" {number}").as_bytes()),
            Self::Top { number, lines } => put(format!(" {number} {lines}").as_bytes()),
            _ => {}
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn alone(words: &[&str], command: Command) -> Result<Command, CommandError> {
    if words.is_empty() { Ok(command) } else { Err(CommandError::Arguments) }
}

fn user(rest: &str) -> Result<Command, CommandError> {
    let name = rest.trim_matches(' ');
    if name.is_empty() {
        return Err(CommandError::Arguments);
    }
    Ok(Command::User { name: name.to_owned() })
}

fn pass(rest: &[u8]) -> Result<Command, CommandError> {
    if rest.is_empty() {
        return Err(CommandError::Arguments);
    }
    Ok(Command::Pass { password: Secret::new(Bytes::copy_from_slice(rest)) })
}

fn auth(words: &[&str]) -> Result<Command, CommandError> {
    let secret = |word: &&str| Secret::new(Bytes::copy_from_slice(word.as_bytes()));
    let is_name = |word: &str| {
        (1..=20).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match words {
        [] => Ok(Command::Auth { mechanism: None, initial: None }),
        [mechanism, initial @ ..] if is_name(mechanism) && initial.len() <= 1 => {
            let mechanism = Some(mechanism.to_ascii_uppercase());
            Ok(Command::Auth { mechanism, initial: initial.first().map(secret) })
        }
        _ => Err(CommandError::Arguments),
    }
}

fn lang(words: &[&str]) -> Result<Command, CommandError> {
    let is_tag = |word: &str| {
        word.len() <= LANGUAGE_BYTES_MAX
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    match words {
        [] => Ok(Command::Lang { tag: None }),
        [tag] if *tag == "*" || is_tag(tag) => Ok(Command::Lang { tag: Some((*tag).to_owned()) }),
        _ => Err(CommandError::Arguments),
    }
}

fn top(words: &[&str]) -> Result<Command, CommandError> {
    match words {
        [number, lines] => Ok(Command::Top { number: message(number)?, lines: count(lines)? }),
        _ => Err(CommandError::Arguments),
    }
}

fn one(words: &[&str]) -> Result<u32, CommandError> {
    at_most_one(words)?.ok_or(CommandError::Arguments)
}

fn at_most_one(words: &[&str]) -> Result<Option<u32>, CommandError> {
    match words {
        [] => Ok(None),
        [number] => message(number).map(Some),
        _ => Err(CommandError::Arguments),
    }
}

/// A message number; one that no message can have is the greatest one.
fn message(word: &str) -> Result<u32, CommandError> {
    count(word).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// A decimal number; one that is too large is the greatest one.
fn count(word: &str) -> Result<u64, CommandError> {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CommandError::Arguments);
    }
    Ok(word.parse().unwrap_or(u64::MAX))
}
