//! What goes wrong on purpose.

use contract_store::Version;
use serde::{Deserialize, Serialize};
use store_memory::parts::Dice;

/// How likely each fault is, per request, from 0 to 1. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Faults {
    /// A commit fails with a conflict that nobody caused (1020).
    pub conflicts: f64,
    /// A commit is reported as unknown (1021); every other one was made.
    pub unknown: f64,
    /// A commit is reported as cancelled or timed out (1025, 1031) and lands later, within
    /// [`Faults::late_ms`], unless what it read has changed by then.
    pub late: f64,
    /// A read or commit finds its version too old (1007).
    pub too_old: f64,
    /// A commit is turned away (1051).
    pub busy: f64,
    /// A page of a range takes up to [`Faults::slow_ms`].
    pub slow_ranges: f64,
    /// How slow a slow range is at most, in milliseconds; 0 means 500.
    pub slow_ms: u64,
    /// How late a late commit lands at most, in milliseconds; 0 means 500.
    pub late_ms: u64,
    /// An outage of eight seconds, as of a recovery, each time this many seconds have passed; 0
    /// means none.
    pub recover_every_s: u64,
}

/// How long a recovery takes (`reliability`: p90 of 5.3 s; recorded: up to 8 s).
pub(crate) const RECOVERY_MS: u64 = 8_000;

/// A fault for one commit, see [`super::ServerHandle::script`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitFault {
    /// 1020, not made.
    Conflict,
    /// 1021, made.
    UnknownApplied,
    /// 1021, not made.
    UnknownNotApplied,
    /// 1025 or 1031, made later.
    Late,
    /// 1007, not made.
    TooOld,
    /// 1051, not made.
    Busy,
    /// Any code.
    Code {
        /// Which.
        code: i32,
        /// Whether it was made.
        made: bool,
    },
}

impl Faults {
    /// What is to happen to one commit.
    pub(super) fn choose(&self, dice: &mut Dice) -> Option<CommitFault> {
        if dice.happens(self.unknown) {
            let made = dice.below(2) == 0;
            return Some(if made {
                CommitFault::UnknownApplied
            } else {
                CommitFault::UnknownNotApplied
            });
        }
        [
            (self.conflicts, CommitFault::Conflict),
            (self.late, CommitFault::Late),
            (self.too_old, CommitFault::TooOld),
            (self.busy, CommitFault::Busy),
        ]
        .into_iter()
        .find_map(|(probability, fault)| dice.happens(probability).then_some(fault))
    }
}

fn or_500(milliseconds: u64) -> u64 {
    if milliseconds == 0 { 500 } else { milliseconds }
}

impl Faults {
    /// How long a slow page takes, if it is one, in milliseconds.
    pub(super) fn slowness(&self, dice: &mut Dice) -> Option<u64> {
        dice.happens(self.slow_ranges).then(|| 1 + dice.below(or_500(self.slow_ms)))
    }

    /// How late a late commit lands, in milliseconds.
    pub(super) fn lateness(&self, dice: &mut Dice) -> u64 {
        1 + dice.below(or_500(self.late_ms))
    }
}

/// What a server has done since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The newest version.
    pub version: Version,
    /// Read versions given out.
    pub read_versions: u64,
    /// Single keys read.
    pub gets: u64,
    /// Pages of ranges read.
    pub pages: u64,
    /// Rows in those pages.
    pub rows_read: u64,
    /// Commits that were asked for.
    pub commits: u64,
    /// Those that were made, late ones too.
    pub applied: u64,
    /// The bytes of all that were made: keys and values of mutations, and conflict ranges.
    pub commit_bytes: u64,
    /// The same of the largest.
    pub commit_bytes_max: u64,
    /// The age of the oldest version at which anything was read, in milliseconds; versions become
    /// a second old before there is a new one, so a transaction is up to that much younger.
    pub read_age_ms_max: u64,
    /// Groups in which they were made.
    pub groups: u64,
    /// Commits that failed with a real conflict.
    pub conflicts: u64,
    /// Faults, of any kind.
    pub faults: u64,
    /// Commits answered as unknown.
    pub unknown: u64,
    /// Late commits that landed.
    pub late_landed: u64,
    /// Late commits that found a conflict and were dropped.
    pub late_dropped: u64,
    /// Watches that wait now.
    pub watches: u64,
    /// Outages, whatever their kind.
    pub outages: u64,
}
