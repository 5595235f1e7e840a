//! SASL for line protocols: PLAIN (RFC 4616) and LOGIN, the server's side, and base64.
//!
//! Knows nothing of SMTP: IMAP, POP3 and ManageSieve carry the same exchanges in other lines. The
//! session carries base64 lines back and forth, and gets [`Credentials`] in the end; whether they
//! are right is asked elsewhere.

mod login;
mod plain;
mod secret;

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

pub use self::{
    login::{Login, LoginStep},
    plain::parse_plain,
    secret::Secret,
};

/// Longest base64 response, in bytes (RFC 4954 §4.5.3.1.4 bounds the line to this with its CRLF).
pub const RESPONSE_BYTES_MAX: usize = 12_288;
/// Longest user name, in bytes. The longest address has 254.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest password, in bytes: enough for tokens, too little to make hashing expensive.
pub const PASSWORD_BYTES_MAX: usize = 4_096;

/// Who the client says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Whose mailbox it wants, if not its own. Printable, never empty.
    pub authzid: Option<String>,
    /// Who it is. Printable, never empty.
    pub authcid: String,
    /// UTF-8, without NUL, never empty.
    pub password: Secret,
}

/// Why an exchange failed. Says nothing about who exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslError {
    /// The client sent `*`.
    Cancelled,
    /// Over one of the limits of this module.
    TooLong,
    /// Not canonical base64.
    NotBase64,
    /// Not of the form the mechanism asks for: wrong number of NULs, empty name or password,
    /// control characters in a name.
    Malformed,
    /// Not UTF-8.
    NotUtf8,
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SaslError::Cancelled => "cancelled by the client",
            SaslError::TooLong => "response too long",
            SaslError::NotBase64 => "response is not base64",
            SaslError::Malformed => "malformed response",
            SaslError::NotUtf8 => "response is not UTF-8",
        })
    }
}

impl std::error::Error for SaslError {}

/// Decodes one response line of the client, which may also be the `*` that ends the exchange.
///
/// # Errors
/// `Cancelled`, `TooLong`, `NotBase64`.
pub fn decode_line(line: &[u8]) -> Result<Secret, SaslError> {
    if line == b"*" { Err(SaslError::Cancelled) } else { decode_response(line) }
}

/// Decodes one base64 response. The size is checked before anything is allocated.
///
/// # Errors
/// `TooLong`, `NotBase64`.
pub fn decode_response(base64: &[u8]) -> Result<Secret, SaslError> {
    if base64.len() > RESPONSE_BYTES_MAX {
        return Err(SaslError::TooLong);
    }
    STANDARD.decode(base64).map(Secret::new).map_err(|_| SaslError::NotBase64)
}

/// Base64 of a challenge or response.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Whether a word can name a mechanism (RFC 4422 §3.1, in any case).
#[must_use]
pub fn is_mechanism_name(word: &str) -> bool {
    (1..=20).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// A user name as it may go to logs and lookups.
fn name(bytes: &[u8]) -> Result<String, SaslError> {
    if bytes.len() > NAME_BYTES_MAX {
        return Err(SaslError::TooLong);
    }
    let name = str::from_utf8(bytes).map_err(|_| SaslError::NotUtf8)?;
    let is_name = !name.is_empty() && !name.chars().any(char::is_control);
    if is_name { Ok(name.to_owned()) } else { Err(SaslError::Malformed) }
}

fn password(bytes: &[u8]) -> Result<Secret, SaslError> {
    if bytes.len() > PASSWORD_BYTES_MAX {
        return Err(SaslError::TooLong);
    }
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(SaslError::Malformed);
    }
    str::from_utf8(bytes).map_err(|_| SaslError::NotUtf8)?;
    Ok(Secret::new(bytes.to_vec()))
}
