//! The flags of a message are one register, whoever reads or writes them through whichever node:
//! every read shows the last write that was done before it, or one that is under way (promise G8:
//! linearizable reads, read-your-writes across nodes). No two writes write the same, so the verdict
//! is exact: each value must hold from the earliest end to the latest start of its write and reads
//! (its *zone*); zones that must last may not overlap, and one that is a moment may not have all its
//! moments inside another (Gibbons and Korach, "Testing Shared Memories", 1997).

use super::Violation;
use crate::history::{Kind, Op};
use std::collections::BTreeMap;

/// The checker's name.
pub const NAME: &str = "linearizable";

/// A value with its write and reads.
#[derive(Debug)]
struct Zone {
    value: u64,
    /// When the first of its commands had ended.
    first_end_us: u64,
    /// When the last of its commands began.
    last_start_us: u64,
    /// The last that began: where two values contradict each other, the stale read often.
    last: String,
}

impl Zone {
    fn lasts(&self) -> bool {
        self.first_end_us < self.last_start_us
    }
}

/// Judges one register, which held 0 in the beginning. Reads that were not answered must not be in
/// the history; a write that nobody knows of counts if somebody read it.
#[must_use]
pub fn check(name: &str, ops: &[Op]) -> Vec<Violation> {
    let mut by_value: BTreeMap<u64, Vec<&Op>> = BTreeMap::new();
    for op in ops {
        by_value.entry(op.value).or_default().push(op);
    }
    let (mut zones, mut wrong) = (Vec::new(), Vec::new());
    for (value, ops) in by_value {
        match zone(value, &ops) {
            Ok(zone) => zones.extend(zone),
            Err(text) => wrong.push(text),
        }
    }
    wrong.extend(conflicts(zones));
    let violation = |text| Violation { checker: NAME, text: format!("{name}: {text}") };
    wrong.into_iter().map(violation).collect()
}

fn zone(value: u64, ops: &[&Op]) -> Result<Option<Zone>, String> {
    let reads = || ops.iter().filter(|op| op.kind == Kind::Read);
    let write = ops.iter().find(|op| op.kind == Kind::Write);
    if let Some(write) = write {
        if write.ended_us.is_none() && reads().next().is_none() {
            return Ok(None);
        }
        let is_early = |read: &&&Op| read.ended_us.is_some_and(|end| end < write.started_us);
        if let Some(read) = reads().find(is_early) {
            return Err(format!("{} shows what is written later: {}", shown(read), shown(write)));
        }
    } else if value != 0 {
        let read = reads().map(|op| shown(op)).next().unwrap_or_default();
        return Err(format!("nobody wrote what {read} shows"));
    }
    // What was there in the beginning was written before everything.
    let begin = write.is_none().then_some(0);
    let ends = ops.iter().filter_map(|op| op.ended_us);
    let last = ops.iter().max_by_key(|op| op.started_us);
    let (Some(first_end_us), Some(last)) = (ends.chain(begin).min(), last) else {
        return Ok(None);
    };
    let last_start_us = last.started_us;
    Ok(Some(Zone { value, first_end_us, last_start_us, last: shown(last) }))
}

fn conflicts(zones: Vec<Zone>) -> Vec<String> {
    let (mut lasting, moments): (Vec<Zone>, Vec<Zone>) = zones.into_iter().partition(Zone::lasts);
    lasting.sort_by_key(|zone| zone.first_end_us);
    let mut wrong = Vec::new();
    let mut longest: Option<&Zone> = None;
    for zone in &lasting {
        if let Some(before) = longest.filter(|other| other.last_start_us > zone.first_end_us) {
            let text = format!(
                "{} must have lasted until {} µs ({}), but {} was there at {} µs ({})",
                before.value,
                before.last_start_us,
                before.last,
                zone.value,
                zone.first_end_us,
                zone.last
            );
            wrong.push(text);
        }
        if longest.is_none_or(|other| other.last_start_us < zone.last_start_us) {
            longest = Some(zone);
        }
    }
    for moment in &moments {
        // The last that begins before all of the moment's time: it must be over within it.
        let at = lasting.partition_point(|zone| zone.first_end_us < moment.last_start_us);
        let before = at.checked_sub(1).and_then(|at| lasting.get(at));
        if let Some(around) = before.filter(|zone| zone.last_start_us > moment.first_end_us) {
            let text = format!(
                "{} was there between {} and {} µs, while {} must have lasted from {} to {} µs",
                moment.value,
                moment.last_start_us,
                moment.first_end_us,
                around.value,
                around.first_end_us,
                around.last_start_us
            );
            wrong.push(text);
        }
    }
    wrong
}

fn shown(op: &Op) -> String {
    let Op { worker, node, kind, value, started_us, ended_us } = op;
    let end = ended_us.map_or("?".to_owned(), |end| end.to_string());
    format!("session {worker} on node {node}: {kind:?} {value} at {started_us}–{end} µs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(kind: Kind, value: u64, started_us: u64, ended_us: impl Into<Option<u64>>) -> Op {
        let (worker, node) = (value, (started_us % 3) as usize);
        Op { worker, node, kind, value, started_us, ended_us: ended_us.into() }
    }

    fn check(ops: &[Op], violations: usize) {
        let found = super::check("x", ops);
        assert_eq!(found.len(), violations, "{ops:?}: {found:?}");
    }

    use Kind::{Read, Write};

    #[test]
    fn what_one_register_can_do() {
        check(&[], 0);
        check(&[op(Read, 0, 1, 2), op(Write, 1, 3, 4), op(Read, 1, 5, 6)], 0);
        // Under way: either is right, in the order of the reads.
        check(&[op(Write, 1, 3, 20), op(Read, 0, 4, 5), op(Read, 1, 6, 7)], 0);
        // Nobody knows of the write: it may not have been, or be late.
        check(&[op(Write, 1, 3, None), op(Read, 0, 40, 50)], 0);
        check(&[op(Write, 1, 3, None), op(Read, 0, 40, 50), op(Read, 1, 60, 70)], 0);
        // Two writes at once, read in one order by all.
        let both = [op(Write, 1, 1, 10), op(Write, 2, 1, 10)];
        check(&[&both[..], &[op(Read, 1, 11, 12)]].concat(), 0);
        check(&[&both[..], &[op(Read, 2, 11, 12)]].concat(), 0);
    }

    #[test]
    fn a_stale_read_is_found() {
        check(&[op(Write, 1, 3, 4), op(Read, 0, 5, 6)], 1);
        check(&[op(Write, 1, 3, 4), op(Write, 2, 5, 6), op(Read, 1, 7, 8)], 1);
        // Another session has seen the write already, though it is still under way.
        check(&[op(Write, 1, 3, 20), op(Read, 1, 4, 5), op(Read, 0, 6, 7)], 1);
        // Once seen, a write that nobody knows of is done.
        check(&[op(Write, 1, 3, None), op(Read, 1, 4, 5), op(Read, 0, 6, 7)], 1);
    }

    #[test]
    fn a_lost_write_and_two_orders_are_found() {
        check(&[op(Write, 1, 1, 2), op(Write, 2, 3, 4), op(Read, 2, 5, 6), op(Read, 1, 7, 8)], 1);
        let both = [op(Write, 1, 1, 10), op(Write, 2, 1, 10)];
        let back = [op(Read, 1, 11, 12), op(Read, 2, 13, 14), op(Read, 1, 15, 16)];
        check(&[&both[..], &back].concat(), 1);
    }

    #[test]
    fn what_was_never_written_and_what_is_written_later_are_found() {
        check(&[op(Read, 7, 1, 2)], 1);
        check(&[op(Read, 1, 1, 2), op(Write, 1, 3, 4)], 1);
    }

    /// A register of our own makes histories; then one read is doctored to show the write before.
    #[test]
    fn histories_of_a_real_register_pass_and_doctored_ones_do_not() {
        for seed in 0..200 {
            let mut random = crate::random::Random::new(seed, 0);
            let (mut ops, mut value, mut now) = (Vec::new(), 0, 10);
            for next in 1..60 {
                // Each takes effect at `now`, and lasts some time around that.
                let (start, end) = (now - random.range(0..9), now + random.range(0..9));
                if random.chance(40) {
                    value = next;
                    ops.push(op(Write, next, start, end));
                } else {
                    ops.push(op(Read, value, start, end));
                }
                now += random.range(1..6);
            }
            check(&ops, 0);
            ops.push(op(Write, 100, now + 20, now + 21));
            ops.push(op(Read, value, now + 30, now + 31));
            assert!(!super::check("x", &ops).is_empty(), "seed {seed}");
        }
    }
}
