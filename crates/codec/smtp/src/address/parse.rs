//! The grammar of addresses: each function takes its piece off the front of a text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Address, AddressError, DOMAIN_BYTES_MAX, Domain, LABEL_BYTES_MAX, LOCAL_BYTES_MAX,
    PATH_BYTES_MAX,
};

type Taken<'a, T> = Result<(T, &'a str), AddressError>;

/// Takes `local@domain` off the front of `text`.
pub(crate) fn take_address(text: &str, utf8: bool) -> Taken<'_, Address> {
    let (local, rest) = match text.strip_prefix('"') {
        Some(quoted) => take_quoted(quoted)?,
        None => take_dot_string(text)?,
    };
    if !utf8 && !local.is_ascii() {
        return Err(AddressError::NeedsSmtpUtf8);
    }
    if local.len() > LOCAL_BYTES_MAX {
        return Err(AddressError::LocalTooLong);
    }
    let rest = rest.strip_prefix('@').ok_or_else(|| missing_at(rest, utf8))?;
    let (domain, rest) = take_domain(rest, utf8)?;
    let address = Address { local, domain };
    if address.printed_bytes() + "<>".len() > PATH_BYTES_MAX {
        return Err(AddressError::PathTooLong);
    }
    Ok((address, rest))
}

fn missing_at(rest: &str, utf8: bool) -> AddressError {
    let stopped_by_utf8 = !utf8 && rest.starts_with(is_utf8_text);
    if stopped_by_utf8 { AddressError::NeedsSmtpUtf8 } else { AddressError::MissingAt }
}

/// Takes a domain or an address literal off the front of `text`.
pub(crate) fn take_domain(text: &str, utf8: bool) -> Taken<'_, Domain> {
    if let Some(literal) = text.strip_prefix('[') {
        let (inside, rest) = literal.split_once(']').ok_or(AddressError::BadLiteral)?;
        return Ok((Domain::Ip(parse_literal(inside)?), rest));
    }
    let end = text.find(|c| !is_domain_character(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if !utf8 && !name.is_ascii() {
        return Err(AddressError::NeedsSmtpUtf8);
    }
    if name.len() > DOMAIN_BYTES_MAX {
        return Err(AddressError::DomainTooLong);
    }
    if !name.split('.').all(is_label) {
        return Err(AddressError::BadDomain);
    }
    Ok((Domain::Name(name.to_ascii_lowercase()), rest))
}

/// RFC 5321 §4.1.3. Other tags than IPv6 are not in use.
fn parse_literal(inside: &str) -> Result<IpAddr, AddressError> {
    let tagged = inside.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
    let parsed = if tagged {
        inside[5..].parse::<Ipv6Addr>().map(IpAddr::V6)
    } else {
        inside.parse::<Ipv4Addr>().map(IpAddr::V4)
    };
    parsed.map_err(|_| AddressError::BadLiteral)
}

fn take_dot_string(text: &str) -> Taken<'_, String> {
    let end = text.find(|c| c != '.' && !is_atom_character(c)).unwrap_or(text.len());
    let (local, rest) = text.split_at(end);
    if is_dot_string(local) { Ok((local.to_owned(), rest)) } else { Err(AddressError::BadLocal) }
}

/// `quoted` stands behind the opening quote.
fn take_quoted(quoted: &str) -> Taken<'_, String> {
    let mut local = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        let kept = match character {
            '"' if local.is_empty() => return Err(AddressError::BadQuoted),
            '"' => return Ok((local, &quoted[at + 1..])),
            '\\' => characters.next().map(|(_, escaped)| escaped),
            other => Some(other),
        };
        match kept {
            Some(kept) if matches!(kept, ' '..='~') || is_utf8_text(kept) => local.push(kept),
            _ => return Err(AddressError::BadQuoted),
        }
    }
    Err(AddressError::BadQuoted)
}

/// Whether a local part needs no quotes.
pub(super) fn is_dot_string(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_character))
}

fn is_atom_character(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || is_utf8_text(character)
}

/// Underscores are not in the RFC's grammar but in real host names.
fn is_domain_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "-._".contains(character) || is_utf8_text(character)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Non-ASCII that is neither a control character nor a space of any kind.
fn is_utf8_text(character: char) -> bool {
    !character.is_ascii() && !character.is_control() && !character.is_whitespace()
}
