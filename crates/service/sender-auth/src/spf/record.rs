//! SPF records (RFC 7208 §4.5, §5, §6): one is read whole or not at all.

use super::SpfResult;
use super::macros::{MacroString, Place};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A record.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) directives: Vec<Directive>,
    pub(super) redirect: Option<MacroString>,
    pub(super) explanation: Option<MacroString>,
}

/// A mechanism, and what is said where it matches.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) result: SpfResult,
    pub(super) mechanism: Mechanism,
}

/// What may match (RFC 7208 §5).
#[derive(Debug)]
pub(super) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, Prefix),
    Mx(Option<MacroString>, Prefix),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(MacroString),
}

/// How many bits of an address count, for each family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

/// Whether a TXT record is an SPF record (RFC 7208 §4.5).
pub(super) fn is_spf(text: &[u8]) -> bool {
    const VERSION: &[u8] = b"v=spf1";
    text.get(..VERSION.len()).is_some_and(|start| start.eq_ignore_ascii_case(VERSION))
        && matches!(text.get(VERSION.len()), None | Some(b' '))
}

impl Record {
    /// Reads what [`is_spf`] took for a record; `None` where it has an error anywhere.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut record = Self::default();
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            if !term.bytes().all(|byte| byte.is_ascii_graphic()) {
                return None;
            }
            match term.find([':', '/', '=']).map(|at| (at, term.as_bytes()[at])) {
                Some((at, b'=')) => record.modifier(&term[..at], &term[at + 1..])?,
                _ => record.directives.push(Directive::parse(term)?),
            }
        }
        Some(record)
    }

    fn modifier(&mut self, name: &str, value: &str) -> Option<()> {
        let mut bytes = name.bytes();
        let named = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !named {
            return None;
        }
        let place = match name.to_ascii_lowercase().as_str() {
            "redirect" => &mut self.redirect,
            "exp" => &mut self.explanation,
            _ => return MacroString::parse(value, Place::Record).map(drop),
        };
        let value = MacroString::domain(value)?;
        place.replace(value).is_none().then_some(())
    }
}

impl Directive {
    fn parse(term: &str) -> Option<Self> {
        let (result, term) = match term.as_bytes().first()? {
            b'+' => (SpfResult::Pass, &term[1..]),
            b'-' => (SpfResult::Fail, &term[1..]),
            b'~' => (SpfResult::SoftFail, &term[1..]),
            b'?' => (SpfResult::Neutral, &term[1..]),
            _ => (SpfResult::Pass, term),
        };
        Mechanism::parse(term).map(|mechanism| Self { result, mechanism })
    }
}

impl Mechanism {
    fn parse(term: &str) -> Option<Self> {
        let end = term.find([':', '/']).unwrap_or(term.len());
        let (name, rest) = term.split_at(end);
        let value = rest.strip_prefix(':');
        match name.to_ascii_lowercase().as_str() {
            "all" => rest.is_empty().then_some(Self::All),
            "include" => Some(Self::Include(MacroString::domain(value?)?)),
            "exists" => Some(Self::Exists(MacroString::domain(value?)?)),
            "ptr" if rest.is_empty() => Some(Self::Ptr(None)),
            "ptr" => Some(Self::Ptr(Some(MacroString::domain(value?)?))),
            "a" => host(rest).map(|(domain, prefix)| Self::A(domain, prefix)),
            "mx" => host(rest).map(|(domain, prefix)| Self::Mx(domain, prefix)),
            "ip4" => {
                let (address, bits) = network(value?, 32)?;
                Some(Self::Ip4(address.parse().ok()?, bits))
            }
            "ip6" => {
                let (address, bits) = network(value?, 128)?;
                Some(Self::Ip6(address.parse().ok()?, bits))
            }
            _ => None,
        }
    }
}

/// `[":" domain-spec] ["/" bits] ["//" bits]`.
fn host(rest: &str) -> Option<(Option<MacroString>, Prefix)> {
    let (rest, v6) = match rest.rsplit_once("//") {
        Some((before, digits)) if is_number(digits) => (before, bits(digits, 128)?),
        _ => (rest, 128),
    };
    let (rest, v4) = match rest.rsplit_once('/') {
        Some((before, digits)) if is_number(digits) => (before, bits(digits, 32)?),
        _ => (rest, 32),
    };
    let domain = match rest {
        "" => None,
        _ => Some(MacroString::domain(rest.strip_prefix(':')?)?),
    };
    Some((domain, Prefix { v4, v6 }))
}

fn network(value: &str, max: u8) -> Option<(&str, u8)> {
    match value.split_once('/') {
        Some((address, digits)) => Some((address, bits(digits, max)?)),
        None => Some((value, max)),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number of bits, without leading zeros.
fn bits(digits: &str, max: u8) -> Option<u8> {
    let plain = is_number(digits) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|bits| plain && *bits <= max)
}
