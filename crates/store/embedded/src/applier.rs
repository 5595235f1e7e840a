//! The thread behind the committer: it moves what is in memory into the table file, makes
//! checkpoints, and readies log segments for use.
//!
//! ```text
//! freeze    active generation → frozen            2 MB or a second
//! apply     oldest frozen → table file            one redb commit, not durable
//! checkpoint                                      a durable one: 32 MB of log or 30 s
//! recycle   segments before the checkpoint → ready
//! ```
//!
//! Non-durable redb commits cost no sync; a crash undoes them and the log brings them back. When
//! this thread falls behind, the log fills up and commits wait: memory stays bounded
//! by `Sizes::unapplied_bytes_max` and by what replaced views may keep.

use crate::error::{Error, Result};
use crate::health::Full;
use crate::shared::{Shared, count};
use crate::table::file::TableFile;
use crate::table::generation::Last;
use crate::wal::Position;
use crate::wal::segment::{Segment, create, prepare};
use base::env::{DiskFile, Env};
use contract_store::Version;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often it looks for work that nobody rang for.
const TICK: Duration = Duration::from_millis(250);

/// How the thread is to end.
#[derive(Default)]
pub(crate) struct Ending {
    /// It is to end now.
    pub(crate) now: AtomicBool,
    /// Everything is to be checkpointed before.
    pub(crate) orderly: AtomicBool,
}

/// The log's segment files that are not in use.
pub(crate) struct Spares {
    pub(crate) dir: PathBuf,
    pub(crate) store: u128,
    pub(crate) files: VecDeque<(PathBuf, Box<dyn DiskFile>)>,
    /// How many files there are, used or not.
    pub(crate) count: u64,
    /// The number in the name of the next file; none that is there has a greater one.
    pub(crate) next_name: u64,
    pub(crate) next_generation: u64,
}

/// See the module's words.
pub(crate) struct Applier {
    pub(crate) shared: Arc<Shared>,
    pub(crate) file: TableFile,
    pub(crate) spares: Spares,
    pub(crate) ending: Arc<Ending>,
    /// What has been applied since the last checkpoint, if anything.
    pub(crate) pending: Option<Last>,
    pub(crate) last_freeze: Duration,
    pub(crate) last_checkpoint: Duration,
}

impl Spares {
    /// Readies one more segment: an unused file, or a new one. After an error it can be tried
    /// again.
    pub(crate) fn ready_one(&mut self, env: &Env, size: u64) -> Result<Segment> {
        if self.files.is_empty() {
            self.make_one(env, size)?;
        }
        let Some((path, file)) = self.files.pop_front() else {
            return Err(Error::Unusable { path: self.dir.clone(), what: "no segment".into() });
        };
        match prepare(env, &path, &*file, self.store, self.next_generation, size) {
            Ok(header) => {
                self.next_generation += 1;
                Ok(Segment { path, file, header })
            }
            Err(error) => {
                self.files.push_front((path, file));
                Err(error)
            }
        }
    }

    fn make_one(&mut self, env: &Env, size: u64) -> Result<()> {
        let path = self.dir.join(format!("{:04}.seg", self.next_name));
        let file = create(&*env.disk, &path, size)?;
        env.disk.sync_dir(&self.dir).map_err(Error::io(&self.dir, "sync"))?;
        self.next_name += 1;
        self.count += 1;
        self.files.push_back((path, file));
        Ok(())
    }
}

impl Applier {
    /// Runs until it is told to end.
    pub(crate) fn run(mut self) {
        while !self.ending.now.load(Ordering::SeqCst) {
            self.turn();
            self.shared.bell.wait(TICK);
        }
        if self.ending.orderly.load(Ordering::SeqCst) && !self.shared.health.is_stopped() {
            self.finish();
        }
        self.shared.current.expire_all();
    }

    fn turn(&mut self) {
        if self.shared.health.is_stopped() {
            return;
        }
        let now = self.shared.env.clock.monotonic();
        self.expire(now);
        self.ready_segments();
        let sizes = self.shared.sizes;
        let due =
            now.saturating_sub(self.last_freeze) >= Duration::from_millis(sizes.generation_ms);
        if due || self.is_log_long() || self.shared.current.active_bytes() >= sizes.generation_bytes
        {
            self.shared.current.freeze(now);
            self.last_freeze = now;
        }
        if let Err(error) = self.apply_all() {
            self.stop(&error);
        }
        self.ready_segments();
    }

    fn expire(&self, now: Duration) {
        let sizes = &self.shared.sizes;
        self.shared.current.expire(now, sizes.retired_spare_bytes, sizes.retired_bytes_max);
    }

    fn stop(&self, error: &Error) {
        self.shared.health.stop(format!("applying the log: {error}"));
        if let Err(stopped) = self.shared.health.check() {
            self.shared.watches.fail_all(&stopped);
        }
    }

    /// Whether the log calls for a checkpoint: much is in it, or its segments are used up, which
    /// may be earlier where large transactions did not fit into the rest of one.
    fn is_log_long(&self) -> bool {
        let (pool, sizes) = (&self.shared.pool, &self.shared.sizes);
        let spare = pool.ready_count() + self.spares.files.len();
        let used_up = spare == 0 && self.spares.count >= sizes.segments();
        used_up || pool.used_bytes() >= sizes.checkpoint_bytes
    }

    /// Applies what is frozen, then makes a checkpoint if one is due.
    fn apply_all(&mut self) -> Result<()> {
        while let Some(generation) = self.shared.current.oldest_frozen() {
            let Some(last) = generation.last() else { break };
            let applied = Some((last.position, last.version));
            self.file.write(Some(&generation), applied, false)?;
            self.pending = Some(last);
            let now = self.shared.env.clock.monotonic();
            self.shared.current.applied(self.file.snapshot()?, last.version, now);
            drop(generation);
            self.expire(now);
            // Commits may be waiting for memory.
            self.shared.pool.notify();
        }
        let age = self.shared.env.clock.monotonic().saturating_sub(self.last_checkpoint);
        let due = age >= Duration::from_millis(self.shared.sizes.checkpoint_ms);
        if due || self.is_log_long() {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Makes what has been applied durable.
    fn checkpoint(&mut self) -> Result<()> {
        if let Some(last) = self.pending {
            self.file.write(None, Some((last.position, last.version)), true)?;
            self.checkpointed_at(last);
        }
        Ok(())
    }

    fn checkpointed_at(&mut self, last: Last) {
        self.pending = None;
        self.last_checkpoint = self.shared.env.clock.monotonic();
        count(&self.shared.counters.checkpoints, 1);
        metrics::counter!("rialto_store_checkpoints_total").increment(1);
        for segment in self.shared.pool.release(last.position, last.written) {
            self.spares.files.push_back((segment.path, segment.file));
        }
        metrics::gauge!("rialto_store_log_used_bytes").set(self.shared.pool.used_bytes() as f64);
    }

    /// Readies every file that is not in use, and makes new ones so that one is always ready: a
    /// store that never has much to do stays small. A full disk is tried again at the next tick.
    fn ready_segments(&mut self) {
        let sizes = self.shared.sizes;
        let more = |this: &Self| {
            let none_ready = this.shared.pool.ready_count() == 0;
            !this.spares.files.is_empty() || none_ready && this.spares.count < sizes.segments()
        };
        while more(self) {
            match self.spares.ready_one(&self.shared.env, sizes.segment_bytes) {
                Ok(segment) => {
                    self.shared.pool.put_ready(segment);
                    self.shared.health.set_full(Full::Log, false);
                }
                Err(error) if error.is_full_disk() => {
                    self.shared.health.set_full(Full::Log, true);
                    return;
                }
                Err(error) => {
                    self.stop(&error);
                    return;
                }
            }
        }
    }

    /// Puts everything into the table file, durably.
    fn finish(&mut self) {
        self.shared.current.freeze(self.shared.env.clock.monotonic());
        if let Err(error) = self.apply_all().and_then(|()| self.checkpoint()) {
            tracing::warn!(%error, "no last checkpoint; the next start replays the log");
        }
    }
}

/// Where the log begins for a new store.
pub(crate) fn beginning(segment: &Segment, version: Version) -> (Position, Version) {
    let offset = crate::wal::format::PAGE as u64;
    (Position { generation: segment.header.generation, offset }, version)
}
