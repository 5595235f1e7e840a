//! Which node was being hurt when: what its own clients meet then is expected, what the clients of
//! all others meet is not. Times are microseconds of the run.

use crate::history::Clock;
use std::sync::{Mutex, PoisonError};

/// A time in which a node was hurt; open while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spell {
    from_us: u64,
    until_us: Option<u64>,
}

/// The hurts of a run's nodes.
#[derive(Debug)]
pub struct Weather {
    /// The run's time.
    pub clock: Clock,
    spells: Mutex<Vec<Vec<Spell>>>,
}

impl Weather {
    /// All is well with so many nodes.
    #[must_use]
    pub fn new(clock: Clock, nodes: usize) -> Weather {
        Weather { clock, spells: Mutex::new(vec![Vec::new(); nodes]) }
    }

    /// From now on this node is being hurt.
    pub fn begin(&self, node: usize) {
        let from_us = self.clock.now_us();
        self.change(node, |spells| match spells.last() {
            Some(Spell { until_us: None, .. }) => {}
            _ => spells.push(Spell { from_us, until_us: None }),
        });
    }

    /// This node is well again.
    pub fn end(&self, node: usize) {
        let now = self.clock.now_us();
        self.change(node, |spells| {
            if let Some(spell) = spells.last_mut() {
                spell.until_us.get_or_insert(now);
            }
        });
    }

    fn change(&self, node: usize, change: impl FnOnce(&mut Vec<Spell>)) {
        let mut all = self.spells.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() <= node {
            all.resize(node + 1, Vec::new());
        }
        change(&mut all[node]);
    }

    /// Whether the node was hurt at some moment of this time.
    #[must_use]
    pub fn excuses(&self, node: usize, from_us: u64, until_us: u64) -> bool {
        let all = self.spells.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(node).is_some_and(|spells| {
            let meets = |spell: &Spell| {
                spell.from_us <= until_us && spell.until_us.is_none_or(|until| until >= from_us)
            };
            spells.iter().any(meets)
        })
    }

    /// Whether the node is well now.
    #[must_use]
    pub fn is_fine(&self, node: usize) -> bool {
        let now = self.clock.now_us();
        !self.excuses(node, now, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_that_meet_a_hurt_are_excused() {
        let weather = Weather::new(Clock::default(), 2);
        let early = weather.clock.now_us();
        std::thread::sleep(std::time::Duration::from_millis(2));
        weather.begin(1);
        weather.begin(1);
        let within = weather.clock.now_us();
        assert!(weather.is_fine(0) && !weather.is_fine(1));
        assert!(weather.excuses(1, within, within + 1_000_000));
        weather.end(1);
        weather.end(1);
        std::thread::sleep(std::time::Duration::from_millis(2));
        let late = weather.clock.now_us();
        assert!(weather.is_fine(1));
        assert!(weather.excuses(1, early, late) && weather.excuses(1, within, late));
        assert!(!weather.excuses(1, early, early) && !weather.excuses(1, late, late + 9));
        assert!(!weather.excuses(0, early, late) && !weather.excuses(7, early, late));
    }
}
