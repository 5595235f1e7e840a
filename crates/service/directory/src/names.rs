//! Addresses as they are looked up: folded, exact, and never by resemblance.
//!
//! Two spellings are one name if and only if their folded forms are equal. A local part with a
//! character outside ASCII that folds into ASCII (the Kelvin sign folds to `k`) is nobody's name
//! at all, so that it can neither be created beside nor be taken for the plain one (attacks 12
//! and 71). Unicode is not normalised: NFC and NFD forms are different names.

use base::Address;
use std::fmt;

/// The longest local part, in bytes (RFC 5321 §4.5.3.1.1).
pub(crate) const LOCAL_BYTES_MAX: usize = 64;
/// The longest domain, in bytes (RFC 5321 §4.5.3.1.2).
pub(crate) const DOMAIN_BYTES_MAX: usize = 255;

/// A folded address.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(crate) struct Name {
    /// The domain, lower-case; first, because names are listed by domain.
    pub(crate) domain: String,
    /// The local part, lower-case.
    pub(crate) local: String,
}

impl Name {
    /// The name of an address; `None` if it can be nobody's.
    pub(crate) fn of(address: &Address) -> Option<Self> {
        let local = &address.local;
        if local.is_empty()
            || local.len() > LOCAL_BYTES_MAX
            || address.domain.len() > DOMAIN_BYTES_MAX
            || local.chars().any(folds_into_ascii)
        {
            return None;
        }
        Some(Self { domain: address.domain.to_lowercase(), local: local.to_lowercase() })
    }

    /// The user's name where this is a sub-address: `user+detail` (RFC 5233 §4).
    pub(crate) fn without_detail(&self) -> Option<Self> {
        let (user, _) = self.local.split_once('+')?;
        (!user.is_empty()).then(|| Self { domain: self.domain.clone(), local: user.to_owned() })
    }

    /// Whether this is the mailbox that every domain must have (RFC 5321 §4.5.1).
    pub(crate) fn is_postmaster(&self) -> bool {
        self.local == "postmaster"
    }

    /// Whether the address has this name.
    pub(crate) fn is_of(&self, address: &Address) -> bool {
        self.domain == address.domain && Self::of(address).is_some_and(|name| name == *self)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

/// Whether a character outside ASCII becomes one inside when it is lowered.
fn folds_into_ascii(c: char) -> bool {
    !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(local: &str) -> Option<String> {
        Name::of(&Address::new(local, "Rialto.Test")).map(|n| n.to_string())
    }

    #[test]
    fn names_fold_case() {
        assert_eq!(name("Alice").unwrap(), "alice@rialto.test");
        assert_eq!(name("ÉLODIE").unwrap(), "élodie@rialto.test");
    }

    #[test]
    fn attack_71_characters_that_fold_into_ascii_name_nobody() {
        assert_eq!(name("mar\u{212a}"), None, "Kelvin sign");
        assert_eq!(name("\u{130}vy"), None, "dotted capital I");
        assert_ne!(name("аlice"), name("alice"), "Cyrillic a is another letter");
    }

    #[test]
    fn a_detail_is_what_follows_the_first_plus() {
        let user = |local: &str| {
            let name = Name::of(&Address::new(local, "x.test")).unwrap();
            name.without_detail().map(|n| n.local)
        };
        assert_eq!(user("alice+a+b").as_deref(), Some("alice"));
        assert_eq!(user("alice+").as_deref(), Some("alice"));
        assert_eq!(user("+a"), None);
        assert_eq!(user("alice"), None);
    }
}
