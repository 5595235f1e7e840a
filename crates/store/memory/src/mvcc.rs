//! The rows with their versions of the last seconds.

use bytes::Bytes;
use contract_store::{KeyRange, KeyValue, Page, Version};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// One key's values, oldest first; `None` = removed then.
type History = Vec<(Version, Option<Bytes>)>;

/// All rows in all versions that may still be read.
#[derive(Debug, Default)]
pub(crate) struct Mvcc {
    rows: BTreeMap<Bytes, History>,
    /// Keys that hold something superseded, and since which version, in order.
    garbage: VecDeque<(Version, Bytes)>,
}

fn at(history: &History, version: Version) -> Option<&Bytes> {
    history
        .iter()
        .rev()
        .find(|(written, _)| *written <= version)?
        .1
        .as_ref()
}

impl Mvcc {
    pub(crate) fn get(&self, key: &[u8], version: Version) -> Option<Bytes> {
        at(self.rows.get(key)?, version).cloned()
    }

    /// The first `rows` rows of a range as of `version`.
    pub(crate) fn scan(
        &self,
        range: &KeyRange,
        reverse: bool,
        rows: usize,
        version: Version,
    ) -> Page {
        if range.is_empty() {
            return Page::default();
        }
        let bounds = (
            Bound::Included(&range.begin[..]),
            Bound::Excluded(&range.end[..]),
        );
        let visible = |(key, history): (&Bytes, &History)| {
            let value = at(history, version)?.clone();
            Some(KeyValue {
                key: key.clone(),
                value,
            })
        };
        let inside = self.rows.range::<[u8], _>(bounds);
        let rows_found: Vec<KeyValue> = if reverse {
            inside.rev().filter_map(visible).take(rows).collect()
        } else {
            inside.filter_map(visible).take(rows).collect()
        };
        Page {
            more: rows_found.len() == rows,
            rows: rows_found,
        }
    }

    /// Writes (`None` removes) a key at a version not less than any before.
    pub(crate) fn write(&mut self, key: &Bytes, value: Option<Bytes>, version: Version) {
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
        if self
            .garbage
            .back()
            .is_none_or(|(at, last)| *at != version || last != key)
        {
            self.garbage.push_back((version, key.clone()));
        }
    }

    /// Removes all rows of a range.
    pub(crate) fn clear_range(&mut self, range: &KeyRange, version: Version) {
        let page = self.scan(range, false, usize::MAX, Version::MAX);
        for row in page.rows {
            self.write(&row.key, None, version);
        }
    }

    /// Forgets what nobody may read any more: versions before `floor`.
    pub(crate) fn prune(&mut self, floor: Version) {
        while let Some((_, key)) = self.garbage.pop_front_if(|(since, _)| *since <= floor) {
            let Some(history) = self.rows.get_mut(&key) else {
                continue;
            };
            let oldest = history
                .iter()
                .rposition(|(written, _)| *written <= floor)
                .unwrap_or(0);
            history.drain(..oldest);
            if matches!(history[..], [(written, None)] if written <= floor) {
                self.rows.remove(&key);
            }
        }
    }

    /// Loses everything written after `version`, as a crash does.
    pub(crate) fn lose_after(&mut self, version: Version) {
        self.rows.retain(|_, history| {
            history.retain(|(written, _)| *written <= version);
            !history.is_empty()
        });
        self.garbage.retain(|(since, _)| *since <= version);
    }
}
