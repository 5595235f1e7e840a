//! What goes wrong on purpose, and the record of it.

/// How likely each fault is, per commit or read, from 0 to 1. All zero by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// A commit fails with a conflict that nobody caused (1020).
    pub conflict: f64,
    /// A commit happens and is reported as unknown (1021).
    pub commit_unknown_applied: f64,
    /// A commit does not happen and is reported as unknown (1021).
    pub commit_unknown_not_applied: f64,
    /// A commit is reported as cancelled (1025) and lands some time later, unless what it read has
    /// been changed by then.
    pub late_commit: f64,
    /// A read or commit takes 0.1 to 8 seconds.
    pub stall: f64,
    /// A read or commit finds its version too old (1007).
    pub too_old: f64,
    /// A range read ends after one to three rows with more to come.
    pub short_pages: f64,
    /// A read or commit is turned away (1037, 1051 or 1213).
    pub busy: f64,
    /// A read lets other tasks run first, so that transactions interleave.
    pub interleave: f64,
}

/// A fault for one commit, see [`crate::MemoryStore::fail_next_commit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// 1020, not applied.
    Conflict,
    /// 1021, applied.
    UnknownApplied,
    /// 1021, not applied.
    UnknownNotApplied,
    /// 1025; applied by a later call, or by [`crate::MemoryStore::land_late_commits`].
    Late,
    /// 1007, not applied.
    TooOld,
    /// 1051, not applied.
    Busy,
    /// No space left; not applied.
    OutOfSpace,
}

/// What the store has done since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Transactions begun, resets and retries not counted.
    pub begun: u64,
    /// Commits that were asked for and had something to write.
    pub commits: u64,
    /// Those that were applied (late ones too).
    pub applied: u64,
    /// Commits that had nothing to write.
    pub read_only_commits: u64,
    /// Commits that failed with a real conflict.
    pub conflicts: u64,
    /// Reads of one key, selectors included.
    pub point_reads: u64,
    /// Pages of range reads.
    pub range_reads: u64,
    /// Rows in those pages.
    pub rows_read: u64,
    /// Bytes of mutations and conflict ranges in applied commits.
    pub bytes_committed: u64,
    /// Faults injected, of any kind.
    pub faults: u64,
    /// Late commits that landed.
    pub late_landed: u64,
    /// Late commits that found a conflict and were dropped.
    pub late_dropped: u64,
    /// Watches that wait now.
    pub watches: u64,
    /// A checksum of everything that was decided, in order; equal for equal runs.
    pub trace: u64,
}

/// A small seeded generator (SplitMix64): deterministic, not for secrets.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.u64()) * u128::from(bound)) >> 64) as u64
    }

    /// Whether something of this probability happens. Takes nothing from the sequence where it
    /// never does, so that a new kind of fault does not change old runs.
    pub fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && (self.u64() >> 11) as f64 / ((1_u64 << 53) as f64) < probability
    }
}

/// What is to happen to one commit, decided by the script or the dice.
pub(crate) fn choose_commit_fault(faults: &Faults, dice: &mut Dice) -> Option<CommitFault> {
    [
        (faults.conflict, CommitFault::Conflict),
        (faults.commit_unknown_applied, CommitFault::UnknownApplied),
        (faults.commit_unknown_not_applied, CommitFault::UnknownNotApplied),
        (faults.late_commit, CommitFault::Late),
        (faults.too_old, CommitFault::TooOld),
        (faults.busy, CommitFault::Busy),
    ]
    .into_iter()
    .find_map(|(probability, fault)| dice.happens(probability).then_some(fault))
}
