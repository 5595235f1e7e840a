//! Ranges, selectors and pages.

use bytes::Bytes;

/// A half-open range of keys, `begin..end`.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct KeyRange {
    /// The first key that is in.
    pub begin: Bytes,
    /// The first key that is out.
    pub end: Bytes,
}

impl KeyRange {
    /// From `begin` to just before `end`.
    pub fn new(begin: impl Into<Bytes>, end: impl Into<Bytes>) -> Self {
        Self { begin: begin.into(), end: end.into() }
    }

    /// Exactly one key.
    pub fn single(key: &[u8]) -> Self {
        let mut end = Vec::with_capacity(key.len() + 1);
        end.extend_from_slice(key);
        end.push(0);
        Self { begin: Bytes::copy_from_slice(key), end: end.into() }
    }

    /// All keys that begin with `prefix` (the prefix itself among them).
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { begin: Bytes::copy_from_slice(prefix), end: after_prefix(prefix).into() }
    }

    /// Whether no key can be in it.
    pub fn is_empty(&self) -> bool {
        self.begin >= self.end
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= &self.begin[..] && key < &self.end[..]
    }
}

/// The first key after all keys with this prefix; `\xff` if there is none.
fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let kept = prefix.iter().rposition(|byte| *byte != 0xff);
    match kept {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end
        }
        None => vec![0xff],
    }
}

/// Names a key by its neighbourhood: the key `offset` places after the last key that is less than
/// (or, with `or_equal`, equal to) `key`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeySelector {
    /// The reference key.
    pub key: Bytes,
    /// Whether the reference key itself counts as "before".
    pub or_equal: bool,
    /// How many keys further (or back).
    pub offset: i32,
}

impl KeySelector {
    /// The first key greater than or equal to `key`.
    pub fn first_greater_or_equal(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), or_equal: false, offset: 1 }
    }

    /// The first key greater than `key`.
    pub fn first_greater_than(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), or_equal: true, offset: 1 }
    }

    /// The last key less than or equal to `key`.
    pub fn last_less_or_equal(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), or_equal: true, offset: 0 }
    }

    /// The last key less than `key`.
    pub fn last_less_than(key: impl Into<Bytes>) -> Self {
        Self { key: key.into(), or_equal: false, offset: 0 }
    }
}

/// One row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
}

/// What a range read asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeRead {
    /// Where it begins (inclusive after resolving).
    pub begin: KeySelector,
    /// Where it ends (exclusive after resolving).
    pub end: KeySelector,
    /// At most so many rows; 0 means no limit.
    pub limit: usize,
    /// A page ends after about so many bytes of keys and values; 0 means the backend's choice.
    pub target_bytes: usize,
    /// From the end to the beginning.
    pub reverse: bool,
}

impl RangeRead {
    /// All rows of a range, in ascending order.
    pub fn all(range: &KeyRange) -> Self {
        Self {
            begin: KeySelector::first_greater_or_equal(range.begin.clone()),
            end: KeySelector::first_greater_or_equal(range.end.clone()),
            limit: 0,
            target_bytes: 0,
            reverse: false,
        }
    }

    /// At most `limit` rows.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Descending order.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// The read that continues after a page, if there is more to come. The limit is reduced by
    /// what the page brought.
    pub fn after(&self, page: &Page) -> Option<Self> {
        if !page.more || (self.limit != 0 && page.rows.len() >= self.limit) {
            return None;
        }
        let mut next = self.clone();
        if self.limit != 0 {
            next.limit -= page.rows.len();
        }
        if let Some(last) = page.rows.last() {
            if self.reverse {
                next.end = KeySelector::first_greater_or_equal(last.key.clone());
            } else {
                next.begin = KeySelector::first_greater_than(last.key.clone());
            }
        }
        Some(next)
    }
}

/// One page of a range read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Page {
    /// The rows, in the order that was asked for.
    pub rows: Vec<KeyValue>,
    /// Whether there may be more.
    pub more: bool,
}
