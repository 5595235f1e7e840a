//! A store on a simulated machine, writers with a ledger, and the check of what a crash left.
//!
//! Each writer has its own rows: `w<n>/<i>` for its i-th commit, and `last<n>` = i. Now and then it
//! clears its rows but the newest ones. All of them add to the counter `sum`. So the rows must
//! always be exactly those of a whole number of commits of each writer.

use super::machine::Machine;
use crate::{EmbeddedStore, Mutant, Options, Sizes};
use base::env::sim::{SeededRandom, SimDisk, Simulation};
use base::env::{Env, Random};
use bytes::Bytes;
use contract_store::{
    AtomicOp, Durability, Isolation, KeyRange, RangeRead, Store, StoreError, StoreResult, Version,
};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;

pub(super) const WRITERS: u64 = 4;
/// The writer that commits with `Durability::WithNext`.
pub(super) const LAZY: u64 = 3;
/// Rows that a clear leaves.
const KEPT: u64 = 5;

pub(super) fn dir() -> &'static Path {
    Path::new("/store")
}

/// A store on a machine.
pub(super) fn open_on(
    machine: &Machine,
    seed: u64,
    sizes: Sizes,
    mutant: Option<Mutant>,
) -> crate::Result<Arc<EmbeddedStore>> {
    let env = Env { disk: Arc::new(machine.clone()), ..Simulation::new(seed).env() };
    let mut options = Options::new(dir(), env);
    options.sizes = sizes;
    options.mutant = mutant;
    EmbeddedStore::open(options)
}

pub(super) async fn set(store: &EmbeddedStore, key: &str, value: &[u8]) -> StoreResult<()> {
    let tx = store.begin();
    tx.set(key.as_bytes(), value);
    tx.commit().await.map(drop)
}

pub(super) async fn get(store: &EmbeddedStore, key: &str) -> StoreResult<Option<Bytes>> {
    store.begin().get(key.as_bytes(), Isolation::Snapshot).await
}

pub(super) fn is_stopped<T: std::fmt::Debug>(result: StoreResult<T>) -> bool {
    matches!(result, Err(StoreError::Stopped(_)))
}

/// A commit that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ack {
    pub(super) version: Version,
    pub(super) index: u64,
    pub(super) durability: Durability,
}

/// What was acknowledged and tried, by writer.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) acks: Mutex<[Vec<Ack>; WRITERS as usize]>,
    /// The number of the next commit of each writer.
    pub(super) next: Mutex<[u64; WRITERS as usize]>,
}

pub(super) fn durability(writer: u64) -> Durability {
    if writer == LAZY { Durability::WithNext } else { Durability::OnCommit }
}

pub(super) fn row(writer: u64, index: u64) -> String {
    format!("w{writer}/{index:012}")
}

pub(super) fn payload(writer: u64, index: u64) -> Vec<u8> {
    let len = SeededRandom::new(writer << 32 | index).below(3_000) as usize;
    vec![index as u8; len]
}

/// One commit of a writer.
pub(super) async fn commit(
    store: &dyn Store,
    writer: u64,
    index: u64,
) -> Result<Version, StoreError> {
    let tx = store.begin();
    tx.set_durability(durability(writer));
    tx.set(row(writer, index).as_bytes(), &payload(writer, index));
    tx.set(format!("last{writer}").as_bytes(), &index.to_le_bytes());
    if index % 16 == 15 {
        let (first, kept) = (row(writer, 0), row(writer, index - KEPT));
        tx.clear_range(&KeyRange::new(first.into_bytes(), kept.into_bytes()));
    }
    tx.atomic(AtomicOp::Add, b"sum", &1u64.to_le_bytes());
    Ok(tx.commit().await?.version)
}

/// Commits until the store refuses; notes every acknowledgement.
pub(super) async fn write(store: Arc<dyn Store>, ledger: Arc<Ledger>, writer: u64, disk: SimDisk) {
    loop {
        let index = {
            let mut next = ledger.next.lock();
            next[writer as usize] += 1;
            next[writer as usize] - 1
        };
        disk.mark(format!("begin {writer} {index}"));
        match commit(&*store, writer, index).await {
            Ok(version) => {
                disk.mark(format!("ack {writer} {index}"));
                let ack = Ack { version, index, durability: durability(writer) };
                ledger.acks.lock()[writer as usize].push(ack);
            }
            Err(_) => return,
        }
    }
}

async fn number(store: &dyn Store, key: String) -> Result<Option<u64>, StoreError> {
    let value = store.begin().get(key.as_bytes(), Isolation::Snapshot).await?;
    Ok(value.map(|value| u64::from_le_bytes(value[..].try_into().unwrap())))
}

async fn rows(store: &dyn Store, range: &KeyRange) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
    let tx = store.begin();
    let mut next = Some(RangeRead::all(range));
    let mut rows = Vec::new();
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        rows.extend(page.rows.iter().map(|row| (row.key.clone(), row.value.clone())));
        next = read.after(&page);
    }
    Ok(rows)
}

/// The rows that a writer has after `count` commits.
fn expected_rows(writer: u64, count: u64) -> Vec<(Bytes, Bytes)> {
    let cleared = (0..count).rev().find(|index| index % 16 == 15).map_or(0, |at| at - KEPT);
    let row = |index| (row(writer, index).into(), payload(writer, index).into());
    (cleared..count).map(row).collect()
}

/// Checks the rows against the ledger; what was not acknowledged may be there or not, but then as
/// a whole and in order. Afterwards the ledger goes on from what is there.
pub(super) async fn verify(store: &dyn Store, ledger: &Ledger) -> Result<(), String> {
    let text = |error: StoreError| error.to_string();
    let mut total = 0;
    let mut lost: Vec<Ack> = Vec::new();
    let mut newest_found = 0;
    for writer in 0..WRITERS {
        let last = number(store, format!("last{writer}")).await.map_err(text)?;
        let count = last.map_or(0, |last| last + 1);
        total += count;
        let tried = std::mem::replace(&mut ledger.next.lock()[writer as usize], count);
        if count > tried {
            return Err(format!("writer {writer}: {count} commits found, {tried} tried"));
        }
        let prefix = KeyRange::prefix(format!("w{writer}/").as_bytes());
        let found = rows(store, &prefix).await.map_err(text)?;
        if found != expected_rows(writer, count) {
            return Err(format!("writer {writer}: the rows are not those of {count} commits"));
        }
        for ack in std::mem::take(&mut ledger.acks.lock()[writer as usize]) {
            if ack.index < count {
                newest_found = newest_found.max(ack.version);
            } else {
                lost.push(ack);
            }
        }
    }
    let sum = number(store, "sum".into()).await.map_err(text)?.unwrap_or(0);
    if sum != total {
        return Err(format!("the counter says {sum}, the writers {total}: half a commit"));
    }
    for ack in lost {
        if ack.durability == Durability::OnCommit {
            return Err(format!("acknowledged and lost: {ack:?}"));
        }
        if ack.version <= newest_found {
            return Err(format!("lost, though a later commit is there: {ack:?} < {newest_found}"));
        }
    }
    Ok(())
}
