//! The disk's own log shows that each acknowledgement came after the sync of its record.

use super::machine::Machine;
use super::world::{LAZY, Ledger, WRITERS, commit, open_on, verify, write};
use crate::{Mutant, Sizes};
use base::env::sim::{DiskEvent, SimDisk};
use contract_store::Store;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Runs the synchronous writers for a while and checks the log of the disk.
async fn check_order(mutant: Option<Mutant>) -> Result<usize, String> {
    let disk = SimDisk::default();
    disk.set_sync_time(Duration::from_micros(300));
    let machine = Machine::new(disk.clone());
    let store = open_on(&machine, 1, Sizes::small(), mutant).map_err(|e| e.to_string())?;
    let ledger = Arc::new(Ledger::default());
    let writers: Vec<_> = (0..WRITERS - 1)
        .map(|writer| {
            let store: Arc<dyn Store> = store.clone();
            tokio::spawn(write(store, ledger.clone(), writer, disk.clone()))
        })
        .collect();
    while ledger.acks.lock().iter().map(Vec::len).sum::<usize>() < 400 {
        tokio::task::yield_now().await;
    }
    store.close().await.map_err(|e| e.to_string())?;
    for writer in writers {
        writer.await.map_err(|e| e.to_string())?;
    }
    covered_by_syncs(&disk.log())
}

/// Between the beginning of a commit and its acknowledgement, a record must have been written and
/// after that synced. Answers how many acknowledgements there were.
fn covered_by_syncs(log: &[DiskEvent]) -> Result<usize, String> {
    let mut begun = HashMap::new();
    let mut acks = 0;
    for (now, event) in log.iter().enumerate() {
        let DiskEvent::Mark(text) = event else {
            continue;
        };
        if let Some(name) = text.strip_prefix("begin ") {
            begun.insert(name.to_owned(), now);
        }
        if let Some(name) = text.strip_prefix("ack ") {
            acks += 1;
            // The oldest events of a long log are gone; such a commit cannot be judged.
            let Some(begin) = begun.get(name) else {
                continue;
            };
            let mut written = Vec::new();
            let covered = log[*begin..now].iter().any(|event| match event {
                DiskEvent::Written(path, offset, _) if is_segment(path) && *offset > 0 => {
                    written.push(path);
                    false
                }
                DiskEvent::Synced(path) => written.contains(&path),
                _ => false,
            });
            if !covered {
                return Err(format!("commit {name} was acknowledged without a sync"));
            }
        }
    }
    Ok(acks)
}

fn is_segment(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|extension| extension == "seg")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_before_its_sync() {
    assert!(check_order(None).await.unwrap() >= 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_mutants_break_the_order() {
    for mutant in [Mutant::AckBeforeCommit, Mutant::NoFsync] {
        let caught = check_order(Some(mutant)).await.unwrap_err();
        assert!(caught.contains("without a sync"), "{mutant:?}: {caught}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_share_a_sync() {
    let disk = SimDisk::default();
    disk.set_sync_time(Duration::from_millis(2));
    let store = open_on(&Machine::new(disk), 1, Sizes::default(), None).unwrap();
    let tasks: Vec<_> = (0..128u64)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..20u64 {
                    let tx = store.begin();
                    tx.set(format!("{writer}/{n}").as_bytes(), b"v");
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let stats = store.stats();
    assert_eq!(stats.commits, 128 * 20);
    assert!(stats.syncs * 4 < stats.commits, "{stats:?}");
    verify(&*store, &Ledger::default()).await.unwrap();
    store.close().await.unwrap();
}

/// Nobody asks for a sync, yet one comes soon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_wait_for_a_sync_does_not_wait_for_ever() {
    let disk = SimDisk::default();
    let machine = Machine::new(disk.clone());
    let store = open_on(&machine, 1, Sizes::default(), None).unwrap();
    let before = store.stats().syncs;
    commit(&*store, LAZY, 0).await.unwrap();
    while store.stats().syncs == before {
        tokio::task::yield_now().await;
    }
    machine.power_cut(1);
    drop(store);
    let store = open_on(&Machine::new(disk), 1, Sizes::default(), None).unwrap();
    let ledger = Ledger::default();
    ledger.next.lock()[LAZY as usize] = 1;
    verify(&*store, &ledger).await.unwrap();
    assert_eq!(ledger.next.lock()[LAZY as usize], 1, "the commit is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_may_wait_force_no_sync() {
    let sizes = Sizes { unsynced_ms: 3_600_000, ..Sizes::default() };
    let store = open_on(&Machine::new(SimDisk::default()), 1, sizes, None).unwrap();
    let before = store.stats().syncs;
    for index in 0..20 {
        commit(&*store, LAZY, index).await.unwrap();
    }
    assert_eq!(store.stats().syncs, before);
    commit(&*store, 0, 0).await.unwrap();
    assert_eq!(store.stats().syncs, before + 1, "one sync for all of them");
}
