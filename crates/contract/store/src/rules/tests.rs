//! The rules against plain models of themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use super::*;
use crate::{
    AtomicOp, Isolation, KeyRange, KeySelector, KeyValue, Page, RangeRead, StoreError, StoreResult,
};
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Keys of one byte, so that ranges meet often.
fn range(ends: (u8, u8)) -> KeyRange {
    KeyRange::new(vec![ends.0], vec![ends.1])
}

fn inside(ends: (u8, u8)) -> impl Iterator<Item = u8> {
    ends.0..ends.1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_range_set_is_a_set_of_keys(
        edits in prop::collection::vec((any::<bool>(), (0_u8..30, 0_u8..30)), 0..20),
        asked in (0_u8..30, 0_u8..30),
    ) {
        let (mut set, mut model) = (RangeSet::default(), BTreeSet::new());
        for (add, ends) in edits {
            if add {
                set.insert(&range(ends));
                model.extend(inside(ends));
            } else {
                set.remove(&range(ends));
                model.retain(|key| !inside(ends).any(|k| k == *key));
            }
        }
        for key in 0..30_u8 {
            prop_assert_eq!(set.contains(&[key]), model.contains(&key));
            prop_assert_eq!(set.covering(&[key]).is_some(), model.contains(&key));
        }
        let gaps: RangeSet = set.gaps(&range(asked)).into_iter().collect();
        for key in 0..30_u8 {
            let expected = inside(asked).any(|k| k == key) && !model.contains(&key);
            prop_assert_eq!(gaps.contains(&[key]), expected);
        }
        prop_assert_eq!(set.intersects(&range(asked)), inside(asked).any(|k| model.contains(&k)));
        let bytes: usize = set.iter().map(|r| r.begin.len() + r.end.len()).sum();
        prop_assert_eq!(set.payload_bytes(), bytes);
        let separate = set.iter().zip(set.iter().skip(1)).all(|(a, b)| a.end < b.begin);
        prop_assert!(separate, "ranges that touch are one");
    }

    #[test]
    fn recent_writes_know_the_last_write(
        writes in prop::collection::vec((0_u8..30, 0_u8..30), 0..30),
        asked in (0_u8..30, 0_u8..30),
        since in 0_i64..40,
        forgotten in 0_i64..40,
    ) {
        let (mut recent, mut model) = (RecentWrites::default(), [0_i64; 30]);
        for (number, ends) in writes.into_iter().enumerate() {
            recent.insert(&range(ends), number as i64 + 1);
            inside(ends).for_each(|key| model[usize::from(key)] = number as i64 + 1);
        }
        let since = since.max(forgotten);
        recent.forget(forgotten);
        let expected = inside(asked).any(|key| model[usize::from(key)] > since);
        prop_assert_eq!(recent.changed_since(&range(asked), since), expected);
    }

    #[test]
    fn a_transaction_reads_its_own_writes(
        rows in prop::collection::btree_map(0_u8..30, any::<u8>(), 0..20),
        edits in prop::collection::vec((0_u8..4, 0_u8..30, 0_u8..30), 0..12),
        asked in (0_u8..30, 0_u8..30),
        limit in 0_usize..6,
        reverse in any::<bool>(),
        offset in -4_i32..5,
    ) {
        let base = Rows(rows.iter().map(|(k, v)| (vec![*k], vec![*v])).collect());
        let mut state = TransactionState::default();
        let mut model = base.0.clone();
        for (kind, key, other) in edits {
            edit(&mut state, &mut model, kind, key, other);
        }
        for key in 0..30_u8 {
            let value = state.get(&base, &[key], Isolation::Serializable).unwrap();
            prop_assert_eq!(value.as_deref(), model.get(&[key][..]).map(|v| &v[..]));
        }
        let read = RangeRead { reverse, ..RangeRead::all(&range(asked)).limit(limit) };
        let expected = model_range(&model, asked, limit, reverse);
        prop_assert_eq!(all_pages(&mut state, &base, read), expected);
        let selector = KeySelector { key: vec![asked.0].into(), or_equal: reverse, offset };
        let found = state.get_key(&base, &selector, Isolation::Serializable).unwrap();
        prop_assert_eq!(found, model_key(&model, asked.0, reverse, offset));
    }

    #[test]
    fn what_a_read_does_not_conflict_with_cannot_change_it(
        rows in prop::collection::btree_map(0_u8..30, any::<u8>(), 0..20),
        edits in prop::collection::vec((0_u8..4, 0_u8..30, 0_u8..30), 0..6),
        selectors in (random_selector(), random_selector()),
        limit in 0_usize..6,
        reverse in any::<bool>(),
        one_key in any::<bool>(),
        others in prop::collection::vec(prop::option::of(any::<u8>()), 30),
    ) {
        let (begin, end) = selectors;
        let read = RangeRead { begin, end, limit, target_bytes: 0, reverse };
        let mut base = Rows(rows.iter().map(|(k, v)| (vec![*k], vec![*v])).collect());
        let (before, conflicts) = seen_and_conflicts(&base, &edits, &read, one_key);
        for (key, other) in others.into_iter().enumerate() {
            let key = vec![key as u8];
            match other {
                _ if conflicts.contains(&key) => continue,
                Some(other) => drop(base.0.insert(key, vec![other])),
                None => drop(base.0.remove(&key)),
            }
        }
        let (after, _) = seen_and_conflicts(&base, &edits, &read, one_key);
        prop_assert_eq!(before, after, "conflicts {:?}", conflicts);
    }
}

fn random_selector() -> impl Strategy<Value = KeySelector> {
    (0_u8..30, any::<bool>(), -4_i32..6).prop_map(|(key, or_equal, offset)| KeySelector {
        key: vec![key].into(),
        or_equal,
        offset,
    })
}

/// What a fresh transaction with these writes reads, and its conflict ranges. Pages stop after
/// four rows.
fn seen_and_conflicts(
    base: &Rows,
    edits: &[(u8, u8, u8)],
    read: &RangeRead,
    one_key: bool,
) -> (String, RangeSet) {
    let mut state = TransactionState::default();
    for (kind, key, other) in edits {
        edit(&mut state, &mut BTreeMap::new(), *kind, *key, *other);
    }
    let seen = if one_key {
        format!("{:?}", state.get_key(base, &read.begin, Isolation::Serializable))
    } else {
        format!("{:?}", state.get_range(base, read, Isolation::Serializable, 4))
    };
    (seen, state.begin_commit().unwrap().reads)
}

/// A snapshot that gives small pages.
struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);

impl Snapshot for Rows {
    fn get(&self, key: &[u8]) -> StoreResult<Option<Bytes>> {
        Ok(self.0.get(key).map(|value| Bytes::copy_from_slice(value)))
    }

    fn scan(&self, range: &KeyRange, reverse: bool, rows: usize) -> StoreResult<Page> {
        let row = |(key, value): (&Vec<u8>, &Vec<u8>)| KeyValue {
            key: Bytes::copy_from_slice(key),
            value: Bytes::copy_from_slice(value),
        };
        let mut found: Vec<_> =
            self.0.iter().filter(|(key, _)| range.contains(key)).map(row).collect();
        if reverse {
            found.reverse();
        }
        let rows = rows.min(3);
        let more = found.len() > rows;
        found.truncate(rows);
        Ok(Page { rows: found, more })
    }
}

fn edit(
    state: &mut TransactionState,
    model: &mut BTreeMap<Vec<u8>, Vec<u8>>,
    kind: u8,
    key: u8,
    other: u8,
) {
    match kind {
        0 => {
            state.set(&[key], &[other]);
            model.insert(vec![key], vec![other]);
        }
        1 => {
            state.clear(&[key]);
            model.remove(&vec![key]);
        }
        2 if key <= other => {
            state.clear_range(&range((key, other)));
            model.retain(|k, _| !(key..other).contains(&k[0]));
        }
        2 => {}
        _ => {
            state.atomic(AtomicOp::AppendIfFits, &[key], &[other]);
            model.entry(vec![key]).or_default().push(other);
        }
    }
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn all_pages(state: &mut TransactionState, base: &Rows, read: RangeRead) -> Pairs {
    let (mut next, mut rows) = (Some(read), Vec::new());
    while let Some(read) = next {
        let page = state.get_range(base, &read, Isolation::Serializable, 2).unwrap();
        next = read.after(&page);
        rows.extend(page.rows.iter().map(|row| (row.key.to_vec(), row.value.to_vec())));
    }
    rows
}

fn model_range(
    model: &BTreeMap<Vec<u8>, Vec<u8>>,
    asked: (u8, u8),
    limit: usize,
    reverse: bool,
) -> Pairs {
    let asked = range(asked);
    let mut rows: Pairs = model
        .iter()
        .filter(|(k, _)| asked.contains(k))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    if reverse {
        rows.reverse();
    }
    rows.truncate(if limit == 0 { usize::MAX } else { limit });
    rows
}

fn model_key(model: &BTreeMap<Vec<u8>, Vec<u8>>, key: u8, or_equal: bool, offset: i32) -> Bytes {
    let keys: Vec<_> = model.keys().collect();
    let before = keys.iter().filter(|k| k[0] < key || (or_equal && k[0] == key)).count();
    let place = before as i64 - 1 + i64::from(offset);
    match usize::try_from(place) {
        Err(_) => Bytes::new(),
        Ok(place) => keys.get(place).map_or(Bytes::from_static(b"\xff"), |k| (*k).clone().into()),
    }
}

#[test]
fn back_off_grows_to_a_second_but_not_for_versions() {
    for retries in 0..40 {
        for roll in [0, 1, 999, u64::MAX] {
            let wait_ms = backoff_ms(&StoreError::Conflict, retries, roll);
            assert!((1..=10 << retries.min(7)).contains(&wait_ms) && wait_ms <= 1_000, "{wait_ms}");
        }
        assert_eq!(backoff_ms(&StoreError::TooOld, retries, 7), 10);
    }
}

#[test]
fn misuse_during_a_commit_stops_it() {
    let mut state = TransactionState::default();
    state.set(b"a", b"1");
    let request = state.begin_commit().unwrap();
    assert_eq!(state.still_commits(&request), Ok(()));
    assert_eq!(state.usable(), Err(StoreError::UsedDuringCommit));
    assert_eq!(state.still_commits(&request), Err(StoreError::UsedDuringCommit));
    let ended = state.end_commit(request.ticket(), Err(StoreError::UsedDuringCommit), Vec::new());
    assert_eq!(ended, Err(StoreError::UsedDuringCommit));
}

#[test]
fn a_commit_of_before_a_reset_says_nothing_about_what_follows() {
    let mut state = TransactionState::default();
    state.set(b"a", b"1");
    let request = state.begin_commit().unwrap();
    state.reset();
    state.set(b"b", b"1");
    assert_eq!(state.still_commits(&request), Err(StoreError::Cancelled));
    let ended = state.end_commit(request.ticket(), Ok(None), Vec::new());
    assert_eq!(ended, Err(StoreError::Cancelled));
    assert_eq!(state.usable(), Ok(()), "the new attempt goes on");
    assert_eq!(state.begin_commit().unwrap().mutations.len(), 1);
}
