//! Power cuts at random moments, checkpoints and recycling of segments among them.

use super::world::{Ledger, Machine, WRITERS, open_on, verify, write};
use crate::{Mutant, Sizes};
use base::env::Random;
use base::env::sim::{SeededRandom, SimDisk};
use contract_store::Store;
use std::sync::Arc;
use std::time::Duration;

/// Lives of one disk, each ended by a power cut.
async fn lives(seed: u64, count: u64, mutant: Option<Mutant>) -> Result<(), String> {
    let random = SeededRandom::new(seed);
    let disk = SimDisk::default();
    let ledger = Arc::new(Ledger::default());
    for life in 0..count {
        let machine = Machine::new(disk.clone());
        disk.set_sync_time(Duration::from_micros(random.below(3) * 200));
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
        for writer in writers {
            writer.await.map_err(|error| error.to_string())?;
        }
        tokio::task::spawn_blocking(move || drop(store)).await.map_err(|e| e.to_string())?;
    }
    disk.set_sync_time(Duration::ZERO);
    let store = open_on(&Machine::new(disk), seed, Sizes::small(), None);
    verify(&*store.map_err(|error| error.to_string())?, &ledger).await
}

async fn worlds(seeds: u64, mutant: Option<Mutant>) -> Result<(), String> {
    for seed in 0..seeds {
        lives(seed, 6, mutant).await.map_err(|text| format!("seed {seed}: {text}"))?;
    }
    Ok(())
}

/// 300 cuts: nothing acknowledged is lost, nothing is half there, order is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_cuts_lose_nothing() {
    worlds(50, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_never_syncs_is_caught() {
    let caught = worlds(50, Some(Mutant::NoFsync)).await.unwrap_err();
    assert!(caught.contains("lost") || caught.contains("damaged"), "{caught}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_acknowledges_too_early_is_caught() {
    let caught = worlds(50, Some(Mutant::AckBeforeCommit)).await.unwrap_err();
    assert!(caught.contains("lost"), "{caught}");
}
