//! Power cuts at random moments, checkpoints and recycling of segments among them.

use super::world::{Ledger, Machine, WRITERS, open_on, verify, write};
use crate::{Mutant, Sizes};
use base::env::Random;
use base::env::sim::{SeededRandom, SimDisk};
use contract_store::Store;
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
