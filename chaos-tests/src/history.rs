//! What clients did with one register, and when: the flags of one message of a mailbox, which hold
//! a number. Several sessions on several nodes write and read it; [`crate::checkers::linearizable`]
//! judges whether there was ever only one register.

use crate::ledger::Flags;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How many keywords a number takes.
const BITS: u32 = 16;

/// The greatest number that a register holds.
pub const VALUE_MAX: u64 = (1 << BITS) - 1;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// STORE FLAGS.
    Write,
    /// FETCH FLAGS.
    Read,
}

/// One command on a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// The session.
    pub worker: u64,
    /// The node that it was connected to.
    pub node: usize,
    /// What it did.
    pub kind: Kind,
    /// What it wrote or read.
    pub value: u64,
    /// When the command was sent, in microseconds of the run.
    pub started_us: u64,
    /// When it was answered; `None` where nobody knows whether it was done.
    pub ended_us: Option<u64>,
}

/// The commands on one register, by all its sessions.
#[derive(Debug, Default)]
pub struct Register {
    ops: Mutex<Vec<Op>>,
    written: AtomicU64,
}

impl Register {
    /// Notes a command.
    pub fn note(&self, op: Op) {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner).push(op);
    }

    /// A number that was never written; `None` when all are used up.
    pub fn next_value(&self) -> Option<u64> {
        let value = self.written.fetch_add(1, Ordering::AcqRel) + 1;
        (value <= VALUE_MAX).then_some(value)
    }

    /// All commands so far.
    pub fn ops(&self) -> Vec<Op> {
        self.ops.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The keywords that stand for a number.
#[must_use]
pub fn flags_of(value: u64) -> Flags {
    (0..BITS).filter(|bit| value >> bit & 1 == 1).map(|bit| format!("$Bit{bit:02}")).collect()
}

/// The number that keywords stand for; other flags do not matter.
#[must_use]
pub fn value_of<'a>(flags: impl IntoIterator<Item = &'a str>) -> u64 {
    let bits = flags.into_iter().filter_map(|flag| flag.strip_prefix("$Bit")?.parse::<u32>().ok());
    bits.filter(|bit| *bit < BITS).fold(0, |value, bit| value | 1 << bit)
}

/// The time of a run.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Default for Clock {
    fn default() -> Clock {
        Clock(Instant::now())
    }
}

impl Clock {
    /// Microseconds since the run began.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_their_keywords() {
        for value in [0, 1, 2, 1_023, 40_000, VALUE_MAX] {
            let flags = flags_of(value);
            let shown = flags.iter().map(String::as_str).chain(["\\Seen", "$Other"]);
            assert_eq!(value_of(shown), value);
        }
    }

    #[test]
    fn no_number_is_given_twice_and_they_end() {
        let register = Register::default();
        let given: Vec<u64> = std::iter::from_fn(|| register.next_value()).collect();
        assert_eq!(given.len() as u64, VALUE_MAX);
        assert!(given.is_sorted_by(|a, b| a < b));
    }
}
