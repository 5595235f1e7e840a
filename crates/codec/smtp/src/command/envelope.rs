//! MAIL and RCPT (RFC 5321 §4.1.1.2, §4.1.1.3).

use super::{Command, CommandError, Dialect};
use crate::{
    address::AddressError,
    params::{MailParams, RcptParams},
    path::{ForwardPath, ReversePath},
};

pub(super) fn mail(arguments: &str, dialect: Dialect) -> Result<Command, CommandError> {
    let path =
        strip_keyword(arguments, "FROM:").ok_or(CommandError::WrongForm("MAIL FROM:<address>"))?;
    let (from, rest) = ReversePath::take(path, dialect.smtputf8)?;
    let params = MailParams::parse(rest, dialect.smtputf8)?;
    // The dialect allows the extension; this message must also ask for it (RFC 6531 §3.4).
    if !params.smtputf8 && from.address().is_some_and(|address| !address.is_ascii()) {
        return Err(AddressError::NeedsSmtpUtf8.into());
    }
    Ok(Command::Mail { from, params })
}

pub(super) fn rcpt(arguments: &str, dialect: Dialect) -> Result<Command, CommandError> {
    let path =
        strip_keyword(arguments, "TO:").ok_or(CommandError::WrongForm("RCPT TO:<address>"))?;
    let (to, rest) = ForwardPath::take(path, dialect.smtputf8)?;
    Ok(Command::Rcpt { to, params: RcptParams::parse(rest)? })
}

/// Removes the keyword in any case, and the spaces that many clients put behind it.
fn strip_keyword<'a>(arguments: &'a str, keyword: &str) -> Option<&'a str> {
    let head = arguments.get(..keyword.len())?;
    let path = &arguments[keyword.len()..];
    head.eq_ignore_ascii_case(keyword).then(|| path.trim_start_matches(' '))
}
