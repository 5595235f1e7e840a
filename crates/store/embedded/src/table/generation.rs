//! One layer of committed versions in memory: keys with their versions, and cleared ranges.
//!
//! Cleared ranges are kept as ranges, so that clearing a million rows costs nothing here. They are
//! cut into disjoint fragments, each with the versions at which it was cleared. Within one version
//! a key's own entry stands above a clear: the committer has worked out the order before.

use crate::wal::Position;
use bytes::Bytes;
use contract_store::{KeyRange, Version};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};

/// What an entry costs beside its bytes; an estimate for deciding when to freeze.
const ENTRY_BYTES: usize = 96;

/// What one group of commits leaves behind: for each key its last value, and what was cleared.
/// Keys stand above cleared ranges.
#[derive(Debug, Default)]
pub(crate) struct Effect {
    pub(crate) keys: BTreeMap<Bytes, Option<Bytes>>,
    pub(crate) cleared: contract_store::rules::RangeSet,
}

/// The answer of one layer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Value(Bytes),
    Removed,
    /// Ask the next older layer.
    Nothing,
}

/// See the module's words.
pub(crate) struct Generation {
    inner: RwLock<Inner>,
    any_cleared: AtomicBool,
}

#[derive(Default)]
struct Inner {
    keys: BTreeMap<Bytes, Versions>,
    /// From each fragment's begin to its end and versions (ascending).
    cleared: BTreeMap<Bytes, Fragment>,
    bytes: usize,
    last: Option<Last>,
}

/// Where a generation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    /// The last version in it.
    pub(crate) version: Version,
    /// The end of that version's record in the log.
    pub(crate) position: Position,
    /// Bytes of log that had been written by then.
    pub(crate) written: u64,
}

struct Versions {
    newest: (Version, Option<Bytes>),
    /// Ascending.
    older: Vec<(Version, Option<Bytes>)>,
}

#[derive(Clone)]
struct Fragment {
    end: Bytes,
    versions: Vec<Version>,
}

impl Versions {
    fn at(&self, version: Version) -> Option<&(Version, Option<Bytes>)> {
        if self.newest.0 <= version {
            return Some(&self.newest);
        }
        let count = self.older.partition_point(|(at, _)| *at <= version);
        count.checked_sub(1).map(|index| &self.older[index])
    }
}

impl Fragment {
    fn at(&self, version: Version) -> Option<Version> {
        let count = self.versions.partition_point(|at| *at <= version);
        count.checked_sub(1).map(|index| self.versions[index])
    }
}

/// One entry of a chunk: what the layer has for a key.
pub(crate) struct Entry {
    pub(crate) key: Bytes,
    pub(crate) version: Version,
    pub(crate) value: Option<Bytes>,
}

impl Generation {
    pub(crate) fn new() -> Self {
        Self { inner: RwLock::new(Inner::default()), any_cleared: AtomicBool::new(false) }
    }

    /// Adds the effect of one version, which is greater than all before.
    pub(crate) fn publish(&self, effect: &Effect, last: Last) {
        let mut guard = self.inner.write();
        let inner = &mut *guard;
        if !effect.cleared.is_empty() {
            self.any_cleared.store(true, Ordering::Release);
        }
        for range in effect.cleared.iter() {
            inner.clear(&range, last.version);
        }
        for (key, value) in &effect.keys {
            inner.write(key.clone(), value.clone(), last.version);
        }
        inner.last = Some(last);
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.inner.read().bytes
    }

    /// Where it ends; `None` while it is empty.
    pub(crate) fn last(&self) -> Option<Last> {
        self.inner.read().last
    }

    /// What the layer knows about a key at a version.
    pub(crate) fn get(&self, key: &[u8], version: Version) -> Found {
        let inner = self.inner.read();
        let entry = inner.keys.get(key).and_then(|versions| versions.at(version));
        let cleared = inner.covering(key).and_then(|(_, fragment)| fragment.at(version));
        match (entry, cleared) {
            (Some((at, _)), Some(cleared)) if cleared > *at => Found::Removed,
            (Some((_, Some(value))), _) => Found::Value(value.clone()),
            (Some((_, None)), _) | (None, Some(_)) => Found::Removed,
            (None, None) => Found::Nothing,
        }
    }

    /// The fragment that hides `key` from older layers at a version, and the version of it.
    pub(crate) fn cleared_at(&self, key: &[u8], version: Version) -> Option<(KeyRange, Version)> {
        if !self.any_cleared.load(Ordering::Acquire) {
            return None;
        }
        let inner = self.inner.read();
        let (begin, fragment) = inner.covering(key)?;
        let at = fragment.at(version)?;
        Some((KeyRange { begin: begin.clone(), end: fragment.end.clone() }, at))
    }

    /// Up to `count` keys of a window with their newest entry not after `version`.
    pub(crate) fn chunk(
        &self,
        window: &KeyRange,
        version: Version,
        reverse: bool,
        count: usize,
    ) -> Vec<Entry> {
        if window.is_empty() {
            return Vec::new();
        }
        let inner = self.inner.read();
        let bounds = (Bound::Included(&window.begin[..]), Bound::Excluded(&window.end[..]));
        let range = inner.keys.range::<[u8], _>(bounds);
        let entry = |(key, versions): (&Bytes, &Versions)| {
            let (version, value) = versions.at(version)?;
            Some(Entry { key: key.clone(), version: *version, value: value.clone() })
        };
        if reverse {
            range.rev().filter_map(entry).take(count).collect()
        } else {
            range.filter_map(entry).take(count).collect()
        }
    }

    /// Calls `clear` for each range and then `write` for each key, so that doing the same to the
    /// layer below leaves it as this one's newest version.
    pub(crate) fn drain_into<E>(
        &self,
        mut clear: impl FnMut(&Bytes, &Bytes) -> Result<(), E>,
        mut write: impl FnMut(&Bytes, Option<&Bytes>) -> Result<(), E>,
    ) -> Result<(), E> {
        let inner = self.inner.read();
        for (begin, fragment) in &inner.cleared {
            clear(begin, &fragment.end)?;
        }
        for (key, versions) in &inner.keys {
            let cleared = inner.covering(key).and_then(|(_, f)| f.versions.last().copied());
            match cleared {
                Some(at) if at > versions.newest.0 => {}
                Some(_) if versions.newest.1.is_none() => {}
                _ => write(key, versions.newest.1.as_ref())?,
            }
        }
        Ok(())
    }
}

impl Inner {
    fn write(&mut self, key: Bytes, value: Option<Bytes>, version: Version) {
        self.bytes += ENTRY_BYTES + key.len() + value.as_ref().map_or(0, Bytes::len);
        match self.keys.get_mut(&key) {
            Some(versions) => {
                let before = std::mem::replace(&mut versions.newest, (version, value));
                versions.older.push(before);
            }
            None => {
                let versions = Versions { newest: (version, value), older: Vec::new() };
                self.keys.insert(key, versions);
            }
        }
    }

    fn covering(&self, key: &[u8]) -> Option<(&Bytes, &Fragment)> {
        let bounds = (Bound::Unbounded, Bound::Included(key));
        let (begin, fragment) = self.cleared.range::<[u8], _>(bounds).next_back()?;
        (key < &fragment.end[..]).then_some((begin, fragment))
    }

    /// Notes that a range was cleared: cuts the fragments at its ends, adds the version to those
    /// inside and fills the gaps.
    fn clear(&mut self, range: &KeyRange, version: Version) {
        self.split_at(&range.begin);
        self.split_at(&range.end);
        let bounds = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
        let mut at = range.begin.clone();
        let mut gaps = Vec::new();
        for (begin, fragment) in self.cleared.range_mut::<[u8], _>(bounds) {
            if at < *begin {
                gaps.push((at.clone(), begin.clone()));
            }
            fragment.versions.push(version);
            self.bytes += 8;
            at = fragment.end.clone();
        }
        if at < range.end {
            gaps.push((at, range.end.clone()));
        }
        for (begin, end) in gaps {
            self.bytes += ENTRY_BYTES + begin.len() + end.len();
            self.cleared.insert(begin, Fragment { end, versions: vec![version] });
        }
    }

    fn split_at(&mut self, key: &Bytes) {
        let bounds = (Bound::Unbounded, Bound::Excluded(key));
        let Some((_, fragment)) = self.cleared.range_mut::<Bytes, _>(bounds).next_back() else {
            return;
        };
        if fragment.end <= *key {
            return;
        }
        let behind = fragment.clone();
        fragment.end = key.clone();
        self.bytes += ENTRY_BYTES + 8 * behind.versions.len();
        self.cleared.insert(key.clone(), behind);
    }
}
