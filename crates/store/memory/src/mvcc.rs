//! The rows with their versions of the last seconds.

use bytes::Bytes;
use contract_store::{KeyRange, KeyValue, Page, Version};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// One key's values, oldest first; `None` = removed then.
type History = Vec<(Version, Option<Bytes>)>;

/// All rows in all versions that may still be read.
#[derive(Debug, Default)]
pub struct Mvcc {
    rows: BTreeMap<Bytes, History>,
    /// Keys that hold something superseded, and since which version, in order.
    garbage: VecDeque<(Version, Bytes)>,
}

fn at(history: &History, version: Version) -> Option<&Bytes> {
    history.iter().rev().find(|(written, _)| *written <= version)?.1.as_ref()
}

impl Mvcc {
    /// A key's value as of `version`.
    pub fn get(&self, key: &[u8], version: Version) -> Option<Bytes> {
        at(self.rows.get(key)?, version).cloned()
    }

    /// The first `rows` rows of a range as of `version`.
    pub fn scan(&self, range: &KeyRange, reverse: bool, rows: usize, version: Version) -> Page {
        if range.is_empty() {
            return Page::default();
        }
        let bounds = (Bound::Included(&range.begin[..]), Bound::Excluded(&range.end[..]));
        let visible = |(key, history): (&Bytes, &History)| {
            let value = at(history, version)?.clone();
            Some(KeyValue { key: key.clone(), value })
        };
        let inside = self.rows.range::<[u8], _>(bounds);
        let rows_found: Vec<KeyValue> = if reverse {
            inside.rev().filter_map(visible).take(rows).collect()
        } else {
            inside.filter_map(visible).take(rows).collect()
        };
        Page { more: rows_found.len() == rows, rows: rows_found }
    }

    /// Writes (`None` removes) a key at a version not less than any before.
    pub fn write(&mut self, key: &Bytes, value: Option<Bytes>, version: Version) {
        let Some(history) = self.rows.get_mut(key) else {
            if value.is_some() {
                self.rows.insert(key.clone(), vec![(version, value)]);
            }
            return;
        };
        match history.last_mut() {
            Some(last) if last.0 == version => last.1 = value,
            _ => history.push((version, value)),
        }
        if self.garbage.back().is_none_or(|(at, last)| *at != version || last != key) {
            self.garbage.push_back((version, key.clone()));
        }
    }

    /// Removes all rows of a range.
    pub fn clear_range(&mut self, range: &KeyRange, version: Version) {
        let page = self.scan(range, false, usize::MAX, Version::MAX);
        for row in page.rows {
            self.write(&row.key, None, version);
        }
    }

    /// Forgets what nobody may read any more: versions before `floor`.
    pub fn prune(&mut self, floor: Version) {
        while let Some((_, key)) = self.garbage.pop_front_if(|(since, _)| *since <= floor) {
            let Some(history) = self.rows.get_mut(&key) else {
                continue;
            };
            let oldest = history.iter().rposition(|(written, _)| *written <= floor).unwrap_or(0);
            history.drain(..oldest);
            if matches!(history[..], [(written, None)] if written <= floor) {
                self.rows.remove(&key);
            }
        }
    }

    /// Loses everything written after `version`, as a crash does.
    pub fn lose_after(&mut self, version: Version) {
        self.rows.retain(|_, history| {
            history.retain(|(written, _)| *written <= version);
            !history.is_empty()
        });
        self.garbage.retain(|(since, _)| *since <= version);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Key `a` written at 10, 20 and 30, `b` written at 10 and removed at 20.
    fn two_keys() -> Mvcc {
        let (a, b) = (Bytes::from("a"), Bytes::from("b"));
        let mut rows = Mvcc::default();
        rows.write(&a, Some("1".into()), 10);
        rows.write(&b, Some("1".into()), 10);
        rows.write(&a, Some("2".into()), 20);
        rows.clear_range(&KeyRange::single(&b), 20);
        rows.write(&a, Some("3".into()), 30);
        rows
    }

    fn check(rows: &Mvcc, key: &str, version: Version, expected: Option<&str>) {
        let value = rows.get(key.as_bytes(), version);
        assert_eq!(value.as_deref(), expected.map(str::as_bytes), "{key} at {version}");
    }

    #[test]
    fn every_version_is_readable() {
        let rows = two_keys();
        for (version, a, b) in [
            (9, None, None),
            (10, Some("1"), Some("1")),
            (25, Some("2"), None),
            (99, Some("3"), None),
        ] {
            check(&rows, "a", version, a);
            check(&rows, "b", version, b);
            let range = KeyRange::new("a", "z");
            let seen = rows.scan(&range, false, 9, version).rows.len();
            assert_eq!(seen, usize::from(a.is_some()) + usize::from(b.is_some()));
        }
    }

    #[test]
    fn pruning_keeps_what_may_be_read_and_nothing_else() {
        let mut rows = two_keys();
        rows.prune(20);
        check(&rows, "a", 20, Some("2"));
        check(&rows, "a", 30, Some("3"));
        assert_eq!(rows.rows[&b"a"[..]].len(), 2);
        assert!(!rows.rows.contains_key(&b"b"[..]), "a removed key leaves nothing");
        rows.prune(30);
        assert_eq!(rows.rows[&b"a"[..]].len(), 1);
        assert!(rows.garbage.is_empty());
    }

    #[test]
    fn a_crash_brings_old_values_back() {
        let mut rows = two_keys();
        rows.lose_after(10);
        check(&rows, "a", 99, Some("1"));
        check(&rows, "b", 99, Some("1"));
    }
}
