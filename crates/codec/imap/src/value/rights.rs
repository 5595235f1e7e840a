//! Rights of RFC 4314 §2: a set of lower-case letters and digits.

use crate::error::ParseError;
use crate::lex::Cursor;
use std::fmt;

/// The letters in the order in which they are printed: the standard ones as RFC 4314 §2.1 lists
/// them, then the obsolete two, then all others.
const ORDER: &[u8; 36] = b"lrswipkxteacdbfghjmnoquvyz0123456789";

/// A set of rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u64);

impl Rights {
    /// No right at all.
    pub const NONE: Rights = Rights(0);

    /// The rights of these letters; what is no right is passed over.
    pub fn of(letters: &str) -> Rights {
        letters.bytes().fold(Rights::NONE, |rights, letter| match place(letter) {
            Some(place) => Rights(rights.0 | 1 << place),
            None => rights,
        })
    }

    /// Whether the right of a letter is in the set.
    pub fn has(self, letter: char) -> bool {
        u8::try_from(letter).ok().and_then(place).is_some_and(|place| self.0 >> place & 1 == 1)
    }

    /// Those of either.
    #[must_use]
    pub fn union(self, other: Rights) -> Rights {
        Rights(self.0 | other.0)
    }

    /// These without the others.
    #[must_use]
    pub fn without(self, other: Rights) -> Rights {
        Rights(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Reads the bytes of an argument.
    pub(crate) fn read(cursor: &Cursor<'_>, bytes: &[u8]) -> Result<Rights, ParseError> {
        let mut rights = Rights::NONE;
        for &letter in bytes {
            let place = place(letter).ok_or_else(|| cursor.error("rights as small letters"))?;
            rights.0 |= 1 << place;
        }
        Ok(rights)
    }
}

fn place(letter: u8) -> Option<usize> {
    ORDER.iter().position(|known| *known == letter)
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = ORDER.iter().enumerate().filter(|(place, _)| self.0 >> place & 1 == 1);
        letters.map(|(_, letter)| char::from(*letter)).try_for_each(|c| write!(f, "{c}"))
    }
}
