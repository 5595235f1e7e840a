//! Power cuts at random moments, checkpoints and recycling of segments among them.

use super::machine::Machine;
use super::world::{Ack, Ledger, WRITERS, commit, open_on, verify, write};
use crate::{EmbeddedStore, Mutant, Sizes};
use base::env::sim::{DiskEvent, SeededRandom, SimDisk};
use base::env::{Disk, Random};
use contract_store::{Durability, Store};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the lives went through, for a test to see that something did happen.
#[derive(Default, Debug)]
struct Seen {
    commits: u64,
    checkpoints: u64,
    replays: u64,
}

/// Lives of one disk, each ended by a power cut.
async fn lives(
    seed: u64,
    count: u64,
    mutant: Option<Mutant>,
    seen: &mut Seen,
) -> Result<(), String> {
    let random = SeededRandom::new(seed);
    let disk = SimDisk::default();
    let ledger = Arc::new(Ledger::default());
    for life in 0..count {
        disk.set_sync_time(Duration::from_micros(random.below(3) * 200));
        if random.below(3) == 0 {
            cut_while_opening(&disk, &random, mutant).await?;
        }
        let machine = Machine::new(disk.clone());
        let opened = open_on(&machine, seed ^ life, Sizes::small(), mutant);
        let store = opened.map_err(|error| format!("life {life}: {error}"))?;
        verify(&*store, &ledger).await.map_err(|text| format!("life {life}: {text}"))?;
        let goal = disk.syncs() + 1 + random.below(120);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store: Arc<dyn Store> = store.clone();
                tokio::spawn(write(store, ledger.clone(), writer, disk.clone()))
            })
            .collect();
        while disk.syncs() < goal {
            tokio::task::yield_now().await;
        }
        machine.power_cut(random.u64());
        let stats = store.stats();
        seen.commits += stats.commits;
        seen.checkpoints += stats.checkpoints;
        seen.replays += u64::from(stats.replayed_bytes > 0);
        for writer in writers {
            writer.await.map_err(|error| error.to_string())?;
        }
        tokio::task::spawn_blocking(move || drop(store)).await.map_err(|e| e.to_string())?;
    }
    disk.set_sync_time(Duration::ZERO);
    let store = open_on(&Machine::new(disk), seed, Sizes::small(), None);
    verify(&*store.map_err(|error| error.to_string())?, &ledger).await
}

/// The power goes while the store is being made or while the log is being replayed.
async fn cut_while_opening(
    disk: &SimDisk,
    random: &SeededRandom,
    mutant: Option<Mutant>,
) -> Result<(), String> {
    let machine = Machine::new(disk.clone());
    let (goal, seed) = (disk.syncs() + random.below(10), random.u64());
    let opening = {
        let machine = machine.clone();
        tokio::task::spawn_blocking(move || {
            drop(open_on(&machine, seed, Sizes::small(), mutant));
        })
    };
    while disk.syncs() < goal && !opening.is_finished() {
        tokio::task::yield_now().await;
    }
    machine.power_cut(seed);
    opening.await.map_err(|error| error.to_string())
}

async fn worlds(seeds: u64, mutant: Option<Mutant>) -> Result<Seen, String> {
    let mut seen = Seen::default();
    for seed in 0..seeds {
        let lived = lives(seed, 6, mutant, &mut seen).await;
        lived.map_err(|text| format!("seed {seed}: {text}"))?;
    }
    Ok(seen)
}

/// 300 cuts: nothing acknowledged is lost, nothing is half there, order is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_lose_nothing() {
    let seen = worlds(50, None).await.unwrap();
    println!("{seen:?}");
    assert!(seen.commits > 3_000 && seen.checkpoints > 50 && seen.replays > 50, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_never_syncs_is_caught() {
    let caught = worlds(50, Some(Mutant::NoFsync)).await.unwrap_err();
    assert!(caught.contains("lost") || caught.contains("damaged"), "{caught}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_acknowledges_too_early_is_caught() {
    let caught = worlds(50, Some(Mutant::AckBeforeCommit)).await.unwrap_err();
    // The mutant shows a commit before it writes it, so the table file may get ahead of the log.
    assert!(caught.contains("lost") || caught.contains("damaged"), "{caught}");
}

/// The program is killed in any of its syncs, that of a record which leads to the next segment
/// among them: what it wrote is still in the kernel's memory, and the next start reads it back.
/// A power cut after that must not take anything from under what was acknowledged since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_between_write_and_sync_lose_nothing_even_after_a_power_cut() {
    let mut between_roll_and_sync = 0;
    for nth in 1..60 {
        let disk = SimDisk::default();
        let ledger = Arc::new(Ledger::default());
        let machine = Machine::new(disk.clone());
        let store = open_on(&machine, nth, Sizes::small(), None).unwrap();
        machine.kill_in_sync(nth as i64);
        write_until_the_end(store, &ledger, &disk).await;
        let killed_in = machine.killed_in().unwrap_or_else(|| panic!("sync {nth} never came"));
        between_roll_and_sync += usize::from(ends_with_a_roll(&disk, &killed_in));

        let machine = Machine::new(disk.clone());
        let store = open_on(&machine, nth, Sizes::small(), None);
        let store = store.unwrap_or_else(|error| panic!("sync {nth}: {error}"));
        verify(&*store, &ledger).await.unwrap_or_else(|text| panic!("sync {nth}: {text}"));
        acknowledge(&store, &ledger, 3).await;
        machine.power_cut(nth);
        drop(store);
        let store = open_on(&Machine::new(disk), nth, Sizes::small(), None);
        let store = store.unwrap_or_else(|error| panic!("sync {nth}, then a cut: {error}"));
        verify(&*store, &ledger).await.unwrap_or_else(|text| panic!("sync {nth}, cut: {text}"));
    }
    assert!(between_roll_and_sync > 0, "no kill came after a roll record");
}

/// The program is killed before the names of files and directories that it made are durable: the
/// next start finds them in the kernel's memory. A power cut after that must not take the files
/// that hold what was acknowledged since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_a_killed_program_made_outlive_a_power_cut() {
    for (nth, seed) in (1..=6).flat_map(|nth| (0..8).map(move |seed| (nth, seed))) {
        let told = format!("directory sync {nth}, seed {seed}");
        let disk = SimDisk::default();
        let ledger = Arc::new(Ledger::default());
        let machine = Machine::new(disk.clone());
        machine.kill_in_dir_sync(nth);
        if let Ok(store) = open_on(&machine, 1, Sizes::small(), None) {
            write_until_the_end(store, &ledger, &disk).await;
        }
        assert!(!machine.is_alive(), "{told}: it never came");

        let machine = Machine::new(disk.clone());
        let store = open_on(&machine, 2, Sizes::small(), None);
        let store = store.unwrap_or_else(|error| panic!("{told}: {error}"));
        verify(&*store, &ledger).await.unwrap_or_else(|text| panic!("{told}: {text}"));
        // Enough for what was made before to be used.
        acknowledge(&store, &ledger, 40).await;
        machine.power_cut(seed);
        drop(store);
        let store = open_on(&Machine::new(disk), 3, Sizes::small(), None);
        let store = store.unwrap_or_else(|error| panic!("{told}, then a cut: {error}"));
        verify(&*store, &ledger).await.unwrap_or_else(|text| panic!("{told}, cut: {text}"));
    }
}

/// Commits so many changes of the first writer, each of which must be there from then on.
async fn acknowledge(store: &Arc<EmbeddedStore>, ledger: &Ledger, commits: usize) {
    for _ in 0..commits {
        let next = ledger.next.lock()[0];
        let version = commit(&**store, 0, next).await.unwrap();
        ledger.next.lock()[0] += 1;
        let ack = Ack { version, index: next, durability: Durability::OnCommit };
        ledger.acks.lock()[0].push(ack);
    }
}

async fn write_until_the_end(store: Arc<EmbeddedStore>, ledger: &Arc<Ledger>, disk: &SimDisk) {
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store: Arc<dyn Store> = store.clone();
            tokio::spawn(write(store, ledger.clone(), writer, disk.clone()))
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
}

/// Whether the record that was written last into this file leads to the next segment.
fn ends_with_a_roll(disk: &SimDisk, path: &Path) -> bool {
    let log = disk.log();
    let written = log.iter().rev().find_map(|event| match event {
        DiskEvent::Written(file, offset, _) if file == path && *offset > 0 => Some(*offset),
        _ => None,
    });
    let Some(offset) = written.filter(|_| path.extension().is_some_and(|name| name == "seg"))
    else {
        return false;
    };
    let mut head = [0; 9];
    let file = disk.open(path, false).unwrap();
    file.read_at(offset, &mut head).unwrap();
    head[..4] == *b"RwRc" && head[8] == 2
}
