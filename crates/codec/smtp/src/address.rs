//! Mail addresses: what RFC 5321 §4.1.2 calls Mailbox, as a typed value.
//!
//! The value holds meaning, not spelling: the local part without quotes and backslashes, the
//! domain in lowercase ASCII, an address literal as an IP address. [`Address`] can only be made by
//! parsing, so a value never holds control characters and always prints as something that parses
//! back to it. `%`, `!` and a quoted `@` in a local part are ordinary characters: nothing here is
//! ever read as a route, so no trick makes one address mean another.
//!
//! Non-ASCII (RFC 6531) is taken only when the caller allows it. Letters are kept as given: no
//! Unicode normalisation, no conversion between U-labels and A-labels.

mod parse;

use std::{fmt, net::IpAddr, str::FromStr};

pub(crate) use parse::{take_address, take_domain};

/// Longest local part, in bytes, without quotes (RFC 5321 §4.5.3.1.1).
pub const LOCAL_BYTES_MAX: usize = 64;
/// Longest domain, in bytes (RFC 5321 §4.5.3.1.2).
pub const DOMAIN_BYTES_MAX: usize = 255;
/// Longest path, in bytes, with its angle brackets (RFC 5321 §4.5.3.1.3).
pub const PATH_BYTES_MAX: usize = 256;
/// Longest label of a domain, in bytes (RFC 1035 §2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// A mail address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: Domain,
}

/// The part behind the `@`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Domain {
    /// A host or domain name, ASCII letters in lowercase.
    Name(String),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Ip(IpAddr),
}

/// Why something is not an address. Prints as a short text for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// No `<` where a path must begin.
    MissingBrackets,
    /// No `>` behind the address, or bytes between the two.
    Unclosed,
    /// No `@`.
    MissingAt,
    /// The local part is empty, or has a dot at an end or two in a row, unquoted.
    BadLocal,
    /// A quoted local part that does not end or holds a character that may not stand there.
    BadQuoted,
    /// An empty, overlong or misspelt label, or no domain at all.
    BadDomain,
    /// Brackets with something else than an IPv4 or tagged IPv6 address.
    BadLiteral,
    /// A source route that is not a list of `@domain`.
    BadRoute,
    /// More than [`LOCAL_BYTES_MAX`].
    LocalTooLong,
    /// More than [`DOMAIN_BYTES_MAX`].
    DomainTooLong,
    /// More than [`PATH_BYTES_MAX`].
    PathTooLong,
    /// Non-ASCII where SMTPUTF8 is not in force (RFC 6531 §3.5).
    NeedsSmtpUtf8,
    /// Something stands behind a complete address.
    TrailingText,
}

impl Address {
    /// Parses a whole text as one address, without angle brackets.
    ///
    /// # Errors
    /// [`AddressError`]; `NeedsSmtpUtf8` for non-ASCII when `utf8` is false.
    pub fn parse(text: &str, utf8: bool) -> Result<Address, AddressError> {
        match take_address(text, utf8)? {
            (address, "") => Ok(address),
            _ => Err(AddressError::TrailingText),
        }
    }

    /// The local part as meant: no quotes, no backslashes.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Whether the address can be used without SMTPUTF8.
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii() && self.domain.is_ascii()
    }

    /// The key under which a server that ignores case in local parts looks this address up:
    /// `local@domain` in lowercase, unquoted. For our own domains only; RFC 5321 §2.4 leaves the
    /// case of a foreign local part to its host.
    #[must_use]
    pub fn lookup_key(&self) -> String {
        let mut key = self.local.to_lowercase();
        key.push('@');
        key.push_str(&self.domain.to_string().to_lowercase());
        key
    }

    /// Whether both name the same mailbox when case is ignored in local parts.
    #[must_use]
    pub fn same_mailbox(&self, other: &Address) -> bool {
        self == other || self.lookup_key() == other.lookup_key()
    }

    /// Length of the printed form, in bytes.
    fn printed_bytes(&self) -> usize {
        self.to_string().len()
    }
}

impl fmt::Display for Address {
    /// The wire form, quoted only where it must be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_dot_string(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for character in self.local.chars() {
            if matches!(character, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{character}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Parses with non-ASCII allowed.
    fn from_str(text: &str) -> Result<Address, AddressError> {
        Address::parse(text, true)
    }
}

impl Domain {
    /// Parses a whole text as a domain or an address literal.
    ///
    /// # Errors
    /// [`AddressError`]; `NeedsSmtpUtf8` for non-ASCII when `utf8` is false.
    pub fn parse(text: &str, utf8: bool) -> Result<Domain, AddressError> {
        match take_domain(text, utf8)? {
            (domain, "") => Ok(domain),
            _ => Err(AddressError::BadDomain),
        }
    }

    /// The name, unless it is an address literal.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Domain::Name(name) => Some(name),
            Domain::Ip(_) => None,
        }
    }

    fn is_ascii(&self) -> bool {
        self.name().is_none_or(str::is_ascii)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Name(name) => f.write_str(name),
            Domain::Ip(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Domain::Ip(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressError::MissingBrackets => "address must stand in angle brackets",
            AddressError::Unclosed => "no closing angle bracket behind the address",
            AddressError::MissingAt => "address has no @",
            AddressError::BadLocal => "malformed local part",
            AddressError::BadQuoted => "malformed quoted local part",
            AddressError::BadDomain => "malformed domain",
            AddressError::BadLiteral => "malformed address literal",
            AddressError::BadRoute => "malformed source route",
            AddressError::LocalTooLong => "local part longer than 64 bytes",
            AddressError::DomainTooLong => "domain longer than 255 bytes",
            AddressError::PathTooLong => "address longer than 254 bytes",
            AddressError::NeedsSmtpUtf8 => "non-ASCII address needs SMTPUTF8",
            AddressError::TrailingText => "text behind the address",
        })
    }
}

impl std::error::Error for AddressError {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// What `text` parses to, as `local|domain`, and that its printed form parses to the same.
    fn check(text: &str, expected: Result<&str, AddressError>) {
        let parsed = Address::parse(text, true);
        let shown = parsed.clone().map(|a| format!("{}|{}", a.local(), a.domain()));
        assert_eq!(shown, expected.map(str::to_owned), "{text}");
        if let Ok(address) = parsed {
            assert_eq!(Address::parse(&address.to_string(), true), Ok(address));
        }
    }

    #[test]
    fn addresses() {
        use AddressError::{BadDomain, BadLiteral, BadLocal, BadQuoted, MissingAt, TrailingText};
        check("Alice@Example.COM", Ok("Alice|example.com"));
        check("a.b+c=d@x", Ok("a.b+c=d|x"));
        check("\"john\"@x", Ok("john|x"));
        check("\"a b\\\"c\\\\\"@x", Ok("a b\"c\\|x"));
        check("\"a..b\"@x", Ok("a..b|x"));
        check("a@[192.0.2.1]", Ok("a|[192.0.2.1]"));
        check("a@[IPv6:2001:DB8::1]", Ok("a|[IPv6:2001:db8::1]"));
        check("a@[ipv6:::1]", Ok("a|[IPv6:::1]"));
        check("a@my_host.x", Ok("a|my_host.x"));
        check("grüße@bücher.example", Ok("grüße|bücher.example"));
        check("", Err(BadLocal));
        check("a", Err(MissingAt));
        check("a@", Err(BadDomain));
        check("@x", Err(BadLocal));
        check(".a@x", Err(BadLocal));
        check("a.@x", Err(BadLocal));
        check("a..b@x", Err(BadLocal));
        check("a b@x", Err(MissingAt));
        check("\"\"@x", Err(BadQuoted));
        check("\"a@x", Err(BadQuoted));
        check("\"a\0\"@x", Err(BadQuoted));
        check("\"a\\\r\"@x", Err(BadQuoted));
        check("a@x..y", Err(BadDomain));
        check("a@.x", Err(BadDomain));
        check("a@x.", Err(BadDomain));
        check("a@-x", Err(BadDomain));
        check("a@x-.y", Err(BadDomain));
        check("a@[1.2.3]", Err(BadLiteral));
        check("a@[1.2.3.4", Err(BadLiteral));
        check("a@[::1]", Err(BadLiteral));
        check("a@[IPv6:1.2.3.4]", Err(BadLiteral));
        check("a@[tag:text]", Err(BadLiteral));
        check("a@x@y", Err(TrailingText));
        check("a\u{85}@x", Err(MissingAt));
        check("a@x\u{a0}y", Err(TrailingText));
    }

    #[test]
    fn attack_12_tricky_addresses_mean_what_they_say() {
        check("\"a@b\"@c", Ok("a@b|c"));
        check("user%inner.example@outer.example", Ok("user%inner.example|outer.example"));
        check("inner!user@x", Ok("inner!user|x"));
        check("a@[127.0.0.1]", Ok("a|[127.0.0.1]"));
        assert_eq!(Address::parse("\"a@b\"@c", false).unwrap().to_string(), "\"a@b\"@c");
        for text in ["jürgen@x", "j@bücher", "\"ü\"@x"] {
            assert_eq!(Address::parse(text, false), Err(AddressError::NeedsSmtpUtf8), "{text}");
        }
        // Two spellings of the same letters stay two addresses.
        let composed = Address::parse("\u{e9}@x", true).unwrap();
        let decomposed = Address::parse("e\u{301}@x", true).unwrap();
        assert!(!composed.same_mailbox(&decomposed));
    }

    #[test]
    fn lengths() {
        let local = "l".repeat(LOCAL_BYTES_MAX);
        assert!(Address::parse(&format!("{local}@x"), false).is_ok());
        assert_eq!(Address::parse(&format!("{local}l@x"), false), Err(AddressError::LocalTooLong));
        let label = "d".repeat(LABEL_BYTES_MAX);
        assert!(Address::parse(&format!("a@{label}"), false).is_ok());
        assert_eq!(Address::parse(&format!("a@{label}d"), false), Err(AddressError::BadDomain));
        let domain = [&label[..], &label, &label, &label[..59]].join(".");
        assert!(Address::parse(&format!("a@{domain}"), false).is_ok());
        assert_eq!(
            Address::parse(&format!("ab@{domain}ddd"), false),
            Err(AddressError::PathTooLong)
        );
        assert_eq!(
            Address::parse(&format!("a@{domain}.dddd"), false),
            Err(AddressError::DomainTooLong)
        );
    }

    #[test]
    fn lookup_ignores_case_and_quotes() {
        let plain = Address::parse("Alice@example.com", false).unwrap();
        let quoted = Address::parse("\"ALICE\"@EXAMPLE.com", false).unwrap();
        assert!(plain.same_mailbox(&quoted) && plain != quoted);
        assert_eq!(plain.lookup_key(), "alice@example.com");
    }
}
