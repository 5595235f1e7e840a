//! A full disk, in the ways in which disks are full.

use super::machine::Machine;
use super::world::{Ledger, WRITERS, get, is_stopped, open_on, set, verify, write};
use crate::Sizes;
use base::env::sim::SimDisk;
use contract_store::{Store, StoreError};
use futures::FutureExt;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_commits_serves_reads_and_heals() {
    fill_and_heal(&Machine::new(SimDisk::default())).await;
}

/// To the owner of a used-up quota the disk is as full as any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_up_quota_is_a_full_disk() {
    let machine = Machine::new(SimDisk::default());
    machine.set_quota();
    fill_and_heal(&machine).await;
}

async fn fill_and_heal(machine: &Machine) {
    let disk = &machine.disk;
    let store = open_on(machine, 1, Sizes::small(), None).unwrap();
    set(&store, "watched", b"1").await.unwrap();
    let tx = store.begin();
    let mut watch = tx.watch(b"watched");
    tx.commit().await.unwrap();
    disk.set_room(Some(0));
    let value = vec![7; 20_000];
    let mut written = 0;
    let refused = loop {
        match set(&store, &format!("row{written}"), &value).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
        assert!(written < 3_000, "the disk should be full by now");
    };
    assert_eq!(refused, StoreError::OutOfSpace);
    assert!(store.stats().disk_full);
    // Refused means that nothing happened, and everything else goes on.
    assert_eq!(get(&store, &format!("row{written}")).await, Ok(None));
    for n in 0..written {
        let found = get(&store, &format!("row{n}")).await.unwrap();
        assert_eq!(found.as_deref(), Some(&value[..]), "row{n} of {written}");
    }
    assert!((&mut watch).now_or_never().is_none());

    disk.set_room(None);
    while let Err(error) = set(&store, "watched", b"2").await {
        assert_eq!(error, StoreError::OutOfSpace);
        tokio::task::yield_now().await;
    }
    watch.await.unwrap();
    while store.stats().disk_full {
        tokio::task::yield_now().await;
    }
    store.close().await.unwrap();
    drop(store);
    let store = open_on(machine, 2, Sizes::small(), None).unwrap();
    for n in 0..written {
        assert!(get(&store, &format!("row{n}")).await.unwrap().is_some(), "row{n} of {written}");
    }
    assert!(store.scrub().await.unwrap().is_empty());
}

/// A store that is killed while its disk is full has lost nothing either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_on_a_full_disk_loses_nothing() {
    for seed in 0..10 {
        let disk = SimDisk::default();
        let machine = Machine::new(disk.clone());
        let store = open_on(&machine, seed, Sizes::small(), None).unwrap();
        let ledger = Arc::new(Ledger::default());
        disk.set_room(Some(seed * 50_000));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store: Arc<dyn Store> = store.clone();
                tokio::spawn(write(store, ledger.clone(), writer, disk.clone()))
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        machine.power_cut(seed);
        drop(store);
        disk.set_room(None);
        let store = open_on(&Machine::new(disk), seed, Sizes::small(), None).unwrap();
        verify(&*store, &ledger).await.unwrap_or_else(|text| panic!("seed {seed}: {text}"));
    }
}

/// Where writing in place needs new room, a refused record may be in the file all the same. It must
/// not come back, neither after a kill nor after a power cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_record_never_comes_back() {
    for seed in 0..12 {
        let machine = Machine::new(SimDisk::default());
        let store = open_on(&machine, seed, Sizes::default(), None).unwrap();
        set(&store, "before", b"1").await.unwrap();
        machine.refuse_log_writes(1 + (seed as i64) % 2);
        assert_eq!(set(&store, "refused", &[1; 9_000]).await, Err(StoreError::OutOfSpace));
        assert_eq!(get(&store, "refused").await, Ok(None), "seed {seed}");
        let then = seed / 2 % 3;
        if then == 1 {
            // It is overwritten as if it had never been.
            set(&store, "after", b"1").await.unwrap();
        }
        match then {
            2 => machine.power_cut(seed),
            _ => machine.kill_in_sync(1),
        }
        let _ = set(&store, "unknown", b"1").await;
        drop(store);
        let store = open_on(&Machine::new(machine.disk), seed, Sizes::default(), None).unwrap();
        assert!(get(&store, "before").await.unwrap().is_some(), "seed {seed}");
        assert_eq!(get(&store, "after").await.unwrap().is_some(), then == 1, "seed {seed}");
        assert_eq!(get(&store, "refused").await, Ok(None), "seed {seed}");
    }
}

/// The same where it is the last record of a segment, which leads to the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_change_of_segments_is_tried_again() {
    let machine = Machine::new(SimDisk::default());
    let store = open_on(&machine, 1, Sizes::small(), None).unwrap();
    let mut refused = 0;
    for n in 0..40u8 {
        machine.refuse_log_writes(i64::from(n % 2));
        match set(&store, &format!("{n:02}"), &[n; 20_000]).await {
            Ok(()) => {}
            Err(StoreError::OutOfSpace) => {
                refused += 1;
                machine.refuse_log_writes(0);
                set(&store, &format!("{n:02}"), &[n; 20_000]).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0);
    assert!(!is_stopped(get(&store, "00").await));
    machine.power_cut(1);
    drop(store);
    let store = open_on(&Machine::new(machine.disk), 1, Sizes::small(), None).unwrap();
    for n in 0..40u8 {
        assert!(get(&store, &format!("{n:02}")).await.unwrap().is_some(), "{n}");
    }
}
