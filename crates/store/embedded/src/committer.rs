//! The one thread that commits.
//!
//! It takes all commits that wait as a group, and then, in this order: checks each against what
//! was written since its read version, works out the group's effect, writes it to the log as one
//! record, syncs once if anybody in the group waits for it, publishes, answers in order, fires
//! watches. All of a group has one commit version; a group is visible and durable as a whole.
//!
//! While one group is being synced the next one gathers in the queue: with many clients the group
//! grows by itself, and a waiting time would only cost latency.
//!
//! A failed sync or write ends it: the outcome of that group is unknown, everything after it is
//! refused. Only "no room" before anything was written is an error that passes.

use crate::error::Error;
use crate::group::{self, Prepared};
use crate::queue::{Next, Work};
use crate::shared::{Shared, count};
use crate::table::generation::{Effect, Last};
use crate::wal::format::restart_record;
use crate::wal::pool::Room;
use crate::wal::writer::Writer;
use crate::window::ConflictWindow;
use bytes::Bytes;
use contract_store::rules::CommitRequest;
use contract_store::rules::stamp::versionstamp;
use contract_store::{Durability, StoreError, StoreResult, Version, Versionstamp};
use std::sync::Arc;
use std::time::Duration;

/// How often a full log is looked at again while it stays full.
const FULL_POLL: Duration = Duration::from_millis(20);

/// So much memory stays with the buffer for records.
const BUFFER_KEPT_BYTES: usize = 512 << 10;

/// Values of this size are copied into memory of the committer's own, in bytes. An allocator keeps
/// apart what each thread has allocated, and keeps much of it: what all threads of a large machine
/// have written would stay in memory as often as there are threads.
const COPIED_BYTES: usize = 4 << 10;

/// See the module's words.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    writer: Writer,
    window: ConflictWindow,
    /// The last version given to a group, whether or not it came to be.
    version: Version,
    /// For the record that is being written.
    buffer: Vec<u8>,
    /// When the oldest unsynced record was written.
    unsynced_since: Option<Duration>,
    #[cfg(any(test, feature = "mutants"))]
    mutant: Option<crate::options::Mutant>,
}

/// A group being put together.
struct Group {
    version: Version,
    effect: Effect,
    accepted: Vec<(Work, Versionstamp)>,
    /// No more than this is in the effect.
    bytes_max: usize,
    sync: bool,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, writer: Writer) -> Self {
        let version = writer.last();
        Self {
            shared,
            writer,
            window: ConflictWindow::new(version),
            version,
            buffer: Vec::new(),
            unsynced_since: None,
            #[cfg(any(test, feature = "mutants"))]
            mutant: None,
        }
    }

    #[cfg(any(test, feature = "mutants"))]
    pub(crate) fn with_mutant(mut self, mutant: Option<crate::options::Mutant>) -> Self {
        self.mutant = mutant;
        self
    }

    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        let idle = Duration::from_millis(self.shared.sizes.unsynced_ms);
        loop {
            let idle_after = self.unsynced_since.map(|_| idle);
            match self.shared.queue.take(idle_after) {
                Next::Group(works) => {
                    self.commit(works);
                    self.sync_if_due();
                }
                Next::Idle => self.sync_or_stop(),
                Next::Closed => break,
            }
        }
        if self.unsynced_since.is_some() {
            self.sync_or_stop();
        }
    }

    fn commit(&mut self, works: Vec<Work>) {
        if let Err(error) = self.shared.health.check() {
            works.into_iter().for_each(|work| refuse(work, error.clone()));
            return;
        }
        let group = self.gather(works);
        if group.accepted.is_empty() {
            return;
        }
        let bytes = group::encoded_bytes(&group.effect);
        if let Err(error) = self.make_room(bytes) {
            group.accepted.into_iter().for_each(|(work, _)| refuse(work, error.clone()));
            return;
        }
        #[cfg(any(test, feature = "mutants"))]
        if self.mutant == Some(crate::options::Mutant::AckBeforeCommit) {
            self.acknowledge_then_write(group, bytes);
            return;
        }
        match self.write(&group, bytes) {
            Ok(last) => self.publish(group, last),
            Err(error) => {
                group.accepted.into_iter().for_each(|(work, _)| refuse(work, error.clone()));
            }
        }
    }

    /// Checks each commit and adds what passes to the group's effect.
    fn gather(&mut self, works: Vec<Work>) -> Group {
        self.version += 1;
        let now = self.shared.env.clock.monotonic();
        let mut group = Group {
            version: self.version,
            effect: Effect::default(),
            accepted: Vec::with_capacity(works.len()),
            bytes_max: 0,
            sync: false,
        };
        let room = Writer::body_bytes_max(self.shared.sizes.segment_bytes);
        let mut works = works.into_iter();
        while let Some(mut work) = works.next() {
            let bytes = group::bytes_max(&work.request.mutations);
            if !group.accepted.is_empty() && group.bytes_max + bytes > room {
                let rest = std::iter::once(work).chain(works).collect();
                self.shared.queue.put_back(rest);
                break;
            }
            let stamp = versionstamp(group.version, group.accepted.len() as u16);
            match self.admit(&mut work.request, &stamp, &mut group, bytes, now) {
                Ok(()) => {
                    group.sync |= work.request.durability == Durability::OnCommit;
                    group.bytes_max += bytes;
                    group.accepted.push((work, stamp));
                }
                Err(error) => {
                    if error == StoreError::Conflict {
                        count(&self.shared.counters.conflicts, 1);
                    }
                    refuse(work, error);
                }
            }
        }
        group
    }

    fn admit(
        &mut self,
        request: &mut CommitRequest,
        stamp: &Versionstamp,
        group: &mut Group,
        bytes: usize,
        now: Duration,
    ) -> StoreResult<()> {
        self.window.check(request)?;
        let (view, newest) = self.shared.current.newest_held();
        let mutations = std::mem::take(&mut request.mutations);
        let effect = &group.effect;
        let prepared = Prepared::new(mutations, stamp, |key| {
            // What the group itself did to a key stands above the tables.
            if effect.keys.contains_key(key) { Ok(None) } else { view.get(key, newest) }
        })?;
        let written: Vec<_> = prepared.written().chain(request.writes.iter()).collect();
        if bytes > Writer::body_bytes_max(self.shared.sizes.segment_bytes) {
            // Only now is it worth knowing exactly; the group is empty here.
            let mut alone = Effect::default();
            prepared.add_to(&mut alone);
            let fits = group::encoded_bytes(&alone)
                <= Writer::body_bytes_max(self.shared.sizes.segment_bytes);
            if !fits {
                return Err(StoreError::TransactionTooLarge);
            }
            group.effect = alone;
        } else {
            prepared.add_to(&mut group.effect);
        }
        self.window.insert(written.into_iter(), group.version, now);
        Ok(())
    }

    /// Whether the table file must catch up before more is taken in.
    fn is_memory_full(&self) -> bool {
        self.shared.current.unapplied_bytes() > self.shared.sizes.unapplied_bytes_max
    }

    /// Waits until memory and the log have room for a body of this length and enters the next
    /// segment if it must. Nothing of the group has happened when this fails.
    fn make_room(&mut self, body_bytes: usize) -> StoreResult<()> {
        let record = Writer::record_bytes(body_bytes);
        let roll = self.writer.needs_roll(record);
        while self.is_memory_full() || matches!(self.shared.pool.room(record, roll), Room::Full) {
            self.shared.health.check()?;
            if self.shared.health.is_full() {
                return Err(StoreError::OutOfSpace);
            }
            count(&self.shared.counters.full_waits, 1);
            self.shared.bell.ring();
            self.shared.pool.wait(FULL_POLL);
        }
        if !roll {
            return Ok(());
        }
        let Some(next) = self.shared.pool.take() else {
            return Err(StoreError::OutOfSpace);
        };
        if let Err(error) = self.writer.append_roll(&next) {
            self.shared.pool.put_back(next);
            return Err(if error.is_full_disk() {
                StoreError::OutOfSpace
            } else {
                self.stop(&error)
            });
        }
        match self.writer.enter(next) {
            Ok(left) => {
                self.shared.pool.put_live(left);
                count(&self.shared.counters.syncs, 1);
                self.unsynced_since = None;
                // Another segment must be readied, or a checkpoint made that gives one back.
                self.shared.bell.ring();
                Ok(())
            }
            Err(error) => Err(self.stop(&error)),
        }
    }

    fn write(&mut self, group: &Group, bytes: usize) -> StoreResult<Last> {
        restart_record(&mut self.buffer, bytes);
        group::encode(&group.effect, &mut self.buffer);
        match self.writer.append(group.version, &mut self.buffer) {
            Ok(()) => {}
            Err(error) if error.is_full_disk() => return Err(StoreError::OutOfSpace),
            Err(error) => return Err(self.stop(&error)),
        }
        let len = self.buffer.len() as u64;
        self.buffer.shrink_to(BUFFER_KEPT_BYTES);
        count(&self.shared.counters.log_bytes, len);
        let written = self.shared.pool.add_bytes(len);
        if group.sync {
            self.sync()?;
        } else if self.unsynced_since.is_none() {
            self.unsynced_since = Some(self.shared.env.clock.monotonic());
        }
        Ok(Last { version: group.version, position: self.writer.position(), written })
    }

    fn publish(&mut self, mut group: Group, last: Last) {
        for value in group.effect.keys.values_mut().flatten() {
            if value.len() >= COPIED_BYTES {
                *value = Bytes::copy_from_slice(value);
            }
        }
        let now = self.shared.env.clock.monotonic();
        self.shared.current.publish(&group.effect, last, now);
        let commits = group.accepted.len() as u64;
        for (work, stamp) in group.accepted {
            let Work { request, reply, permit, .. } = work;
            if !request.watches.is_empty() {
                self.shared.register_watches(request.watches);
            }
            // The caller may have gone away; the commit stands.
            let _ = reply.send((Ok((group.version, stamp)), Vec::new()));
            drop(permit);
        }
        self.shared.watches.fire(&group.effect);
        count(&self.shared.counters.commits, commits);
        count(&self.shared.counters.groups, 1);
        metrics::counter!("rialto_store_commits_total").increment(commits);
        metrics::counter!("rialto_store_commit_groups_total").increment(1);
        let sizes = &self.shared.sizes;
        if self.shared.current.active_bytes() >= sizes.generation_bytes
            || self.shared.pool.used_bytes() >= sizes.checkpoint_bytes
        {
            self.shared.bell.ring();
        }
    }

    /// Syncs what `WithNext` commits have left behind, if it is too much or too old.
    fn sync_if_due(&mut self) {
        let Some(since) = self.unsynced_since else {
            return;
        };
        let age = self.shared.env.clock.monotonic().saturating_sub(since);
        if age >= Duration::from_millis(self.shared.sizes.unsynced_ms)
            || self.writer.unsynced_bytes() >= self.shared.sizes.unsynced_bytes
        {
            self.sync_or_stop();
        }
    }

    fn sync_or_stop(&mut self) {
        // The error is in the store's health; who commits next gets it.
        let _ = self.sync();
    }

    fn sync(&mut self) -> StoreResult<()> {
        self.unsynced_since = None;
        #[cfg(any(test, feature = "mutants"))]
        if self.mutant == Some(crate::options::Mutant::NoFsync) {
            self.writer.pretend_sync();
            return Ok(());
        }
        self.shared.health.check()?;
        let begun = self.shared.env.clock.monotonic();
        if let Err(error) = self.writer.sync() {
            return Err(self.stop(&error));
        }
        let took = self.shared.env.clock.monotonic().saturating_sub(begun);
        count(&self.shared.counters.syncs, 1);
        metrics::counter!("rialto_store_syncs_total").increment(1);
        metrics::histogram!("rialto_store_sync_seconds").record(took);
        Ok(())
    }

    /// Stops the store. What is under way may have reached the disk, so its outcome is unknown;
    /// reads are stopped too, so nobody can conclude from them that it has not happened.
    fn stop(&self, error: &Error) -> StoreError {
        self.shared.health.stop(format!("the log: {error}"));
        if let Err(stopped) = self.shared.health.check() {
            self.shared.watches.fail_all(&stopped);
        }
        StoreError::CommitUnknown
    }

    /// What [`crate::options::Mutant::AckBeforeCommit`] does: shows and acknowledges, then writes.
    #[cfg(any(test, feature = "mutants"))]
    fn acknowledge_then_write(&mut self, mut group: Group, bytes: usize) {
        let Effect { keys, cleared } = &group.effect;
        let shown = Group {
            version: group.version,
            effect: Effect { keys: keys.clone(), cleared: cleared.clone() },
            accepted: std::mem::take(&mut group.accepted),
            bytes_max: group.bytes_max,
            sync: group.sync,
        };
        let last = Last {
            version: group.version,
            position: self.writer.position(),
            written: self.shared.pool.add_bytes(0),
        };
        self.publish(shown, last);
        // A killed process loses nothing that it has written, so the mutant must be late with
        // writing for `kill -9` to show what a power cut would.
        #[cfg(feature = "mutants")]
        #[allow(clippy::disallowed_methods)]
        std::thread::sleep(Duration::from_millis(20));
        // Nobody is left to hear of an error.
        let _ = self.write(&group, bytes);
    }
}

/// Answers a commit that did not happen.
pub(crate) fn refuse(work: Work, error: StoreError) {
    let _ = work.reply.send((Err(error), work.request.watches));
}
