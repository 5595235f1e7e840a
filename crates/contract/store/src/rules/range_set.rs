//! A set of keys as disjoint half-open ranges: conflict ranges, cleared ranges, unreadable ranges.

use crate::KeyRange;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Disjoint, merged, ordered ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RangeSet {
    /// From each begin to its end.
    ranges: BTreeMap<Bytes, Bytes>,
    payload_bytes: usize,
}

impl RangeSet {
    /// Whether no key is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many separate ranges there are.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// The ranges in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = KeyRange> + '_ {
        self.ranges.iter().map(|(b, e)| KeyRange { begin: b.clone(), end: e.clone() })
    }

    /// The bytes of all begins and ends.
    pub fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    fn put(&mut self, begin: Bytes, end: Bytes) {
        self.payload_bytes += begin.len() + end.len();
        self.ranges.insert(begin, end);
    }

    fn take(&mut self, begin: &Bytes, end: &Bytes) {
        self.payload_bytes -= begin.len() + end.len();
        self.ranges.remove(begin);
    }

    /// Adds a range; an empty one adds nothing.
    pub fn insert(&mut self, range: &KeyRange) {
        if range.is_empty() {
            return;
        }
        let (mut begin, mut end) = (range.begin.clone(), range.end.clone());
        // Ranges that touch or overlap: those that begin no later than our end, from the back.
        while let Some((b, e)) = self.ranges.range(..=end.clone()).next_back() {
            if *e < begin {
                break;
            }
            let (b, e) = (b.clone(), e.clone());
            self.take(&b, &e);
            begin = begin.min(b);
            end = end.max(e);
        }
        self.put(begin, end);
    }

    /// Takes a range out.
    pub fn remove(&mut self, range: &KeyRange) {
        if range.is_empty() {
            return;
        }
        while let Some((b, e)) = self.before(&range.end) {
            if e <= range.begin {
                break;
            }
            self.take(&b, &e);
            if e > range.end {
                self.put(range.end.clone(), e);
            }
            if b < range.begin {
                self.put(b, range.begin.clone());
            }
        }
    }

    /// The last range that begins before `key`.
    fn before(&self, key: &Bytes) -> Option<(Bytes, Bytes)> {
        let bounds = (Bound::Unbounded, Bound::Excluded(key));
        self.ranges.range::<Bytes, _>(bounds).next_back().map(|(b, e)| (b.clone(), e.clone()))
    }

    /// The range that holds `key`.
    pub fn covering(&self, key: &[u8]) -> Option<KeyRange> {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        let (begin, end) = self.ranges.range::<[u8], _>(bounds).next_back()?;
        (key < &end[..]).then(|| KeyRange { begin: begin.clone(), end: end.clone() })
    }

    /// Whether `key` is in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        self.ranges.range::<[u8], _>(bounds).next_back().is_some_and(|(_, end)| key < &end[..])
    }

    /// Whether some key of `range` is in it.
    pub fn intersects(&self, range: &KeyRange) -> bool {
        !range.is_empty() && self.before(&range.end).is_some_and(|(_, end)| end > range.begin)
    }

    /// The parts of `range` that are not in the set.
    pub fn gaps(&self, range: &KeyRange) -> Vec<KeyRange> {
        let mut gaps = Vec::new();
        let mut at = range.begin.clone();
        if let Some(first) = self.covering(&range.begin) {
            at = first.end;
        }
        let bounds = (Bound::Excluded(&range.begin[..]), Bound::Excluded(&range.end[..]));
        if range.begin < range.end {
            for (begin, end) in self.ranges.range::<[u8], _>(bounds) {
                gaps.push(KeyRange { begin: at, end: begin.clone() });
                at = end.clone();
            }
        }
        gaps.push(KeyRange { begin: at, end: range.end.clone() });
        gaps.retain(|gap| !gap.is_empty());
        gaps
    }
}

impl FromIterator<KeyRange> for RangeSet {
    fn from_iter<I: IntoIterator<Item = KeyRange>>(ranges: I) -> Self {
        let mut set = Self::default();
        ranges.into_iter().for_each(|range| set.insert(&range));
        set
    }
}
