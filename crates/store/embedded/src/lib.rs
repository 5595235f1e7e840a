//! The single-machine store: a write-ahead log of our own in front of redb.
//!
//! One process, one directory, durable at commit. A commit takes one sync of the log, shared with
//! all commits that wait at the same time; redb's own durable commit would take two and rewrite
//! pages first. What is committed stands in memory until it has been applied to the table file
//! behind the commits' backs; a crash is healed by replaying at most 64 MB of log.
//!
//! ```text
//! transaction ──▶ queue ──▶ committer ──▶ log (wal/)           1 write + 1 fdatasync per group
//!      ▲                        │
//!      └── view ◀── generations in memory ──▶ applier ──▶ table file (redb)   no fsync,
//!                                                                             checkpoints
//! ```
//!
//! - `committer`: conflicts, the order of commits, the group's effect, publishing, watches.
//! - `wal`: segments, records, replay. `table`: versions in memory above the table file.
//! - `applier`: from memory into the table file; checkpoints; recycling of segments.
//!
//! What it does when the disk fails: a failed sync stops the store at once and for good; nothing
//! is acknowledged after it. A full disk makes commits fail with `OutOfSpace` before anything
//! has happened, reads and watches go on, and it heals when there is room again. Damaged bytes
//! are found by checksums when they are read, and by [`EmbeddedStore::scrub`].

mod applier;
mod committer;
mod error;
mod group;
mod health;
mod open;
mod options;
mod queue;
mod redb_disk;
mod shared;
mod table;
mod transaction;
mod wal;
mod watches;
mod window;

#[cfg(test)]
mod tests;

pub use error::{Error, Result};
#[cfg(any(test, feature = "mutants"))]
pub use options::Mutant;
pub use options::{Options, Sizes};

use applier::Ending;
use base::env::DiskLock;
use bytes::Bytes;
use contract_store::{Store, Transaction};
use open::{Opened, open};
use parking_lot::Mutex;
use shared::Shared;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use transaction::EmbeddedTransaction;

/// How many rows a scrub looks at before it lets others run.
const SCRUB_ROWS: usize = 1_000;

/// An open store. See the crate's words.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    ending: Arc<Ending>,
    threads: Mutex<Option<Threads>>,
    replayed_bytes: u64,
}

struct Threads {
    committer: JoinHandle<()>,
    applier: JoinHandle<()>,
    /// Held until both have ended, however they ended.
    lock: Box<dyn DiskLock>,
}

/// What a store has done since it was opened, and how large it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stats {
    /// Commits that wrote.
    pub commits: u64,
    /// Groups in which they were made.
    pub groups: u64,
    /// Syncs of the log.
    pub syncs: u64,
    /// Bytes written to the log.
    pub log_bytes: u64,
    /// Commits refused because of a conflict.
    pub conflicts: u64,
    /// Checkpoints of the table file.
    pub checkpoints: u64,
    /// How often a commit found the log full and waited.
    pub full_waits: u64,
    /// Bytes of log that a crash now would have to replay.
    pub log_used_bytes: u64,
    /// Bytes of log that were replayed at the start.
    pub replayed_bytes: u64,
    /// Generations in memory, and about how many bytes they take.
    pub generations: usize,
    /// See [`Self::generations`].
    pub memory_bytes: usize,
    /// Commits that wait.
    pub queued: usize,
    /// Watches that wait.
    pub watches: usize,
    /// Whether the disk is full.
    pub disk_full: bool,
}

impl EmbeddedStore {
    /// Opens a store, or makes a new one where the directory is empty. Blocks: a replay may take
    /// some seconds.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process has it open; [`Error::Damaged`] where durable bytes
    /// are damaged; others as they say.
    pub fn open(options: Options) -> Result<Arc<Self>> {
        let Opened { shared, ending, committer, applier, lock, replayed_bytes } = open(&options)?;
        #[cfg(any(test, feature = "mutants"))]
        let committer = committer.with_mutant(options.mutant);
        let dir = &options.dir;
        let committer = spawn("store-commit", dir, &shared, move || committer.run())?;
        let applier = match spawn("store-apply", dir, &shared, move || applier.run()) {
            Ok(applier) => applier,
            Err(error) => {
                shared.queue.close();
                let _ = committer.join();
                return Err(error);
            }
        };
        let threads = Mutex::new(Some(Threads { committer, applier, lock }));
        Ok(Arc::new(Self { shared, ending, threads, replayed_bytes }))
    }

    /// Ends in an orderly way: serves the commits that wait, puts everything into the table file
    /// and lets the directory go. Whoever still uses the store gets `Stopped`.
    ///
    /// # Errors
    /// [`Error::Table`] if the store had stopped before, with the reason.
    pub async fn close(&self) -> Result<()> {
        let stopped = self.shared.health.check();
        let Some(threads) = self.threads.lock().take() else {
            return Ok(());
        };
        let (shared, ending) = (self.shared.clone(), self.ending.clone());
        let ended = tokio::task::spawn_blocking(move || end(&shared, &ending, threads, true));
        ended.await.map_err(|error| Error::Table(error.to_string()))?;
        stopped.map_err(|error| Error::Table(error.to_string()))
    }

    /// What happened so far, and sizes.
    pub fn stats(&self) -> Stats {
        let counters = &self.shared.counters;
        let memory = self.shared.current.memory();
        Stats {
            commits: counters.commits.load(Ordering::Relaxed),
            groups: counters.groups.load(Ordering::Relaxed),
            syncs: counters.syncs.load(Ordering::Relaxed),
            log_bytes: counters.log_bytes.load(Ordering::Relaxed),
            conflicts: counters.conflicts.load(Ordering::Relaxed),
            checkpoints: counters.checkpoints.load(Ordering::Relaxed),
            full_waits: counters.full_waits.load(Ordering::Relaxed),
            log_used_bytes: self.shared.pool.used_bytes(),
            replayed_bytes: self.replayed_bytes,
            generations: memory.generations,
            memory_bytes: memory.unapplied_bytes + memory.retired_bytes,
            queued: self.shared.queue.len(),
            watches: self.shared.watches.len(),
            disk_full: self.shared.health.is_full(),
        }
    }

    /// Reads every row of the table file and checks its checksum; answers the damaged keys.
    /// Works in small steps on a blocking thread; each step sees the newest version.
    ///
    /// # Errors
    /// [`Error::Table`] where not even the file's pages can be read.
    pub async fn scrub(&self) -> Result<Vec<Bytes>> {
        let mut damaged = Vec::new();
        let mut from = Bytes::new();
        loop {
            let view = self.shared.current.view();
            let step = tokio::task::spawn_blocking(move || view.file.check(&from, SCRUB_ROWS));
            let (found, last) = step.await.map_err(|error| Error::Table(error.to_string()))??;
            damaged.extend(found);
            match last {
                Some(last) => from = last,
                None => return Ok(damaged),
            }
        }
    }
}

impl Store for EmbeddedStore {
    fn begin(&self) -> Box<dyn Transaction> {
        Box::new(EmbeddedTransaction::new(self.shared.clone()))
    }

    fn name(&self) -> &'static str {
        "embedded"
    }
}

impl Drop for EmbeddedStore {
    /// Ends without a last checkpoint: the next start replays the log. Waits for the threads, so
    /// that the directory is free afterwards.
    fn drop(&mut self) {
        if let Some(threads) = self.threads.lock().take() {
            end(&self.shared, &self.ending, threads, false);
        }
    }
}

fn end(shared: &Shared, ending: &Ending, threads: Threads, orderly: bool) {
    shared.queue.close();
    shared.health.begin_closing();
    let Threads { committer, applier, lock } = threads;
    // A thread that panicked has stopped the store already.
    let _ = committer.join();
    ending.orderly.store(orderly, Ordering::SeqCst);
    ending.now.store(true, Ordering::SeqCst);
    shared.bell.ring();
    let _ = applier.join();
    drop(lock);
    shared.health.close();
    if let Err(stopped) = shared.health.check() {
        shared.watches.fail_all(&stopped);
    }
}

/// Starts a thread whose panic stops the store.
fn spawn(
    name: &str,
    dir: &Path,
    shared: &Arc<Shared>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    let (shared, thread) = (shared.clone(), name.to_owned());
    let guarded = move || {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            shared.health.stop(format!("the thread {thread} panicked"));
            shared.queue.abandon();
            if let Err(stopped) = shared.health.check() {
                shared.watches.fail_all(&stopped);
            }
        }
    };
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(guarded);
    spawned.map_err(Error::io(dir, "start a thread for"))
}
