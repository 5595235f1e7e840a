//! Copies between stores that fail and processes that end, and the gate.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod endings;
mod foundationdb;

use base::env::Env;
use base::{Error, Kind};
use bytes::Bytes;
use contract_store::{Isolation, KeyRange, KeyValue, RangeRead, Store, StoreError, limits};
use std::sync::Arc;
use std::time::Duration;
use store_copy::{
    Copy, Failed, GatedStore, Overlap, Phase, Progress, Rules, Start, Summary, take_into_use,
};
use store_embedded::EmbeddedStore;
use store_memory::parts::Dice;
use store_memory::{Faults, MemoryStore};
use tokio::sync::watch;

fn memory(seed: u64) -> Arc<MemoryStore> {
    Arc::new(MemoryStore::seeded(Env::real().clock, seed))
}

fn copy(source: &Arc<dyn Store>, target: &Arc<dyn Store>) -> Copy {
    Copy {
        env: Env::real(),
        source: source.clone(),
        source_name: "the test's".into(),
        is_source_shared: false,
        target: target.clone(),
        target_name: "there".into(),
        overlap: Overlap::default(),
        rules: rules(),
        start: Start::Resume,
        patience: Duration::from_secs(60),
    }
}

fn rules() -> Rules {
    let left_behind = vec![KeyRange::prefix(b"f/")];
    Rules { left_behind, restamped: vec![Bytes::from_static(b"u/")] }
}

async fn put(store: &Arc<dyn Store>, rows: &[(Bytes, Bytes)]) {
    for some in rows.chunks(50) {
        let tx = store.begin();
        some.iter().for_each(|(key, value)| tx.set(key, value));
        tx.commit().await.unwrap();
    }
}

/// Rows of all sizes, among them the largest that there may be.
fn rows(dice: &mut Dice, count: u64) -> Vec<(Bytes, Bytes)> {
    let mut rows = Vec::new();
    for number in 0..count {
        let large = dice.below(40) == 0;
        let bytes = dice.below(if large { limits::VALUE_BYTES_MAX as u64 + 1 } else { 300 });
        let mut key = vec![b'a' + dice.below(26) as u8];
        key.extend((0..dice.below(30)).map(|_| dice.u64() as u8));
        key.extend(number.to_be_bytes());
        rows.push((Bytes::from(key), Bytes::from(vec![dice.u64() as u8; bytes as usize])));
    }
    for number in 0..20u64 {
        let stamp = [&(1 << 40 | number).to_be_bytes()[..], &[0, number as u8]].concat();
        let key = |prefix: &[u8]| Bytes::from([prefix, &stamp].concat());
        rows.push((key(b"f/"), Bytes::from_static(b"feed")));
        rows.push((key(b"u/"), Bytes::from(number.to_string())));
    }
    rows
}

/// All rows but the copy's own.
async fn all(store: &Arc<dyn Store>) -> Vec<KeyValue> {
    let mut rows = Vec::new();
    let everything = KeyRange::new(Bytes::new(), Bytes::from_static(b"\xff"));
    let mut next = Some(RangeRead::all(&everything));
    while let Some(read) = next {
        let page = store.begin().get_range(&read, Isolation::Snapshot).await.unwrap();
        next = read.after(&page);
        rows.extend(page.rows);
    }
    rows.retain(|row| !row.key.starts_with(b"\x00"));
    rows
}

/// Runs a copy and drops it after so many steps.
async fn cut_off(copy: &Copy, steps: u64) -> Option<Result<Summary, Failed>> {
    let (told, mut heard) = watch::channel(Progress::default());
    let cut = async {
        for _ in 0..steps {
            heard.changed().await.unwrap();
        }
    };
    tokio::select! {
        biased;
        () = cut => None,
        done = copy.run(&told) => Some(done),
    }
}

/// Copies with interruptions and faults until it is done.
async fn finish(copy: &Copy, dice: &mut Dice) -> (Summary, u32) {
    for cuts in 0.. {
        assert!(cuts < 10_000, "it never comes to its end");
        match cut_off(copy, 1 + dice.below(6)).await {
            Some(Ok(summary)) => return (summary, cuts),
            Some(Err(Failed { error, .. })) => assert!(error.is_temporary(), "{error}"),
            None => {}
        }
    }
    unreachable!()
}

/// What the target must hold in the end.
async fn expected(source: &Arc<dyn Store>) -> Vec<KeyValue> {
    let (mut rows, mut stamps) = (all(source).await, 0u64);
    rows.retain(|row| !row.key.starts_with(b"f/"));
    for row in rows.iter_mut().filter(|row| row.key.starts_with(b"u/")) {
        stamps += 1;
        row.key = [&b"u/"[..], &stamps.to_be_bytes(), &[0, 0]].concat().into();
    }
    rows
}

async fn there_and_back(seed: u64) {
    let mut dice = Dice::new(seed);
    let faulty = Faults {
        conflict: 0.05,
        commit_unknown_applied: 0.1,
        commit_unknown_not_applied: 0.1,
        late_commit: 0.1,
        too_old: 0.05,
        short_pages: 0.3,
        ..Faults::default()
    };
    let (first, last) = (memory(seed), memory(seed + 1));
    let (source, end): (Arc<dyn Store>, Arc<dyn Store>) = (first.clone(), last.clone());
    put(&source, &rows(&mut dice, 400)).await;
    let wanted = expected(&source).await;

    let dir = tempfile::tempdir().unwrap();
    let options = store_embedded::Options::new(dir.path().join("store"), Env::real());
    let embedded = EmbeddedStore::open(options).unwrap();
    let middle: Arc<dyn Store> = embedded.clone();
    first.inject(faulty);
    let (there, cuts) = finish(&copy(&source, &middle), &mut dice).await;
    assert_eq!(there.rows, wanted.len() as u64);
    assert!(all(&middle).await == wanted, "what is in the embedded store differs");

    last.inject(faulty);
    let (back, more_cuts) = finish(&copy(&middle, &end), &mut dice).await;
    assert!(cuts + more_cuts > 0, "nothing was cut off");
    last.inject(Faults::default());
    assert_eq!(back, there);
    take_into_use(&end).await.unwrap();
    assert!(all(&end).await == wanted, "what came back differs");
    embedded.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_again_and_again_arrives_whole() {
    let seeds = std::env::var("RIALTO_SEEDS").ok().and_then(|text| text.parse().ok());
    for seed in 1..=seeds.unwrap_or(3u64).min(50) {
        eprintln!("seed {seed}");
        there_and_back(seed).await;
    }
}

/// A source with rows, a target in which a copy of it was cut off.
async fn begun() -> (Arc<dyn Store>, Arc<dyn Store>) {
    let (source, target): (Arc<dyn Store>, Arc<dyn Store>) = (memory(1), memory(2));
    let value = Bytes::from(vec![7; 90_000]);
    let rows: Vec<_> = (b'a'..=b'z').map(|key| (Bytes::from(vec![key]), value.clone())).collect();
    put(&source, &rows).await;
    assert!(cut_off(&copy(&source, &target), 3).await.is_none());
    (source, target)
}

async fn refused(copy: &Copy, kind: Kind, part: &str) {
    let Failed { error, .. } = copy.run(&watch::Sender::default()).await.unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert!(format!("{error:?}").contains(part), "{error:?}");
}

#[tokio::test]
async fn a_store_with_half_a_copy_is_not_served() {
    let (source, target) = begun().await;
    let error = take_into_use(&target).await.unwrap_err();
    assert!(error.text.contains("unfinished copy of the test's"), "{error}");
    let first = cut_off(&copy(&source, &target), u64::MAX).await.unwrap().unwrap();
    // Whoever did not hear that it is done may ask again.
    let again = cut_off(&copy(&source, &target), u64::MAX).await.unwrap().unwrap();
    assert_eq!(first, again);
    take_into_use(&target).await.unwrap();
    // From now on it is a store like any other.
    refused(&copy(&source, &target), Kind::AlreadyExists, "holds data already").await;
}

#[tokio::test]
async fn only_the_same_data_goes_on_and_only_into_its_own_target() {
    let (source, target) = begun().await;
    let other = Copy { source_name: "another".into(), ..copy(&source, &target) };
    refused(&other, Kind::AlreadyExists, "unfinished copy of the test's").await;
    // Not even anew: that is for what was copied from here.
    let anew = Copy { start: Start::Anew, ..other };
    refused(&anew, Kind::AlreadyExists, "unfinished copy of the test's").await;
    // What is half a copy is no source.
    let (third, data): (Arc<dyn Store>, Arc<dyn Store>) = (memory(3), memory(4));
    refused(&copy(&target, &third), Kind::Conflict, "unfinished copy of the test's").await;
    put(&data, &[(Bytes::from_static(b"k"), Bytes::new())]).await;
    for start in [Start::Resume, Start::Anew] {
        let over = Copy { start, ..copy(&data, &source) };
        refused(&over, Kind::AlreadyExists, "holds data already").await;
    }
}

#[tokio::test]
async fn a_source_that_changed_is_noticed_and_can_be_copied_anew() {
    let (source, target) = begun().await;
    put(&source, &[(Bytes::from_static(b"a"), Bytes::from_static(b"changed"))]).await;
    refused(&copy(&source, &target), Kind::Conflict, "copy it anew").await;
    assert!(take_into_use(&target).await.is_err(), "it must not be served");
    let anew = Copy { start: Start::Anew, ..copy(&source, &target) };
    let (told, heard) = watch::channel(Progress::default());
    let summary = anew.run(&told).await.unwrap();
    assert_eq!((summary.rows, heard.borrow().phase), (26, Phase::Done));
    assert_eq!(all(&target).await, all(&source).await);
}

#[tokio::test]
async fn a_target_that_lost_something_is_noticed() {
    let (source, target) = begun().await;
    let tx = target.begin();
    tx.clear(b"b");
    tx.commit().await.unwrap();
    refused(&copy(&source, &target), Kind::Corrupt, "does not hold what was written").await;
}

/// They may get into each other's way so that both give up, but never are both stores served. (Of
/// a source that is not shared there can be no two.)
#[tokio::test]
async fn two_copies_at_once_do_no_harm() {
    for _ in 0..5 {
        let (source, target) = begun().await;
        let copy = || Copy { is_source_shared: true, ..copy(&source, &target) };
        let (one, two) = (copy(), copy());
        let (a, b) = (watch::Sender::default(), watch::Sender::default());
        let (one, two) = tokio::join!(one.run(&a), two.run(&b));
        let is_done = one.is_ok() || two.is_ok();
        assert_eq!(take_into_use(&source).await.is_err(), is_done, "{one:?} {two:?}");
        if !is_done {
            assert!(take_into_use(&target).await.is_err(), "{one:?} {two:?}");
            copy().run(&a).await.unwrap();
        }
        take_into_use(&target).await.unwrap();
        assert_eq!(all(&target).await, all(&source).await);
    }
}

#[tokio::test]
async fn a_closed_gate_lets_reads_through_only() {
    let gate = GatedStore::new(memory(1));
    let store: Arc<dyn Store> = gate.clone();
    put(&store, &[(Bytes::from_static(b"k"), Bytes::from_static(b"v"))]).await;
    gate.close().await;
    assert!(gate.is_closed().await);
    let tx = store.begin();
    assert_eq!(tx.get(b"k", Isolation::Serializable).await.unwrap().unwrap(), "v");
    tx.commit().await.unwrap();
    let tx = store.begin();
    tx.clear(b"k");
    let refused = Error::from(tx.commit().await.unwrap_err());
    assert_eq!(refused.kind, Kind::Overloaded, "temporary in every protocol, and never in doubt");
    // What is read again in the same transaction writes nothing.
    tx.reset();
    assert_eq!(tx.get(b"k", Isolation::Serializable).await.unwrap().unwrap(), "v");
    tx.commit().await.unwrap();
    gate.open().await;
    put(&store, &[(Bytes::from_static(b"k"), Bytes::from_static(b"w"))]).await;
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn what_is_written_while_the_gate_closes_is_in_the_copy_or_refused() {
    for seed in 0..20 {
        let gate = GatedStore::new(memory(seed));
        let store: Arc<dyn Store> = gate.clone();
        let writers = (0..8u8).map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut done = 0u8;
                loop {
                    let tx = store.begin();
                    tx.set(&[number, done], b"v");
                    match tx.commit().await {
                        Ok(_) => done += 1,
                        Err(error) => {
                            assert!(matches!(error, StoreError::Closed(_)), "{error}");
                            return u64::from(done);
                        }
                    }
                    if done == 200 {
                        return u64::from(done);
                    }
                    tokio::task::yield_now().await;
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        for _ in 0..seed * 5 {
            tokio::task::yield_now().await;
        }
        gate.close().await;
        let target: Arc<dyn Store> = memory(seed + 100);
        let summary = copy(gate.inner(), &target).run(&watch::Sender::default()).await.unwrap();
        let mut acknowledged = 0;
        for writer in writers {
            acknowledged += writer.await.unwrap();
        }
        assert_eq!(summary.rows, acknowledged);
    }
}
