//! Figures of a run: percentiles, how long a mailbox was away, and how much slower than the figures'
//! machine this one is at the moment.

use crate::workload::tally::Sample;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What a command takes on the machine that the promises are made for, under the load of the runs.
const REFERENCE: Duration = Duration::from_millis(10);

/// Beyond this a machine is too busy to say anything about time.
const FACTOR_MAX: f64 = 20.0;

/// Durations in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times(pub Vec<u64>);

impl Times {
    /// The time that so many of a hundred are not above; zero where there are none.
    #[must_use]
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        Duration::from_micros(sorted.get(at).copied().unwrap_or_default())
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, most] = [50, 99, 100].map(|percent| self.percentile(percent));
        write!(f, "p50 {p50:.1?} p99 {p99:.1?} max {most:.1?} of {}", self.0.len())
    }
}

/// How much slower than the reference this machine is, at least 1: by what commands take while
/// nobody is hurt, and by how late timers are. Bars on time are multiplied by it, nothing else is.
pub async fn slowness(healthy: &[Sample]) -> f64 {
    let times = Times(healthy.iter().map(|one| one.ended_us - one.started_us).collect());
    let mut late = Times::default();
    for _ in 0..40 {
        let begun = Instant::now();
        sleep(Duration::from_millis(5)).await;
        late.0.push((begun.elapsed().as_micros() as u64).saturating_sub(5_000));
    }
    factor(times.percentile(50), late.percentile(90))
}

fn factor(command: Duration, late: Duration) -> f64 {
    let slower = command.max(late).as_secs_f64() / REFERENCE.as_secs_f64();
    slower.clamp(1.0, FACTOR_MAX)
}

/// How long each of these users' mailboxes was away for clients of other nodes than `hurt`: from
/// `at_us` until a command that began after it was answered. `None` where none ever was.
#[must_use]
pub fn away(samples: &[Sample], hurt: usize, at_us: u64) -> BTreeMap<usize, u64> {
    let mut away = BTreeMap::new();
    for one in samples.iter().filter(|one| one.node != hurt && one.started_us >= at_us) {
        let time = one.ended_us - at_us;
        away.entry(one.user)
            .and_modify(|least: &mut u64| *least = (*least).min(time))
            .or_insert(time);
    }
    away
}

/// What a kill was of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The mailbox's owner.
    Owner,
    /// Raft's leader.
    Leader,
    /// One node that was both.
    Both,
    /// A node that was neither.
    Other,
}

impl Role {
    /// What a killed node was to a mailbox.
    #[must_use]
    pub fn of(is_owner: bool, is_leader: bool) -> Role {
        match (is_owner, is_leader) {
            (true, true) => Role::Both,
            (true, false) => Role::Owner,
            (false, true) => Role::Leader,
            (false, false) => Role::Other,
        }
    }
}

/// How long mailboxes were away, by what the hurt node was to them.
#[derive(Debug, Clone, Default)]
pub struct Unavailability(pub BTreeMap<Role, Times>);

impl Unavailability {
    /// Notes one mailbox's time.
    pub fn note(&mut self, role: Role, time_us: u64) {
        self.0.entry(role).or_default().0.push(time_us);
    }

    /// Those whose owner was hurt.
    #[must_use]
    pub fn of_owners(&self) -> Times {
        let owners = [Role::Owner, Role::Both].into_iter().filter_map(|role| self.0.get(&role));
        Times(owners.flat_map(|times| times.0.iter().copied()).collect())
    }
}

impl fmt::Display for Unavailability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> =
            self.0.iter().map(|(role, times)| format!("{role:?}: {times}")).collect();
        f.write_str(&shown.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_and_none() {
        let check = |times: &[u64], percent: usize, expected: u64| {
            let found = Times(times.to_vec()).percentile(percent);
            assert_eq!(found, Duration::from_micros(expected), "{times:?} {percent}");
        };
        check(&[], 50, 0);
        check(&[7], 99, 7);
        check(&[4, 1, 3, 2], 50, 2);
        check(&[4, 1, 3, 2], 99, 4);
        check(&(1..=100).collect::<Vec<_>>(), 99, 99);
    }

    #[test]
    fn a_mailbox_is_away_until_a_command_that_began_later_is_answered_elsewhere() {
        let sample = |user, node, started_us, ended_us| Sample { user, node, started_us, ended_us };
        let samples = [
            sample(0, 1, 90, 120),
            sample(0, 0, 101, 105),
            sample(0, 1, 110, 400),
            sample(0, 2, 150, 300),
            sample(1, 2, 130, 140),
        ];
        assert_eq!(away(&samples, 0, 100), BTreeMap::from([(0, 200), (1, 40)]));
        assert_eq!(away(&samples, 0, 1_000), BTreeMap::new());
    }

    #[test]
    fn bars_grow_with_the_slower_of_both_and_never_shrink() {
        let check = |command, late, expected: f64| {
            let found = factor(Duration::from_millis(command), Duration::from_millis(late));
            assert!((found - expected).abs() < 0.001, "{found}");
        };
        check(1, 0, 1.0);
        check(30, 2, 3.0);
        check(5, 50, 5.0);
        check(5_000, 0, FACTOR_MAX);
    }
}
