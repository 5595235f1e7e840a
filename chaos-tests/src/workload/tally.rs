//! How the sessions of a load fared: what went well, what clients of hurt nodes met, and what the
//! clients of all others did.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// One answered command of a register's session, for the time that a mailbox was away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The user's number.
    pub user: usize,
    /// The listener's node.
    pub node: usize,
    /// When it was sent, in microseconds of the run.
    pub started_us: u64,
    /// When it was answered OK.
    pub ended_us: u64,
}

/// How the sessions fared.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Counts>);

/// What a [`Tally`] has counted.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Commands and messages that went well.
    pub fine: u64,
    /// Connections of hurt nodes that broke, or were refused.
    pub excused: u64,
    /// How long their clients took to be logged in again, in microseconds.
    pub back_after_us: Vec<u64>,
    /// What clients of nodes that were well met: broken connections and refusals.
    pub noticed: Vec<String>,
    /// When they met it, in microseconds of the run.
    pub noticed_at_us: Vec<u64>,
    /// What can never be, whoever is hurt.
    pub wrong: Vec<String>,
    /// Commands on registers.
    pub samples: Vec<Sample>,
    /// When messages were acknowledged, by id.
    pub acknowledged_us: BTreeMap<String, u64>,
}

impl Tally {
    /// What it has counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn fine(&self) {
        self.change(|counts| counts.fine += 1);
    }
}
