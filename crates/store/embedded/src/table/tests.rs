#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::current::Current;
use super::file::TableFile;
use super::generation::{Effect, Last};
use crate::group::Prepared;
use crate::health::Health;
use crate::redb_disk::RedbDisk;
use crate::wal::Position;
use base::env::Disk;
use base::env::sim::Simulation;
use bytes::Bytes;
use contract_store::rules::Mutation;
use contract_store::{KeyRange, Version};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

type Rows = BTreeMap<Bytes, Bytes>;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Mutation>),
    Freeze,
    Apply,
}

fn key() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(0u8..5, 1..4).prop_map(Bytes::from)
}

fn range() -> impl Strategy<Value = KeyRange> {
    (key(), key()).prop_map(|(a, b)| KeyRange { begin: a.clone().min(b.clone()), end: a.max(b) })
}

fn step() -> impl Strategy<Value = Step> {
    let value = proptest::collection::vec(any::<u8>(), 0..4).prop_map(Bytes::from);
    let mutation = prop_oneof![
        4 => (key(), value).prop_map(|(k, v)| Mutation::Set(k, v)),
        1 => key().prop_map(Mutation::Clear),
        2 => range().prop_map(Mutation::ClearRange),
    ];
    prop_oneof![
        6 => proptest::collection::vec(mutation, 1..6).prop_map(Step::Commit),
        1 => Just(Step::Freeze),
        1 => Just(Step::Apply),
    ]
}

fn model(rows: &mut Rows, mutations: &[Mutation]) {
    for mutation in mutations {
        match mutation {
            Mutation::Set(key, value) => {
                rows.insert(key.clone(), value.clone());
            }
            Mutation::Clear(key) => {
                rows.remove(key);
            }
            Mutation::ClearRange(range) => rows.retain(|key, _| !range.contains(key)),
            Mutation::Atomic(..) => unreachable!("not made here"),
        }
    }
}

struct Table {
    file: TableFile,
    current: Current,
    version: Version,
    /// The rows at each version.
    history: Vec<(Version, Rows)>,
}

impl Table {
    fn new() -> Self {
        let disk = Simulation::new(1).disk;
        disk.create_dir_all(Path::new("/")).unwrap();
        let handle = disk.open(Path::new("/t"), true).unwrap();
        let backend = RedbDisk::new(handle, Arc::new(Health::default()));
        let mut file = TableFile::open(backend, 1 << 20).unwrap();
        file.initialise(5).unwrap();
        assert_eq!(file.read_meta().unwrap().store, 5);
        let current = Current::new(file.snapshot().unwrap(), 0);
        current.advance(0, Duration::ZERO);
        Self { file, current, version: 0, history: vec![(0, Rows::new())] }
    }

    fn run(&mut self, step: Step) {
        let position = Position { generation: 1, offset: 0 };
        match step {
            Step::Commit(mutations) => {
                self.version += 1;
                let mut rows = self.history.last().unwrap().1.clone();
                model(&mut rows, &mutations);
                self.history.push((self.version, rows));
                let mut effect = Effect::default();
                Prepared::new(mutations, &[0; 10], |_| Ok(None)).unwrap().add_to(&mut effect);
                let last = Last { version: self.version, position, written: 0 };
                self.current.publish(&effect, last, Duration::ZERO);
            }
            Step::Freeze => {
                self.current.freeze(Duration::ZERO);
            }
            Step::Apply => {
                let Some(generation) = self.current.oldest_frozen() else {
                    return;
                };
                let version = generation.last().unwrap().version;
                self.file.write(Some(&generation), Some((position, version)), false).unwrap();
                self.current.applied(self.file.snapshot().unwrap(), version, Duration::ZERO);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    /// Every version that was ever made reads as it was, whatever has been frozen and applied
    /// since, in both directions and in pages of any size.
    #[test]
    fn every_version_stays_as_it_was(
        steps in proptest::collection::vec(step(), 1..40),
        ranges in proptest::collection::vec((range(), 1usize..6, any::<bool>()), 1..5),
    ) {
        let mut table = Table::new();
        steps.into_iter().for_each(|step| table.run(step));
        for (version, rows) in &table.history {
            let view = table.current.view_for(*version, Duration::ZERO).unwrap().upgrade().unwrap();
            for (key, value) in rows {
                let found = view.get(key, *version).unwrap();
                prop_assert_eq!(found.as_ref(), Some(value));
            }
            for (range, count, reverse) in &ranges {
                let mut window = range.clone();
                let mut found = Vec::new();
                loop {
                    let page = view.scan(&window, *version, *reverse, *count).unwrap();
                    prop_assert!(page.rows.len() <= *count);
                    found.extend(page.rows.iter().map(|row| (row.key.clone(), row.value.clone())));
                    let Some(last) = page.rows.last().filter(|_| page.more) else { break };
                    match reverse {
                        true => window.end = last.key.clone(),
                        false => window.begin = KeyRange::single(&last.key).end,
                    }
                }
                let mut expected: Vec<_> =
                    rows.iter().filter(|(key, _)| range.contains(key)).collect();
                if *reverse {
                    expected.reverse();
                }
                let found: Vec<_> = found.iter().map(|(key, value)| (key, value)).collect();
                prop_assert_eq!(found, expected, "{:?} at {}", range, version);
                let absent = view.get(&range.begin, *version).unwrap();
                prop_assert_eq!(absent.as_ref(), rows.get(&range.begin));
            }
        }
    }
}

#[test]
fn clearing_many_rows_takes_no_memory_and_hides_them_at_once() {
    let mut table = Table::new();
    let name = |n: u32| Bytes::copy_from_slice(&n.to_be_bytes());
    let rows = (0..20_000).map(|n| Mutation::Set(name(n), Bytes::from_static(b"x"))).collect();
    for step in [Step::Commit(rows), Step::Freeze, Step::Apply] {
        table.run(step);
    }
    let all = KeyRange { begin: Bytes::new(), end: name(19_999) };
    table.run(Step::Commit(vec![Mutation::ClearRange(all.clone())]));
    assert!(table.current.active_bytes() < 1_000);
    let view = table.current.view();
    let page = view.scan(&KeyRange::new(&b""[..], &b"\xff"[..]), 2, false, 10).unwrap();
    assert_eq!(page.rows.iter().map(|row| row.key.clone()).collect::<Vec<_>>(), [name(19_999)]);
    let back = view.scan(&all, 2, true, 10).unwrap();
    assert_eq!((back.rows.len(), back.more), (0, false));
}

#[test]
fn replaced_views_are_let_go_after_five_seconds() {
    let mut table = Table::new();
    table.run(Step::Commit(vec![Mutation::Set(Bytes::from_static(b"a"), Bytes::new())]));
    let (version, view) = table.current.newest();
    table.run(Step::Freeze);
    table.run(Step::Apply);
    table.current.expire(Duration::from_millis(5_400), 1_000, 1_000);
    assert!(view.upgrade().is_some());
    table.current.expire(Duration::from_millis(5_500), 1_000, 1_000);
    assert!(view.upgrade().is_none());
    assert_eq!(version, 1);
}

#[test]
fn a_flood_of_writes_lets_old_views_go_earlier() {
    let mut table = Table::new();
    let mut views = Vec::new();
    for n in 0..5u8 {
        views.push(table.current.newest().1);
        let value = Bytes::from(vec![n; 1_000]);
        table.run(Step::Commit(vec![Mutation::Set(Bytes::from_static(b"a"), value)]));
        table.run(Step::Freeze);
        table.run(Step::Apply);
    }
    table.current.expire(Duration::from_secs(1), 0, 3_000);
    let kept: Vec<_> = views.iter().map(|view| view.upgrade().is_some()).collect();
    assert_eq!(kept, [false, false, false, true, true]);
}

/// What nobody reads takes no memory; who reads goes on, with each version what it was.
#[test]
fn only_read_views_are_kept_and_never_show_another_version() {
    let mut table = Table::new();
    let mut reading = Vec::new();
    for n in 0..8u8 {
        let value = Bytes::from(vec![n; 1_000]);
        table.run(Step::Commit(vec![Mutation::Set(Bytes::from_static(b"a"), value)]));
        let (version, view) = table.current.newest();
        if n % 3 == 0 {
            reading.push((version, n, view));
        }
        table.run(Step::Freeze);
        table.run(Step::Apply);
    }
    let now = Duration::from_secs(1);
    table.current.expire(now, 100_000, 100_000);
    assert!(table.current.memory().retired_bytes > 7_500, "{:?}", table.current.memory());
    table.current.expire(now, 3_500, 100_000);
    let memory = table.current.memory();
    assert!((2_000..4_500).contains(&memory.retired_bytes), "{memory:?}");
    for (version, n, view) in &reading {
        let view = view.upgrade().expect("it is being read");
        assert_eq!(view.get(b"a", *version).unwrap().unwrap()[0], *n);
    }
    for version in 1..=8 {
        let chosen = table.current.view_for(version, Duration::from_secs(1));
        // A view shows its base, too: 3 and 6 with the views in which 4 and 7 are read.
        assert_eq!(chosen.is_none(), [2, 5].contains(&version), "version {version}");
        if let Some(view) = chosen.and_then(|view| view.upgrade()) {
            let value = view.get(b"a", version).unwrap().unwrap();
            assert_eq!(i64::from(value[0]) + 1, version);
        }
    }
    drop(reading);
    table.current.expire(now, 0, 100_000);
    assert_eq!(table.current.memory().retired_bytes, 0);
}

#[test]
fn only_versions_of_the_last_five_seconds_may_be_chosen() {
    let mut table = Table::new();
    let set = || vec![Mutation::Set(Bytes::from_static(b"a"), Bytes::new())];
    table.run(Step::Commit(set()));
    let (late, too_late) = (Duration::from_millis(4_999), Duration::from_millis(5_000));
    assert!(table.current.view_for(1, too_late).is_some(), "the newest is always there");
    table.run(Step::Commit(set()));
    assert!(table.current.view_for(1, late).is_some());
    assert!(table.current.view_for(1, too_late).is_none());
    assert!(table.current.view_for(-1, late).is_none());
}
