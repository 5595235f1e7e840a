//! The command tag (RFC 3501 §2.2.1), checked so that echoing it can inject nothing (attack 29).

use crate::lex::is_astring_char;
use crate::limits::MAX_TAG_BYTES;
use bytes::Bytes;
use std::fmt;

/// A valid tag: 1 to 255 ASTRING-CHARs without `+`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(Bytes);

impl Tag {
    /// Checks a tag; `None` if it is empty, too long or holds a forbidden character.
    pub fn new(bytes: impl Into<Bytes>) -> Option<Tag> {
        let bytes = bytes.into();
        let valid = !bytes.is_empty()
            && bytes.len() <= MAX_TAG_BYTES
            && bytes.iter().all(|&b| is_astring_char(b) && b != b'+');
        valid.then_some(Tag(bytes))
    }

    /// The tag as sent; plain ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&b| fmt::Write::write_char(f, char::from(b)))
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}
