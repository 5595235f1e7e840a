//! The database itself: versions, rows, conflicts, watches.
//!
//! A version becomes current when a group of commits is applied, or, when nothing was committed for
//! a second, when somebody asks for a read version. It can be read for five seconds after its
//! successor became current, and for six when it has none: nobody is given an older one.

use super::faults::{CommitFault, Faults, Stats};
use crate::codes;
use crate::wire::{Commit, Scan, Span};
use bytes::Bytes;
use contract_store::rules::{Mutation, RecentWrites, WatchRequest, atomic, stamp};
use contract_store::{KeyRange, Version};
use std::collections::VecDeque;
use std::time::Duration;
use store_memory::parts::{Dice, Mvcc, Watches};

/// How long versions stay readable once they have a successor.
const READABLE: Duration = Duration::from_secs(5);

/// How long a version is given to readers at most.
const GIVEN: Duration = Duration::from_secs(1);

/// By how much versions jump at a restart or recovery (fact 23).
pub(super) const JUMP: Version = 100_000_000;

/// After how many groups old writes are dropped from conflict detection.
const GROUPS_PER_CLEANING: u64 = 256;

/// Watches of all clients together.
const WATCHES_MAX: usize = 1_000_000;

/// A page holds no more rows than this, whatever is asked for.
const PAGE_ROWS_MAX: usize = 20_000;

/// A page ends after about so many bytes, whatever is asked for: it must fit into a frame.
const PAGE_BYTES_MAX: usize = 16 << 20;

/// Rows looked up at a time: more than a page rarely needs.
const STEP_ROWS: usize = 256;

/// Why a commit was not made.
pub(super) enum Refusal {
    Code(i32),
    Conflict(Vec<u32>),
}

/// A commit that passed the checks, with its stamp put in.
pub(super) struct Accepted {
    pub(super) mutations: Vec<Mutation>,
    pub(super) written: Vec<KeyRange>,
    /// Of the mutations and both kinds of conflict ranges.
    pub(super) bytes: u64,
}

pub(super) struct Engine {
    rows: Mvcc,
    recent: RecentWrites,
    /// Versions with the times at which they became current; the first is the oldest readable.
    times: VecDeque<(Version, Duration)>,
    last: Version,
    /// No version above this is given before the log holds a higher one: after a restart versions
    /// go on above all that anybody has seen.
    pub(super) ceiling: Version,
    /// A group of commits is being made at a version above `last`.
    in_group: bool,
    /// How far the next version jumps.
    jump: Version,
    watches: Watches,
    pub(super) faults: Faults,
    pub(super) script: VecDeque<CommitFault>,
    /// The codes with which the next reads fail.
    pub(super) read_script: VecDeque<i32>,
    /// For faults only, so that the same commits meet the same faults whenever late ones land.
    pub(super) dice: Dice,
    steps: Dice,
    pub(super) stats: Stats,
}

fn range(span: &Span) -> KeyRange {
    KeyRange { begin: span.0.clone(), end: span.1.clone() }
}

impl Engine {
    /// With the rows of a log, at a version above all that it holds.
    pub(super) fn new(
        rows: impl IntoIterator<Item = (Bytes, Bytes)>,
        version: Version,
        seed: u64,
        now: Duration,
    ) -> Self {
        let mut mvcc = Mvcc::default();
        for (key, value) in rows {
            mvcc.write(&key, Some(value), version);
        }
        Self {
            rows: mvcc,
            recent: RecentWrites::default(),
            times: VecDeque::from([(version, now)]),
            last: version,
            ceiling: Version::MAX,
            in_group: false,
            jump: 0,
            watches: Watches::default(),
            faults: Faults::default(),
            script: VecDeque::new(),
            read_script: VecDeque::new(),
            dice: Dice::new(seed),
            steps: Dice::new(!seed),
            stats: Stats::default(),
        }
    }

    /// The newest version, moved on if it is a second old.
    pub(super) fn read_version(&mut self, now: Duration) -> Version {
        self.stats.read_versions += 1;
        let since = self.times.back().map_or(Duration::ZERO, |(_, time)| *time);
        if now.saturating_sub(since) > GIVEN && !self.in_group {
            let version = self.next_version(now).min(self.ceiling);
            // At the ceiling it waits for the log, which is raised long before.
            if version > self.last {
                self.become_current(version, now);
            }
        }
        self.last
    }

    /// Whether the log must hold a higher version soon.
    pub(super) fn nears_ceiling(&self) -> bool {
        self.ceiling.saturating_sub(self.last) < super::log::RESERVED / 2
    }

    /// Fixes the version of the next group; nothing else becomes current until it is applied.
    pub(super) fn begin_group(&mut self, now: Duration) -> Version {
        self.in_group = true;
        self.next_version(now)
    }

    /// About a million versions pass in a second.
    fn next_version(&mut self, now: Duration) -> Version {
        let (last, since) = self.times.back().copied().unwrap_or((self.last, now));
        let passed = i64::try_from(now.saturating_sub(since).as_micros()).unwrap_or(JUMP);
        let passed = passed.max(self.steps.below(10_000) as Version);
        last.max(self.last) + 1 + passed + std::mem::take(&mut self.jump)
    }

    fn become_current(&mut self, version: Version, now: Duration) {
        self.last = version;
        self.times.push_back((version, now));
        while self.times.len() > 1 && now.saturating_sub(self.times[1].1) > READABLE {
            self.times.pop_front();
        }
        let floor = self.times[0].0;
        self.rows.prune(floor);
        if self.stats.groups.is_multiple_of(GROUPS_PER_CLEANING) {
            self.recent.forget(floor);
        }
    }

    /// After an outage versions go on far above.
    pub(super) fn jump(&mut self) {
        self.jump = JUMP;
    }

    fn is_too_old(&self, version: Version, now: Duration) -> bool {
        let behind = self.times.partition_point(|(at, _)| *at <= version);
        let Some((_, since)) = behind.checked_sub(1).and_then(|at| self.times.get(at)) else {
            return true;
        };
        let successor = self.times.get(behind).map(|(_, time)| *time);
        let given_until = successor.unwrap_or(Duration::MAX).min(*since + GIVEN);
        now > given_until + READABLE
    }

    /// Whether a version can be read, faults aside.
    fn readable(&self, version: Version, now: Duration) -> Result<(), i32> {
        if version > self.last {
            Err(codes::FUTURE_VERSION)
        } else if self.is_too_old(version, now) {
            Err(codes::TOO_OLD)
        } else {
            Ok(())
        }
    }

    /// Whether a read may go on, faults among the reasons why not.
    fn admit(&mut self, version: Version, now: Duration) -> Result<(), i32> {
        if self.dice.happens(self.faults.too_old) {
            self.stats.faults += 1;
            return Err(codes::TOO_OLD);
        }
        self.readable(version, now)?;
        let at = self.times.partition_point(|(at, _)| *at <= version);
        let since = at.checked_sub(1).and_then(|at| self.times.get(at)).map(|(_, time)| *time);
        let age = now.saturating_sub(since.unwrap_or(now)).as_millis() as u64;
        self.stats.read_age_ms_max = self.stats.read_age_ms_max.max(age);
        Ok(())
    }

    pub(super) fn get(
        &mut self,
        version: Version,
        key: &[u8],
        now: Duration,
    ) -> Result<Option<Bytes>, i32> {
        self.stats.gets += 1;
        self.admit(version, now)?;
        Ok(self.rows.get(key, version))
    }

    /// A page of rows and whether there may be more.
    pub(super) fn scan(
        &mut self,
        scan: &Scan,
        now: Duration,
    ) -> Result<(Vec<(Bytes, Bytes)>, bool), i32> {
        self.admit(scan.version, now)?;
        let rows_max = if scan.rows == 0 { PAGE_ROWS_MAX } else { scan.rows as usize };
        let (rows, more) = self.page(scan, rows_max.min(PAGE_ROWS_MAX));
        self.stats.pages += 1;
        self.stats.rows_read += rows.len() as u64;
        Ok((rows, more))
    }

    fn page(&self, scan: &Scan, rows_max: usize) -> (Vec<(Bytes, Bytes)>, bool) {
        let mut left = range(&scan.span);
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let bytes_max = (scan.bytes as usize).min(PAGE_BYTES_MAX);
        loop {
            let step = STEP_ROWS.min(rows_max - rows.len());
            let page = self.rows.scan(&left, scan.reverse, step, scan.version);
            for row in page.rows {
                if scan.reverse {
                    left.end = row.key.clone();
                } else {
                    left.begin = KeyRange::single(&row.key).end;
                }
                bytes += row.key.len() + row.value.len();
                rows.push((row.key, row.value));
                if rows.len() >= rows_max || bytes >= bytes_max {
                    return (rows, true);
                }
            }
            if !page.more {
                return (rows, false);
            }
        }
    }

    /// The bytes of keys and values in a span.
    pub(super) fn size(
        &mut self,
        version: Version,
        span: &Span,
        now: Duration,
    ) -> Result<i64, i32> {
        self.readable(version, now)?;
        let page = self.rows.scan(&range(span), false, usize::MAX, version);
        let bytes: usize = page.rows.iter().map(|row| row.key.len() + row.value.len()).sum();
        Ok(i64::try_from(bytes).unwrap_or(i64::MAX))
    }

    /// Keys that cut a span into parts of about `chunk_bytes`, with both ends.
    pub(super) fn split(
        &mut self,
        version: Version,
        span: &Span,
        chunk_bytes: u64,
        now: Duration,
    ) -> Result<Vec<Bytes>, i32> {
        self.readable(version, now)?;
        let mut keys = vec![span.0.clone()];
        let mut bytes = 0;
        for row in self.rows.scan(&range(span), false, usize::MAX, version).rows {
            if bytes >= chunk_bytes.max(1) && row.key != span.0 {
                keys.push(row.key.clone());
                bytes = 0;
            }
            bytes += (row.key.len() + row.value.len()) as u64;
        }
        keys.push(span.1.clone());
        Ok(keys)
    }

    /// Whether a commit may be made, and what it writes. It must be applied at `version`, after all
    /// that was accepted before, and before any later commit is checked at another version.
    pub(super) fn accept(
        &mut self,
        commit: &mut Commit,
        version: Version,
        batch: u16,
        now: Duration,
    ) -> Result<Accepted, Refusal> {
        // A blind write without a read version is as of now (fact 19); one from the future is taken
        // (fact 20), but not for more than it is: what nobody can have read is as of now, too.
        if let Some(read) = commit.read_version {
            if read <= self.last && self.is_too_old(read, now) {
                return Err(Refusal::Code(codes::TOO_OLD));
            }
            let read = read.min(self.last);
            let changed = |span: &Span| self.recent.changed_since(&range(span), read);
            let spans = commit.reads.iter().enumerate();
            let conflicts: Vec<u32> =
                spans.filter(|(_, span)| changed(span)).map(|(at, _)| at as u32).collect();
            if !conflicts.is_empty() {
                self.stats.conflicts += 1;
                return Err(Refusal::Conflict(conflicts));
            }
        }
        let accepted = resolve(commit, version, batch).map_err(Refusal::Code)?;
        for range in &accepted.written {
            self.recent.insert(range, version);
        }
        Ok(accepted)
    }

    /// Ends a group: makes accepted commits current.
    pub(super) fn apply(&mut self, group: Vec<Accepted>, version: Version, now: Duration) {
        self.in_group = false;
        if group.is_empty() {
            return;
        }
        for accepted in group {
            self.stats.commit_bytes += accepted.bytes;
            self.stats.commit_bytes_max = self.stats.commit_bytes_max.max(accepted.bytes);
            let mut watched = Vec::new();
            for mutation in &accepted.mutations {
                watched.append(&mut self.watches.keys_in(&mutation.written()));
            }
            for mutation in accepted.mutations {
                self.mutate(mutation, version);
            }
            for key in watched {
                self.watches.changed(&key, self.rows.get(&key, version).as_ref());
            }
            self.stats.applied += 1;
        }
        self.stats.groups += 1;
        self.become_current(version, now);
    }

    fn mutate(&mut self, mutation: Mutation, version: Version) {
        match mutation {
            Mutation::Set(key, value) => self.rows.write(&key, Some(value), version),
            Mutation::Clear(key) => self.rows.write(&key, None, version),
            Mutation::ClearRange(range) => self.rows.clear_range(&range, version),
            Mutation::Atomic(op, key, param) => {
                let before = self.rows.get(&key, version);
                self.rows.write(&key, atomic::apply(op, before.as_ref(), &param), version);
            }
        }
    }

    /// Takes a watch; it fires at once if the value differs already.
    pub(super) fn watch(&mut self, watch: WatchRequest) {
        let value = self.rows.get(&watch.key, self.last);
        self.watches.register(watch, value.as_ref(), WATCHES_MAX);
    }

    /// Fires every watch.
    pub(super) fn fire_watches(&mut self) {
        self.watches.fire_all();
    }

    /// The code with which a read is to fail, if it is.
    pub(super) fn ordered_failure(&mut self) -> Option<i32> {
        let code = self.read_script.pop_front();
        self.stats.faults += u64::from(code.is_some());
        code
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { version: self.last, watches: self.watches.len() as u64, ..self.stats.clone() }
    }
}

/// Puts the stamp into a commit's mutations, and says what they write.
fn resolve(commit: &mut Commit, version: Version, batch: u16) -> Result<Accepted, i32> {
    let stamp = stamp::versionstamp(version, batch);
    let mut mutations = Vec::with_capacity(commit.mutations.len());
    let mut written: Vec<KeyRange> = commit.writes.iter().map(range).collect();
    for (number, change) in std::mem::take(&mut commit.mutations).into_iter().enumerate() {
        let mutation = change.mutation().ok_or(codes::BAD_MUTATION)?;
        let mutation = mutation.resolve(&stamp).map_err(|error| error.code())?;
        if commit.silent.binary_search(&(number as u32)).is_err() {
            written.push(mutation.written());
        }
        mutations.push(mutation);
    }
    let bytes = mutations.iter().map(payload).sum::<usize>()
        + written.iter().map(|range| range.begin.len() + range.end.len()).sum::<usize>()
        + commit.reads.iter().map(|(begin, end)| begin.len() + end.len()).sum::<usize>();
    Ok(Accepted { mutations, written, bytes: bytes as u64 })
}

fn payload(mutation: &Mutation) -> usize {
    match mutation {
        Mutation::Set(key, value) | Mutation::Atomic(_, key, value) => key.len() + value.len(),
        Mutation::Clear(key) => key.len(),
        Mutation::ClearRange(range) => range.begin.len() + range.end.len(),
    }
}

#[cfg(test)]
mod tests;
