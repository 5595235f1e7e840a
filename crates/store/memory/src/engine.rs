//! The one place where commits are ordered: versions, conflicts, rows, watches and faults.

use crate::faults::{CommitFault, Dice, Faults, StoreStats, choose_commit_fault};
use crate::mvcc::Mvcc;
use crate::watch::Watches;
use bytes::Bytes;
use contract_store::limits::{TRANSACTION_MS_MAX, WATCHES_MAX};
use contract_store::rules::{
    CommitRequest, Mutation, RecentWrites, Snapshot, WatchRequest, atomic, stamp,
};
use contract_store::{Durability, KeyRange, Page, StoreError, StoreResult, Version, Versionstamp};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// How long versions stay readable.
pub(crate) const READABLE: Duration = Duration::from_millis(TRANSACTION_MS_MAX);

/// The version of an empty store.
const FIRST_VERSION: Version = 1_000_000;

/// After how many commits old writes are dropped from conflict detection.
const COMMITS_PER_CLEANING: u64 = 256;

/// How many versions are kept at most, whatever the clock says: it may stand still.
const VERSIONS_MAX: usize = 100_000;

/// Version and stamp of an applied commit.
pub(crate) type Applied = (Version, Versionstamp);

pub(crate) struct Engine {
    rows: Mvcc,
    recent: RecentWrites,
    /// Commits of the last seconds with their times; the first is the oldest readable version.
    times: VecDeque<(Version, Duration)>,
    last: Version,
    durable: Version,
    /// Raised by a crash: transactions of before are gone.
    pub(crate) generation: u64,
    pub(crate) watches: Watches,
    pub(crate) watches_max: usize,
    pub(crate) faults: Faults,
    pub(crate) script: VecDeque<CommitFault>,
    /// Whether there is no room on the disk.
    pub(crate) is_full: bool,
    pub(crate) dice: Dice,
    late: Vec<CommitRequest>,
    /// Rows whose values cannot be read until they are written anew.
    pub(crate) damaged: BTreeSet<Bytes>,
    pub(crate) stats: StoreStats,
}

impl Engine {
    pub(crate) fn new(seed: u64, now: Duration) -> Self {
        Self {
            rows: Mvcc::default(),
            recent: RecentWrites::default(),
            times: VecDeque::from([(FIRST_VERSION, now)]),
            last: FIRST_VERSION,
            durable: FIRST_VERSION,
            generation: 0,
            watches: Watches::default(),
            watches_max: WATCHES_MAX,
            faults: Faults::default(),
            script: VecDeque::new(),
            is_full: false,
            dice: Dice::new(seed),
            late: Vec::new(),
            damaged: BTreeSet::new(),
            stats: StoreStats::default(),
        }
    }

    /// The newest version.
    pub(crate) fn latest(&self) -> Version {
        self.last
    }

    /// When a version became current; `None` if that is too long ago to know.
    pub(crate) fn time_of(&self, version: Version) -> Option<Duration> {
        self.times.iter().rev().find(|(at, _)| *at <= version).map(|(_, time)| *time)
    }

    fn floor(&self) -> Version {
        self.times.front().map_or(FIRST_VERSION, |(version, _)| *version)
    }

    /// Adds a decision to the trace.
    pub(crate) fn trace(&mut self, what: u64) {
        self.stats.trace = (self.stats.trace ^ what).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
    }

    /// One version of the rows, for a transaction that began reading at `since`.
    pub(crate) fn snapshot(&self, version: Version, since: Duration, now: Duration) -> View<'_> {
        let problem = if version > self.last {
            Some(StoreError::FutureVersion)
        } else if self.is_too_old(version, since, now) {
            Some(StoreError::TooOld)
        } else {
            None
        };
        View { rows: &self.rows, damaged: &self.damaged, version, problem }
    }

    fn is_too_old(&self, version: Version, since: Duration, now: Duration) -> bool {
        version < self.floor() || now.saturating_sub(since) > READABLE
    }

    /// Commits, or does what the faults say. The request's watches are registered or left.
    pub(crate) fn commit(
        &mut self,
        request: &mut CommitRequest,
        since: Duration,
        now: Duration,
    ) -> StoreResult<Option<Applied>> {
        self.land_some(now);
        if request.is_read_only() {
            self.stats.read_only_commits += 1;
            self.register(std::mem::take(&mut request.watches));
            return Ok(None);
        }
        self.stats.commits += 1;
        if self.is_full {
            return Err(StoreError::OutOfSpace);
        }
        let fault =
            self.script.pop_front().or_else(|| choose_commit_fault(&self.faults, &mut self.dice));
        if let Some(fault) = fault {
            self.stats.faults += 1;
            self.trace(fault as u64 + 1);
        }
        match fault {
            None => {
                let applied = self.check_and_apply(request, since, now)?;
                self.register(std::mem::take(&mut request.watches));
                Ok(Some(applied))
            }
            Some(CommitFault::Conflict) => Err(StoreError::Conflict),
            Some(CommitFault::UnknownNotApplied) => Err(StoreError::CommitUnknown),
            Some(CommitFault::TooOld) => Err(StoreError::TooOld),
            Some(CommitFault::Busy) => Err(StoreError::Busy(1051)),
            Some(CommitFault::OutOfSpace) => Err(StoreError::OutOfSpace),
            Some(CommitFault::UnknownApplied) => {
                self.check_and_apply(request, since, now)?;
                Err(StoreError::CommitUnknown)
            }
            Some(CommitFault::Late) => {
                let mut late = std::mem::take(request);
                request.watches = std::mem::take(&mut late.watches);
                late.read_version.get_or_insert(self.last);
                self.late.push(late);
                Err(StoreError::Cancelled)
            }
        }
    }

    fn check_and_apply(
        &mut self,
        request: &mut CommitRequest,
        since: Duration,
        now: Duration,
    ) -> StoreResult<Applied> {
        // A blind write without a read version is as of now (fact 19).
        if let Some(version) = request.read_version {
            if version <= self.last && self.is_too_old(version, since, now) {
                return Err(StoreError::TooOld);
            }
            if request.reads.iter().any(|range| self.recent.changed_since(&range, version)) {
                self.stats.conflicts += 1;
                self.trace(99);
                return Err(StoreError::Conflict);
            }
        }
        for mutation in &request.mutations {
            if let Mutation::Atomic(_, key, _) = mutation
                && self.damaged.contains(key)
            {
                return Err(damaged(key));
            }
        }
        self.apply(request, now)
    }

    fn apply(&mut self, request: &mut CommitRequest, now: Duration) -> StoreResult<Applied> {
        let version = self.last + 1 + self.dice.below(10_000) as Version;
        let stamp = stamp::versionstamp(version, 0);
        let mutations = std::mem::take(&mut request.mutations);
        let mutations: Vec<Mutation> =
            mutations.into_iter().map(|m| m.resolve(&stamp)).collect::<StoreResult<_>>()?;
        self.last = version;
        self.times.push_back((version, now));
        let mut written: Vec<KeyRange> = request.writes.iter().collect();
        written.extend(mutations.iter().map(Mutation::written));
        let mut watched = Vec::new();
        for range in &written {
            self.recent.insert(range, version);
            watched.append(&mut self.watches.keys_in(range));
        }
        for mutation in mutations {
            let written = mutation.written();
            self.damaged.retain(|key| !written.contains(key));
            self.mutate(mutation, version);
        }
        for key in watched {
            self.watches.changed(&key, self.rows.get(&key, version).as_ref());
        }
        if request.durability == Durability::OnCommit {
            self.durable = version;
        }
        self.stats.applied += 1;
        self.stats.bytes_committed += request.size_bytes as u64;
        self.trace(version as u64);
        self.forget_old(now);
        Ok((version, stamp))
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

    /// Drops versions that are too old for every reader. A version is kept until its successor is
    /// five seconds old: until then somebody may have begun with it.
    fn forget_old(&mut self, now: Duration) {
        while self.times.len() > 1
            && (now.saturating_sub(self.times[1].1) > READABLE || self.times.len() > VERSIONS_MAX)
        {
            self.times.pop_front();
        }
        // What a crash would go back to must stay as well.
        let floor = self.floor().min(self.durable);
        self.rows.prune(floor);
        if self.stats.applied.is_multiple_of(COMMITS_PER_CLEANING) {
            self.recent.forget(floor);
        }
    }

    fn register(&mut self, watches: Vec<WatchRequest>) {
        for watch in watches {
            let value = self.rows.get(&watch.key, self.last);
            self.watches.register(watch, value.as_ref(), self.watches_max);
        }
    }

    /// Lets each late commit land with one chance in four.
    pub(crate) fn land_some(&mut self, now: Duration) {
        for request in std::mem::take(&mut self.late) {
            if self.dice.below(4) == 0 {
                self.land(request, now);
            } else {
                self.late.push(request);
            }
        }
    }

    /// Lets all late commits land, or fail if what they read has changed.
    pub(crate) fn land_all(&mut self, now: Duration) {
        for request in std::mem::take(&mut self.late) {
            self.land(request, now);
        }
    }

    fn land(&mut self, mut request: CommitRequest, now: Duration) {
        match self.check_and_apply(&mut request, now, now) {
            Ok(_) => self.stats.late_landed += 1,
            Err(_) => self.stats.late_dropped += 1,
        }
    }

    /// Loses what was not durable, and every transaction and watch.
    pub(crate) fn crash(&mut self, now: Duration) {
        self.generation += 1;
        self.rows.lose_after(self.durable);
        self.watches = Watches::default();
        self.late.clear();
        // As after a restart: versions jump, and nobody reads what came before.
        self.last += 100_000_000;
        self.times = VecDeque::from([(self.last, now)]);
        self.durable = self.last;
        self.recent = RecentWrites::default();
    }

    pub(crate) fn stats(&self) -> StoreStats {
        StoreStats { watches: self.watches.len() as u64, ..self.stats.clone() }
    }
}

/// One version of the rows; every read fails where the version cannot be read.
pub(crate) struct View<'a> {
    rows: &'a Mvcc,
    damaged: &'a BTreeSet<Bytes>,
    version: Version,
    problem: Option<StoreError>,
}

impl View<'_> {
    fn readable(&self) -> StoreResult<()> {
        self.problem.clone().map_or(Ok(()), Err)
    }
}

impl Snapshot for View<'_> {
    fn get(&self, key: &[u8]) -> StoreResult<Option<Bytes>> {
        self.readable()?;
        match self.damaged.get(key) {
            Some(key) => Err(damaged(key)),
            None => Ok(self.rows.get(key, self.version)),
        }
    }

    fn scan(&self, range: &KeyRange, reverse: bool, rows: usize) -> StoreResult<Page> {
        self.readable()?;
        let page = self.rows.scan(range, reverse, rows, self.version);
        match page.rows.iter().find(|row| self.damaged.contains(&row.key)) {
            Some(row) => Err(damaged(&row.key)),
            None => Ok(page),
        }
    }
}

fn damaged(key: &Bytes) -> StoreError {
    StoreError::Damaged { key: key.clone(), what: "as the test wishes".into() }
}
