//! Sequence sets (RFC 3501 §9 `sequence-set`) and the plain id sets they resolve to.
//!
//! A set is kept as ranges, sorted and merged while it is read, so `1:*` a hundred thousand times is
//! one range (attack 25) and nothing ever expands `1:4294967295`. All ranges with `*` fold into one
//! pair: `a:*` and `b:*` both contain the largest number, so their union is
//! `min(a, largest) : max(b, largest)`.

use crate::error::ParseError;
use crate::lex::Cursor;
use crate::wire::put_number;
use bytes::{BufMut, BytesMut};

/// An inclusive range of message numbers or UIDs, `1 <= first <= last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The smallest number.
    pub first: u32,
    /// The largest number.
    pub last: u32,
}

/// A set of numbers without `*`: sorted ranges that neither overlap nor touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdSet {
    ranges: Vec<IdRange>,
}

impl IdSet {
    /// The set of these ranges, in any order; zeros are left out, reversed ranges are turned.
    pub fn from_ranges(ranges: impl IntoIterator<Item = IdRange>) -> IdSet {
        let mut ranges: Vec<IdRange> = ranges
            .into_iter()
            .map(|r| IdRange { first: r.first.min(r.last).max(1), last: r.first.max(r.last) })
            .filter(|r| r.last > 0)
            .collect();
        if !ranges.is_sorted_by_key(|r| r.first) {
            ranges.sort_unstable_by_key(|r| r.first);
        }
        let mut merged = 0;
        for index in 1..ranges.len() {
            let next = ranges[index];
            if next.first <= ranges[merged].last.saturating_add(1) {
                ranges[merged].last = ranges[merged].last.max(next.last);
            } else {
                merged += 1;
                ranges[merged] = next;
            }
        }
        ranges.truncate(merged + 1);
        IdSet { ranges }
    }

    /// The set of these numbers, in any order.
    pub fn from_ids(ids: impl IntoIterator<Item = u32>) -> IdSet {
        let mut ranges: Vec<IdRange> = Vec::new();
        for id in ids {
            match ranges.last_mut() {
                Some(range) if range.last.checked_add(1) == Some(id) => range.last = id,
                _ => ranges.push(IdRange { first: id, last: id }),
            }
        }
        IdSet::from_ranges(ranges)
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[IdRange] {
        &self.ranges
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether the number is in the set; O(log ranges).
    pub fn contains(&self, id: u32) -> bool {
        let after = self.ranges.partition_point(|range| range.first <= id);
        after > 0 && self.ranges[after - 1].last >= id
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|r| u64::from(r.last) - u64::from(r.first) + 1).sum()
    }

    /// The largest number.
    pub fn max(&self) -> Option<u32> {
        self.ranges.last().map(|range| range.last)
    }

    /// The numbers of the set that lie in `first..=last`: the way to walk `1:4294967295` over the
    /// few messages that exist.
    pub fn within(&self, first: u32, last: u32) -> impl Iterator<Item = u32> + '_ {
        self.ranges
            .iter()
            .map(move |range| (range.first.max(first), range.last.min(last)))
            .filter(|(first, last)| first <= last)
            .flat_map(|(first, last)| first..=last)
    }
}

/// All ranges with `*`: `[min(low, largest), max(high, largest)]`. A lone `*` is (MAX, 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Star {
    low: u32,
    high: u32,
}

const LONE_STAR: Star = Star { low: u32::MAX, high: 1 };

/// A sequence set as a client wrote it, normalised; never empty when parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceSet {
    fixed: IdSet,
    star: Option<Star>,
    /// `$`, which stands alone.
    saved: bool,
}

impl SequenceSet {
    /// `first:*`.
    pub fn from_number_on(first: u32) -> SequenceSet {
        let first = first.max(1);
        SequenceSet { star: Some(Star { low: first, high: first }), ..SequenceSet::default() }
    }

    /// `*`, the largest number in use.
    pub fn largest() -> SequenceSet {
        SequenceSet { star: Some(LONE_STAR), ..SequenceSet::default() }
    }

    /// `$`, the saved result of a SEARCH (RFC 5182 §2.1).
    pub fn saved() -> SequenceSet {
        SequenceSet { saved: true, ..SequenceSet::default() }
    }

    /// Whether this is `$`. It resolves to nothing by itself: the session knows what it means.
    pub fn is_saved(&self) -> bool {
        self.saved
    }

    /// The union of two sets; that of `$` and another is `$`, since it stands alone.
    pub fn union(self, other: SequenceSet) -> SequenceSet {
        let fixed = self.fixed.ranges.into_iter().chain(other.fixed.ranges);
        let star = match (self.star, other.star) {
            (Some(a), Some(b)) => Some(Star { low: a.low.min(b.low), high: a.high.max(b.high) }),
            (a, b) => a.or(b),
        };
        SequenceSet { fixed: IdSet::from_ranges(fixed), star, saved: self.saved || other.saved }
    }

    /// The numbers meant when `largest` is the largest message number or UID; `*` in an empty
    /// mailbox (`largest` 0) means nothing.
    pub fn resolve(&self, largest: u32) -> IdSet {
        let star = self
            .star
            .filter(|_| largest > 0)
            .map(|star| IdRange { first: star.low.min(largest), last: star.high.max(largest) });
        match star {
            None => self.fixed.clone(),
            Some(star) => IdSet::from_ranges(self.fixed.ranges.iter().copied().chain([star])),
        }
    }

    /// The part without `*`; message numbers in it that do not exist are the client's mistake.
    pub fn fixed(&self) -> &IdSet {
        &self.fixed
    }

    /// Whether `*` occurs.
    pub fn has_star(&self) -> bool {
        self.star.is_some()
    }

    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<SequenceSet, ParseError> {
        if cursor.eat(b'$') {
            return Ok(SequenceSet::saved());
        }
        let mut fixed = Vec::new();
        let mut star: Option<Star> = None;
        loop {
            let first = sequence_number(cursor)?;
            let last = if cursor.eat(b':') { sequence_number(cursor)? } else { first };
            let with_star = match (first, last) {
                (Some(first), Some(last)) => {
                    fixed.push(IdRange { first, last });
                    None
                }
                (None, None) => Some(LONE_STAR),
                (Some(n), None) | (None, Some(n)) => Some(Star { low: n, high: n }),
            };
            if let Some(new) = with_star {
                let old = star.unwrap_or(new);
                star = Some(Star { low: old.low.min(new.low), high: old.high.max(new.high) });
            }
            if !cursor.eat(b',') {
                return Ok(SequenceSet { fixed: IdSet::from_ranges(fixed), star, saved: false });
            }
        }
    }

    /// A set of plain numbers: neither `*` nor `$` (RFC 7162 §7 `known-uids`).
    pub(crate) fn parse_plain(
        cursor: &mut Cursor<'_>,
        what: &'static str,
    ) -> Result<IdSet, ParseError> {
        let at = cursor.mark();
        let set = SequenceSet::parse(cursor)?;
        if set.saved || set.star.is_some() {
            return Err(cursor.error_at(at, what));
        }
        Ok(set.fixed)
    }

    pub(crate) fn encode(&self, out: &mut BytesMut) {
        if self.saved {
            out.put_u8(b'$');
            return;
        }
        put_ranges(out, self.fixed.ranges());
        let Some(star) = self.star else { return };
        if !self.fixed.is_empty() {
            out.put_u8(b',');
        }
        if star == LONE_STAR {
            out.put_u8(b'*');
            return;
        }
        put_number(out, u64::from(star.low));
        out.put_slice(b":*");
        if star.high != star.low {
            out.put_u8(b',');
            // The union of `*` and `low:*` is low's own range, so high is a number of its own.
            put_number(out, u64::from(star.high));
            out.put_slice(b":*");
        }
    }
}

impl From<IdSet> for SequenceSet {
    fn from(fixed: IdSet) -> SequenceSet {
        SequenceSet { fixed, ..SequenceSet::default() }
    }
}

/// A number, or `None` for `*`.
fn sequence_number(cursor: &mut Cursor<'_>) -> Result<Option<u32>, ParseError> {
    if cursor.eat(b'*') { Ok(None) } else { cursor.nz_number("a message number").map(Some) }
}

/// `1,3:5` in the order given, as COPYUID needs it (RFC 4315 §3: positions correspond).
pub(crate) fn put_ranges(out: &mut BytesMut, ranges: &[IdRange]) {
    for (index, range) in ranges.iter().enumerate() {
        if index > 0 {
            out.put_u8(b',');
        }
        put_number(out, u64::from(range.first));
        if range.last != range.first {
            out.put_u8(b':');
            put_number(out, u64::from(range.last));
        }
    }
}
