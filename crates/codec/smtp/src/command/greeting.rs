//! EHLO and HELO (RFC 5321 §4.1.1.1), and the one-name commands VRFY and EXPN (§4.1.1.6, §4.1.1.7).

use super::{CommandError, Dialect};
use crate::address::{AddressError, DOMAIN_BYTES_MAX};

/// A client's name for itself ends up in Received headers, so it is held to characters that mean
/// nothing there. It is not held to the grammar of domains: honest clients send host names with
/// underscores, bare IP addresses, or worse, and nothing is decided from it.
pub(super) fn client_name(arguments: &str) -> Result<String, CommandError> {
    if arguments.is_empty() {
        return Err(CommandError::MissingArgument);
    }
    let is_name = arguments.len() <= DOMAIN_BYTES_MAX
        && arguments.chars().all(|c| c.is_ascii_graphic() && !"()<>@,;\\\"".contains(c));
    if is_name { Ok(arguments.to_owned()) } else { Err(CommandError::BadName) }
}

/// What VRFY and EXPN ask for: any text, non-ASCII only under SMTPUTF8 (RFC 6531 §3.7.4.2).
pub(super) fn named(arguments: &str, dialect: Dialect) -> Result<String, CommandError> {
    if arguments.is_empty() {
        return Err(CommandError::MissingArgument);
    }
    if !dialect.smtputf8 && !arguments.is_ascii() {
        return Err(AddressError::NeedsSmtpUtf8.into());
    }
    if arguments.chars().any(char::is_control) {
        return Err(CommandError::ControlCharacter);
    }
    Ok(arguments.to_owned())
}
