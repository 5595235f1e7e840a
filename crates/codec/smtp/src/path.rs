//! Addresses in angle brackets, as MAIL and RCPT carry them (RFC 5321 §4.1.2).
//!
//! A source route (`<@a,@b:user@c>`) is checked for its form and then ignored, as RFC 5321
//! appendix C asks: mail goes to the address, never along the route. Missing brackets are refused:
//! without them nobody can tell where the address ends and the parameters begin.

use std::fmt;

use crate::address::{Address, AddressError, take_address, take_domain};

/// Where bounces go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ReversePath {
    /// `<>`: a bounce or another message that must not be bounced.
    Null,
    /// The sender.
    Address(Address),
}

/// Where the message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain: the one of this host (RFC 5321 §4.5.1).
    Postmaster,
    /// A recipient.
    Address(Address),
}

impl ReversePath {
    /// Takes `<…>` off the front of `text`.
    pub(crate) fn take(text: &str, utf8: bool) -> Result<(ReversePath, &str), AddressError> {
        if let Some(rest) = text.strip_prefix("<>") {
            return Ok((ReversePath::Null, rest));
        }
        let (address, rest) = take_bracketed(text, utf8)?;
        Ok((ReversePath::Address(address), rest))
    }

    /// The sender, unless it is the null path.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            ReversePath::Null => None,
            ReversePath::Address(address) => Some(address),
        }
    }
}

impl ForwardPath {
    /// Takes `<…>` off the front of `text`.
    pub(crate) fn take(text: &str, utf8: bool) -> Result<(ForwardPath, &str), AddressError> {
        const POSTMASTER: &str = "<postmaster>";
        if text.get(..POSTMASTER.len()).is_some_and(|head| head.eq_ignore_ascii_case(POSTMASTER)) {
            return Ok((ForwardPath::Postmaster, &text[POSTMASTER.len()..]));
        }
        let (address, rest) = take_bracketed(text, utf8)?;
        Ok((ForwardPath::Address(address), rest))
    }

    /// The recipient, unless it is the bare postmaster.
    #[must_use]
    pub fn address(&self) -> Option<&Address> {
        match self {
            ForwardPath::Postmaster => None,
            ForwardPath::Address(address) => Some(address),
        }
    }
}

fn take_bracketed(text: &str, utf8: bool) -> Result<(Address, &str), AddressError> {
    let inside = text.strip_prefix('<').ok_or(AddressError::MissingBrackets)?;
    let inside = skip_route(inside, utf8)?;
    let (address, rest) = take_address(inside, utf8)?;
    match rest.strip_prefix('>') {
        Some(rest) => Ok((address, rest)),
        None if !utf8 && rest.starts_with(|c: char| !c.is_ascii()) => {
            Err(AddressError::NeedsSmtpUtf8)
        }
        None => Err(AddressError::Unclosed),
    }
}

fn skip_route(inside: &str, utf8: bool) -> Result<&str, AddressError> {
    let mut rest = inside;
    while let Some(domain) = rest.strip_prefix('@') {
        let (_, behind) = take_domain(domain, utf8).map_err(|_| AddressError::BadRoute)?;
        if let Some(address) = behind.strip_prefix(':') {
            return Ok(address);
        }
        rest = behind.strip_prefix(',').ok_or(AddressError::BadRoute)?;
    }
    if std::ptr::eq(rest, inside) { Ok(inside) } else { Err(AddressError::BadRoute) }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReversePath::Null => f.write_str("<>"),
            ReversePath::Address(address) => write!(f, "<{address}>"),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ForwardPath::Postmaster => f.write_str("<postmaster>"),
            ForwardPath::Address(address) => write!(f, "<{address}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, &str), AddressError>) {
        let taken = ForwardPath::take(text, false);
        let shown = taken.map(|(path, rest)| (path.to_string(), rest));
        assert_eq!(shown, expected.map(|(path, rest)| (path.to_owned(), rest)), "{text}");
    }

    #[test]
    fn forward_paths() {
        check("<a@b> X=1", Ok(("<a@b>", " X=1")));
        check("<PostMaster>", Ok(("<postmaster>", "")));
        check("<postmaster@b>", Ok(("<postmaster@b>", "")));
        check("<\"a> \"@b>Y", Ok(("<\"a> \"@b>", "Y")));
        check("a@b", Err(AddressError::MissingBrackets));
        check("<>", Err(AddressError::BadLocal));
        check("<a@b", Err(AddressError::Unclosed));
        check("<a@b c>", Err(AddressError::Unclosed));
        check("<<a@b>>", Err(AddressError::BadLocal));
        check("<a>", Err(AddressError::MissingAt));
    }

    #[test]
    fn attack_12_source_routes_are_checked_and_ignored() {
        check("<@x,@[192.0.2.1]:a@b>", Ok(("<a@b>", "")));
        check("<@x:a@b>", Ok(("<a@b>", "")));
        check("<@x,a@b>", Err(AddressError::BadRoute));
        check("<@x a@b>", Err(AddressError::BadRoute));
        check("<@:a@b>", Err(AddressError::BadRoute));
        check("<@x:@y:a@b>", Err(AddressError::BadLocal));
    }

    #[test]
    fn the_null_path_is_for_senders() {
        assert_eq!(ReversePath::take("<>", false), Ok((ReversePath::Null, "")));
        assert_eq!(ReversePath::take("<postmaster>", false), Err(AddressError::MissingAt));
    }
}
