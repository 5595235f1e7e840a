//! Failing syncs, damage, a second process.

use super::machine::Machine;
use super::world::{Ledger, WRITERS, commit, dir, get, is_stopped, open_on, set, verify, write};
use crate::{EmbeddedStore, Error, Options, Sizes};
use base::env::sim::{DiskEvent, SimDisk, Simulation};
use base::env::{Disk, Env};
use contract_store::{AtomicOp, Isolation, KeyRange, RangeRead, Retry, Store, StoreError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Whichever sync fails: the store stops, and what was acknowledged before is there afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_stops_the_store_and_loses_nothing_acknowledged() {
    for nth in (1..60).step_by(2) {
        let disk = SimDisk::default();
        let machine = Machine::new(disk.clone());
        let store = open_on(&machine, nth, Sizes::small(), None).unwrap();
        let ledger = Arc::new(Ledger::default());
        disk.fail_sync(nth);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store: Arc<dyn Store> = store.clone();
                tokio::spawn(write(store, ledger.clone(), writer, disk.clone()))
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert!(is_stopped(commit(&*store, 0, 0).await), "sync {nth}");
        assert!(is_stopped(get(&store, "last0").await), "sync {nth}");
        assert!(store.close().await.is_err());
        machine.power_cut(nth);
        let store = open_on(&Machine::new(disk), nth, Sizes::small(), None).unwrap();
        verify(&*store, &ledger).await.unwrap_or_else(|text| panic!("sync {nth}: {text}"));
    }
}

/// After a failed sync only the process is started again: what it wrote is still read back from the
/// kernel's memory, where it looks clean. What is acknowledged from then on must not rest on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_after_a_failed_sync_trusts_nothing_it_reads_back() {
    let mut unknown = 0;
    for seed in 0..20 {
        let disk = SimDisk::default();
        let machine = Machine::new(disk.clone());
        let store = open_on(&machine, 1, Sizes::default(), None).unwrap();
        set(&store, "old", b"1").await.unwrap();
        disk.fail_sync(1);
        // The sync that fails may also be one of the applier's.
        let doubtful = set(&store, "doubtful", b"1").await;
        assert!(doubtful.is_err());
        unknown += usize::from(doubtful == Err(StoreError::CommitUnknown));
        assert!(store.close().await.is_err());
        drop(store);
        let store = open_on(&machine, 2, Sizes::default(), None).unwrap();
        set(&store, "new", b"1").await.unwrap();
        machine.power_cut(seed);
        drop(store);
        let store = open_on(&Machine::new(disk), 3, Sizes::default(), None)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        for key in ["old", "new"] {
            assert!(get(&store, key).await.unwrap().is_some(), "seed {seed}: {key}");
        }
    }
    assert!(unknown > 0, "no commit's own sync failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commit_whose_sync_fails_is_unknown_and_watches_end() {
    // The sync that fails may be that of a segment which is made ready in the background. It stops
    // the store before the commit has begun: that is right, and not what is asked for here.
    for _ in 0..50 {
        if is_the_sync_of_a_commit().await {
            return;
        }
    }
    panic!("it never was the commit's sync that failed");
}

/// Fails a sync; says whether it was that of a commit, and looks at what came of it.
async fn is_the_sync_of_a_commit() -> bool {
    let disk = SimDisk::default();
    let store = open_on(&Machine::new(disk.clone()), 1, Sizes::default(), None).unwrap();
    set(&store, "a", b"1").await.unwrap();
    let tx = store.begin();
    let watch = tx.watch(b"a");
    tx.commit().await.unwrap();
    disk.fail_sync(1);
    let outcome = set(&store, "a", b"2").await;
    assert!(is_stopped(watch.await));
    assert!(is_stopped(set(&store, "b", b"2").await));
    assert!(is_stopped(get(&store, "a").await));
    if is_stopped(outcome.clone()) {
        return false;
    }
    assert_eq!(outcome, Err(StoreError::CommitUnknown));
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_middle_of_the_log_is_named() {
    let disk = SimDisk::default();
    let machine = Machine::new(disk.clone());
    let store = open_on(&machine, 1, Sizes::default(), None).unwrap();
    for n in 0..10 {
        set(&store, "key", &[n; 100]).await.unwrap();
    }
    drop(store);
    let segment = dir().join("wal/0000.seg");
    disk.corrupt(&segment, 5 * 4096 + 60).unwrap();
    match open_on(&machine, 1, Sizes::default(), None).map(drop) {
        Err(Error::Damaged { path, offset, .. }) => {
            assert_eq!((path, offset), (segment.clone(), 5 * 4096));
        }
        other => panic!("{other:?}"),
    }
    // Nothing was changed: undo the damage and all is there.
    disk.corrupt(&segment, 5 * 4096 + 60).unwrap();
    let store = open_on(&machine, 1, Sizes::default(), None).unwrap();
    assert_eq!(get(&store, "key").await.unwrap().as_deref(), Some(&[9; 100][..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_is_named_and_the_others_are_served() {
    let disk = SimDisk::default();
    let machine = Machine::new(disk.clone());
    let store = open_on(&machine, 1, Sizes::default(), None).unwrap();
    set(&store, "good", b"fine").await.unwrap();
    set(&store, "worse", b"the value that will be damaged").await.unwrap();
    assert!(store.scrub().await.unwrap().is_empty());
    store.close().await.unwrap();
    let table = dir().join("table.redb");
    let file = disk.open(&table, false).unwrap();
    let mut bytes = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    let pattern = b"the value that will be damaged";
    let places: Vec<_> =
        (0..bytes.len() - 40).filter(|at| &bytes[*at..*at + pattern.len()] == pattern).collect();
    assert!(!places.is_empty());
    for at in places {
        disk.corrupt(&table, at as u64 + 4).unwrap();
    }
    let store = open_on(&machine, 1, Sizes::default(), None).unwrap();
    assert_eq!(get(&store, "good").await.unwrap().as_deref(), Some(&b"fine"[..]));
    let error = get(&store, "worse").await.unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { key, .. } if key == "worse"), "{error:?}");
    assert_eq!(error.retry(), Retry::Never);
    assert_eq!(base::Error::from(error.clone()).kind, base::Kind::Corrupt);
    assert_eq!(store.scrub().await.unwrap(), ["worse"]);

    // A range names the row, so that a reader can go on behind it; the store serves everybody else.
    let tx = store.begin();
    let all = RangeRead::all(&KeyRange::new(&b""[..], &b"\xff"[..]));
    assert_eq!(tx.get_range(&all, Isolation::Snapshot).await, Err(error));
    set(&store, "zone", b"fine").await.unwrap();
    let behind = RangeRead::all(&KeyRange::new(&b"worse\0"[..], &b"\xff"[..]));
    let page = store.begin().get_range(&behind, Isolation::Snapshot).await.unwrap();
    assert_eq!(page.rows.len(), 1);

    // An operation on the damaged value fails alone; writing the row anew heals it.
    let tx = store.begin();
    tx.atomic(AtomicOp::Add, b"worse", b"\x01");
    assert!(matches!(tx.commit().await, Err(StoreError::Damaged { .. })));
    set(&store, "worse", b"new").await.unwrap();
    assert_eq!(get(&store, "worse").await.unwrap().as_deref(), Some(&b"new"[..]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_opener_is_refused_and_told_by_whom() {
    let temporary = tempfile::tempdir().unwrap();
    let options = || {
        let mut options = Options::new(temporary.path().join("store"), Env::real());
        options.sizes = Sizes::small();
        options
    };
    let store = EmbeddedStore::open(options()).unwrap();
    let refused = EmbeddedStore::open(options()).map(drop).unwrap_err();
    let pid = std::process::id();
    assert!(refused.to_string().contains(&format!("(pid {pid})")), "{refused}");
    store.close().await.unwrap();
    EmbeddedStore::open(options()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_table_file_is_no_new_store() {
    let disk = SimDisk::default();
    let machine = Machine::new(disk.clone());
    open_on(&machine, 1, Sizes::small(), None).unwrap().close().await.unwrap();
    disk.remove(&dir().join("table.redb")).unwrap();
    let refused = open_on(&machine, 1, Sizes::small(), None).map(drop).unwrap_err();
    assert!(refused.to_string().contains("missing"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_never_repeat_and_a_closed_store_says_so() {
    let disk = SimDisk::default();
    let machine = Machine::new(disk);
    let store = open_on(&machine, 1, Sizes::small(), None).unwrap();
    let before = commit(&*store, 0, 0).await.unwrap();
    let tx = store.begin();
    store.close().await.unwrap();
    assert!(is_stopped(tx.get(b"a", Isolation::Snapshot).await));
    assert!(is_stopped(set(&store, "a", b"1").await));
    assert_eq!(store.stats().log_used_bytes, 0, "the end was orderly");
    drop((tx, store));
    let store = open_on(&machine, 2, Sizes::small(), None).unwrap();
    assert!(store.begin().read_version().await.unwrap() > before + 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_does_not_fit_the_log_is_refused() {
    let store = open_on(&Machine::new(SimDisk::default()), 1, Sizes::small(), None).unwrap();
    assert_eq!(set(&store, "a", &[0; 60_000]).await, Err(StoreError::TransactionTooLarge));
    set(&store, "a", &[0; 40_000]).await.unwrap();
}

/// A thread that panics stops the store, but the directory is free only when all threads are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_of_one_thread_keeps_the_directory_locked() {
    let machine = Machine::new(SimDisk::default());
    let store = open_on(&machine, 1, Sizes::small(), None).unwrap();
    set(&store, "a", b"1").await.unwrap();
    machine.panic_in_open();
    // So much that the applier needs another segment.
    for n in 0.. {
        if set(&store, &format!("{n}"), &[n as u8; 20_000]).await.is_err() {
            break;
        }
    }
    assert!(is_stopped(get(&store, "a").await));
    let second = Machine::new(machine.disk.clone());
    let refused = open_on(&second, 2, Sizes::small(), None).map(drop);
    assert!(matches!(refused, Err(Error::InUse { .. })), "{refused:?}");
    drop(store);
    let store = open_on(&second, 2, Sizes::small(), None).unwrap();
    assert_eq!(get(&store, "a").await.unwrap().as_deref(), Some(&b"1"[..]));
}

/// The names of all directories that were made are durable before the store is used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_way_to_a_new_store_is_durable() {
    let disk = SimDisk::default();
    let env = Env { disk: Arc::new(disk.clone()), ..Simulation::new(1).env() };
    let store = EmbeddedStore::open(Options::new("/var/lib/rialto/store", env)).unwrap();
    let log = disk.log();
    for parent in ["/", "/var", "/var/lib", "/var/lib/rialto", "/var/lib/rialto/store"] {
        let synced = DiskEvent::DirSynced(parent.into());
        assert!(log.contains(&synced), "{parent} in {log:?}");
    }
    store.close().await.unwrap();
}

/// Large transactions use the segments up long before their bytes call for a checkpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn used_up_segments_call_for_a_checkpoint() {
    let hour_ms = 3_600_000;
    let mut sizes = Sizes::small();
    (sizes.checkpoint_bytes, sizes.checkpoint_ms) = (u64::MAX, hour_ms);
    sizes.log_bytes_max = 256 << 10;
    let store = open_on(&Machine::new(SimDisk::default()), 1, sizes, None).unwrap();
    for n in 0..40 {
        // More than half of a segment: the rest of each stays empty.
        let (key, value) = (n.to_string(), [n; 34_000]);
        let set = tokio::time::timeout(Duration::from_secs(60), set(&store, &key, &value));
        set.await.expect("writers must not wait for the hour").unwrap();
    }
    assert!(store.stats().checkpoints > 5, "{:?}", store.stats());
}

/// `rialto dev` as it comes keeps its data below the working directory.
#[test]
fn a_directory_may_be_named_from_where_we_are() {
    for name in ["rialto-data/store", "store", "./store", "../store"] {
        let env = Simulation::new(1).env();
        env.disk.create_dir_all(Path::new(".")).unwrap();
        let store = EmbeddedStore::open(Options::new(name, env)).unwrap();
        drop(store);
    }
}
