//! Which keys were written since when: what a commit's reads are checked against.

use crate::{KeyRange, Version};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;

/// For every key the version of its last write, as a step function over the key space: a step
/// holds from its key to the next step. Keys before the first step were never written.
#[derive(Clone, Debug, Default)]
pub struct RecentWrites {
    steps: BTreeMap<Bytes, Version>,
}

impl RecentWrites {
    /// How many steps it takes; what memory it needs.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    fn at(&self, key: &[u8]) -> Version {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        self.steps.range::<[u8], _>(bounds).next_back().map_or(0, |(_, version)| *version)
    }

    /// Notes that `range` was written at `version`, which is not less than any noted before.
    pub fn insert(&mut self, range: &KeyRange, version: Version) {
        if range.is_empty() {
            return;
        }
        let after = self.at(&range.end);
        let bounds = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
        let inside: Vec<Bytes> =
            self.steps.range::<[u8], _>(bounds).map(|(key, _)| key.clone()).collect();
        for key in inside {
            self.steps.remove(&key);
        }
        self.steps.insert(range.begin.clone(), version);
        self.steps.insert(range.end.clone(), after);
    }

    /// Whether some key of `range` was written after `version`.
    pub fn changed_since(&self, range: &KeyRange, version: Version) -> bool {
        if range.is_empty() {
            return false;
        }
        let bounds = (Bound::Excluded(&range.begin[..]), Bound::Excluded(&range.end[..]));
        self.at(&range.begin) > version
            || self.steps.range::<[u8], _>(bounds).any(|(_, written)| *written > version)
    }

    /// Forgets writes at or before `version`: nobody may commit with an older read version.
    pub fn forget(&mut self, version: Version) {
        let mut previous = 0;
        self.steps.retain(|_, written| {
            let now = if *written <= version { 0 } else { *written };
            *written = now;
            std::mem::replace(&mut previous, now) != now
        });
    }
}
