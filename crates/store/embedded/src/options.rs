//! Where and how a store is opened.

use base::env::Env;
use std::path::PathBuf;

/// Where and how a store is opened.
#[derive(Clone)]
pub struct Options {
    /// The directory that belongs to the store alone; made if it is missing.
    pub dir: PathBuf,
    /// Clock, randomness and disk.
    pub env: Env,
    /// How large things may become.
    pub sizes: Sizes,
    /// A deliberate fault, to prove that tests notice it. Not there in production builds.
    #[cfg(any(test, feature = "mutants"))]
    pub mutant: Option<Mutant>,
}

impl Options {
    /// The usual sizes.
    pub fn new(dir: impl Into<PathBuf>, env: Env) -> Self {
        Self {
            dir: dir.into(),
            env,
            sizes: Sizes::default(),
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }
}

/// How large things may become. The defaults suit a mail server from the smallest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// One segment of the log, in bytes. A transaction's effect must fit into one.
    pub segment_bytes: u64,
    /// The most that a replay may have to read, in bytes; when the log reaches it, commits wait
    /// for a checkpoint.
    pub log_bytes_max: u64,
    /// So much log calls for a checkpoint, in bytes.
    pub checkpoint_bytes: u64,
    /// After so long there is a checkpoint if anything was written, in milliseconds.
    pub checkpoint_ms: u64,
    /// So much in memory is handed to the table file, in bytes.
    pub generation_bytes: usize,
    /// After so long it is handed over anyhow, in milliseconds.
    pub generation_ms: u64,
    /// So much stays in memory after it went into the table file, for whoever may still choose to
    /// read a version of before, in bytes. What is beyond goes unless a transaction reads it.
    pub retired_spare_bytes: usize,
    /// The most that stays for transactions that do read it, in bytes; beyond, they may be too
    /// old before five seconds have passed.
    pub retired_bytes_max: usize,
    /// So much may be in memory that the table file does not have yet, in bytes. Beyond it
    /// commits wait for the table file, so that a burst cannot grow the process. Must exceed
    /// `generation_bytes`.
    pub unapplied_bytes_max: usize,
    /// What commits with `Durability::WithNext` may leave unsynced, in bytes.
    pub unsynced_bytes: u64,
    /// And for how long, in milliseconds.
    pub unsynced_ms: u64,
    /// The table file's page cache, in bytes.
    pub cache_bytes: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            log_bytes_max: 64 << 20,
            checkpoint_bytes: 32 << 20,
            checkpoint_ms: 30_000,
            generation_bytes: 2 << 20,
            generation_ms: 1_000,
            retired_spare_bytes: 2 << 20,
            retired_bytes_max: 12 << 20,
            unapplied_bytes_max: 8 << 20,
            unsynced_bytes: 1 << 20,
            unsynced_ms: 50,
            cache_bytes: 16 << 20,
        }
    }
}

impl Sizes {
    /// For tests: everything happens after a few kilobytes. Transactions over 50 kB do not fit.
    pub fn small() -> Self {
        Self {
            segment_bytes: 64 << 10,
            log_bytes_max: 192 << 10,
            checkpoint_bytes: 48 << 10,
            checkpoint_ms: 200,
            generation_bytes: 16 << 10,
            generation_ms: 20,
            retired_spare_bytes: 256 << 10,
            retired_bytes_max: 1 << 20,
            unapplied_bytes_max: 1 << 20,
            unsynced_bytes: 16 << 10,
            unsynced_ms: 20,
            cache_bytes: 1 << 20,
        }
    }

    /// How many segment files there are.
    pub(crate) fn segments(&self) -> u64 {
        self.log_bytes_max.div_ceil(self.segment_bytes.max(1)) + 1
    }
}

/// A deliberate fault (`chaos-tests` shows that each is noticed).
#[cfg(any(test, feature = "mutants"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Reports commits before they are durable.
    AckBeforeCommit,
    /// Never syncs the log.
    NoFsync,
}
