//! Filters: a small language that says who is a member of a dynamic group (Exchange:
//! RecipientFilter, whose operators are understood too).
//!
//! ```text
//! department = 'Sales' and kind = 'user'
//! (city in ('Venice', 'Padua') or office like 'HQ*') and not title is empty
//! all users and custom3 != 'external'
//! ```
//!
//! Comparisons are without regard to case. What is not set is empty. `like` knows `*`. Nothing is
//! computed that could take long: a filter is at most [`FILTER_BYTES_MAX`] long and is tried on
//! one person at a time.

mod parse;

use crate::{Account, AccountKind, Attribute};
use base::Result;

/// The longest filter, in bytes.
pub const FILTER_BYTES_MAX: usize = 4_096;

/// How deep it may be nested.
const DEPTH_MAX: usize = 32;

/// The most values of one list.
const VALUES_MAX: usize = 200;

/// A filter that has been understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter(Term);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Term {
    Not(Box<Term>),
    /// All of these; everybody where there are none.
    And(Vec<Term>),
    /// One of these.
    Or(Vec<Term>),
    Is(Property, Test),
}

/// What is asked about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Property {
    Kind,
    /// The name for people.
    Name,
    /// Any of somebody's addresses; of a contact the external one too.
    Address,
    /// That of the primary address.
    Domain,
    Attribute(Attribute),
}

/// What is asked, in lower case.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Test {
    /// One of these; an empty one stands for what is not set.
    OneOf(Vec<String>),
    /// The parts between the stars.
    Like(Vec<String>),
}

impl Filter {
    /// Understands a filter.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with what is wrong and where.
    pub fn parse(text: &str) -> Result<Self> {
        parse::parse(text).map(Self)
    }

    /// Whether somebody is meant.
    pub fn matches(&self, account: &Account) -> bool {
        self.0.matches(account)
    }
}

impl Term {
    fn matches(&self, account: &Account) -> bool {
        match self {
            Self::Not(term) => !term.matches(account),
            Self::And(terms) => terms.iter().all(|term| term.matches(account)),
            Self::Or(terms) => terms.iter().any(|term| term.matches(account)),
            Self::Is(property, test) => property.is(account, test),
        }
    }
}

impl Property {
    fn is(self, account: &Account, test: &Test) -> bool {
        match self {
            Self::Kind => test.holds(word(account.kind)),
            Self::Name => test.holds(&account.display_name),
            Self::Domain => test.holds(&account.address.domain),
            Self::Attribute(attribute) => test.holds(account.attributes.get(attribute)),
            Self::Address => {
                let mut all = account.addresses().chain(&account.flow.external);
                all.any(|address| test.holds(&address.to_string()))
            }
        }
    }
}

impl Test {
    fn holds(&self, value: &str) -> bool {
        let value = value.to_lowercase();
        match self {
            Self::OneOf(values) => values.contains(&value),
            Self::Like(parts) => is_like(parts, &value),
        }
    }
}

/// Whether a text has these parts in this order, the first at its beginning and the last at its
/// end.
fn is_like(parts: &[String], text: &str) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_none_or(|only| only == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}

/// What an account's kind is called.
fn word(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::User => "user",
        AccountKind::Shared => "shared",
        AccountKind::Room => "room",
        AccountKind::Equipment => "equipment",
        AccountKind::Contact => "contact",
    }
}

/// All kinds, as they are called.
const KINDS: [&str; 5] = ["user", "shared", "room", "equipment", "contact"];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
