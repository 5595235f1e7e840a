//! Sets of UIDs as sorted, disjoint, inclusive ranges.

use base::Uid;
use serde::{Deserialize, Serialize};

/// A set of UIDs. Ranges are inclusive, sorted, disjoint and not adjacent, so equal sets are equal
/// values.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// From inclusive ranges in any order; a reversed range means the same as the right way round.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut sorted: Vec<_> = ranges.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
        sorted.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
        for (begin, end) in sorted {
            match merged.last_mut() {
                Some(last) if begin <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => merged.push((begin, end)),
            }
        }
        Self { ranges: merged }
    }

    /// Exactly one UID.
    pub fn single(uid: Uid) -> Self {
        Self { ranges: vec![(uid.0, uid.0)] }
    }

    /// Every UID there can be.
    pub fn all() -> Self {
        Self { ranges: vec![(1, u32::MAX)] }
    }

    /// The ranges, sorted and disjoint.
    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    /// Whether it has no UID.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether a UID is in it.
    pub fn contains(&self, uid: Uid) -> bool {
        let after = self.ranges.partition_point(|range| range.0 <= uid.0);
        after > 0 && self.ranges[after - 1].1 >= uid.0
    }

    /// How many UIDs it has.
    pub fn count(&self) -> u64 {
        self.ranges.iter().map(|(begin, end)| u64::from(end - begin) + 1).sum()
    }

    /// All UIDs in order; never call it on a set that a client made up without bounding it first.
    pub fn iter(&self) -> impl Iterator<Item = Uid> {
        self.ranges.iter().flat_map(|(begin, end)| (*begin..=*end).map(Uid))
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<T: IntoIterator<Item = Uid>>(uids: T) -> Self {
        Self::from_ranges(uids.into_iter().map(|uid| (uid.0, uid.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_merged() {
        let check = |ranges: &[(u32, u32)], expect: &[(u32, u32)]| {
            assert_eq!(UidSet::from_ranges(ranges.iter().copied()).ranges(), expect);
        };
        check(&[], &[]);
        check(&[(5, 3), (1, 2)], &[(1, 5)]);
        check(&[(1, 1), (3, 3)], &[(1, 1), (3, 3)]);
        check(&[(1, u32::MAX), (7, 9)], &[(1, u32::MAX)]);
        let set = UidSet::from_ranges([(2, 4), (10, 10)]);
        let found: Vec<u32> = (0..12).filter(|uid| set.contains(Uid(*uid))).collect();
        assert_eq!(found, [2, 3, 4, 10]);
        assert_eq!(set.count(), 4);
    }
}
