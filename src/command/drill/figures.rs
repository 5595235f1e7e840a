//! What a probe's tries amount to.

use super::probe::{Outcome, Record, Role, Try};
use serde::Serialize;
use std::time::Duration;

/// How many different errors are told.
const ERRORS_TOLD: usize = 5;

/// The figures of one probe; times in milliseconds.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Figures {
    pub(super) role: Role,
    /// The node at which its client was connected before the failure.
    pub(super) home: String,
    /// Whether that is a node that failed.
    pub(super) home_failed: bool,
    pub(super) tries: usize,
    pub(super) done: usize,
    /// "Not now" answers.
    pub(super) temporary: usize,
    /// "No, for good" answers; there must be none.
    pub(super) refused: usize,
    /// No server, or no answer.
    pub(super) broken: usize,
    /// The longest time without a success before the failure: what is usual here.
    pub(super) gap_before_ms: u64,
    /// The longest time without a success from the failure on.
    pub(super) gap_ms: u64,
    /// The slowest success from the failure on.
    pub(super) slowest_ms: u64,
    /// Whether its last try was a success.
    pub(super) recovered: bool,
    /// What it was told, each once, the first few.
    pub(super) errors: Vec<String>,
}

impl Figures {
    /// Counts and measures.
    pub(super) fn of(record: &Record, failed_at: Duration, failed: &[String]) -> Self {
        let tries = &record.tries;
        let count = |is: fn(&Outcome) -> bool| tries.iter().filter(|t| is(&t.outcome)).count();
        let mut errors: Vec<String> = Vec::new();
        for found in tries {
            if let Outcome::Temporary(text) | Outcome::Refused(text) | Outcome::Broken(text) =
                &found.outcome
                && errors.len() < ERRORS_TOLD
                && !errors.contains(text)
            {
                errors.push(text.clone());
            }
        }
        let successes: Vec<&Try> = tries.iter().filter(|t| t.outcome == Outcome::Done).collect();
        let after = successes.iter().filter(|found| found.ended > failed_at);
        let slowest = after.map(|found| found.ended - found.at).max();
        let end = tries.last().map_or(failed_at, |last| last.ended);
        let begin = tries.first().map_or(failed_at, |first| first.at);
        Self {
            role: record.role,
            home: record.home.clone(),
            home_failed: failed.contains(&record.home),
            tries: tries.len(),
            done: successes.len(),
            temporary: count(|outcome| matches!(outcome, Outcome::Temporary(_))),
            refused: count(|outcome| matches!(outcome, Outcome::Refused(_))),
            broken: count(|outcome| matches!(outcome, Outcome::Broken(_))),
            gap_before_ms: ms(longest_gap(&successes, begin, failed_at)),
            gap_ms: ms(longest_gap(&successes, failed_at, end)),
            slowest_ms: ms(slowest.unwrap_or_default()),
            recovered: tries.last().is_some_and(|last| last.outcome == Outcome::Done),
            errors,
        }
    }
}

/// The longest time without a success until `to`, of which some part lies after `from`.
fn longest_gap(successes: &[&Try], from: Duration, to: Duration) -> Duration {
    let ends = successes.iter().map(|found| found.ended);
    let before = ends.clone().filter(|end| *end <= from).max().unwrap_or(from);
    let within = ends.filter(|end| *end > from && *end < to);
    let (mut last, mut longest) = (before, Duration::ZERO);
    for end in within.chain([to]) {
        longest = longest.max(end.saturating_sub(last));
        last = end;
    }
    longest
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(tries: &[(u64, u64, Outcome)]) -> Record {
        let of = |(at, ended, outcome): &(u64, u64, Outcome)| Try {
            at: Duration::from_millis(*at),
            ended: Duration::from_millis(*ended),
            outcome: outcome.clone(),
        };
        Record {
            role: Role::Read,
            home: "a".into(),
            tries: tries.iter().map(of).collect(),
            acknowledged: Vec::new(),
            unknown: Vec::new(),
        }
    }

    #[test]
    fn gaps_are_between_successes() {
        let broken = || Outcome::Broken("x".into());
        let record = record(&[
            (0, 10, Outcome::Done),
            (100, 110, Outcome::Done),
            (200, 210, Outcome::Done),
            (300, 310, broken()),
            (400, 900, broken()),
            (900, 950, Outcome::Done),
            (1000, 1010, Outcome::Done),
        ]);
        let failed = |at: u64| Figures::of(&record, Duration::from_millis(at), &["a".into()]);
        let figures = failed(220);
        assert_eq!((figures.gap_before_ms, figures.gap_ms), (100, 740));
        assert_eq!((figures.done, figures.broken, figures.errors.len()), (5, 2, 1));
        assert_eq!((figures.slowest_ms, figures.recovered, figures.home_failed), (50, true, true));
        assert_eq!(failed(210).gap_before_ms, 100);
        // Nothing after the failure is no success: the gap lasts to the end.
        assert_eq!(failed(1_010).gap_ms, 0);
    }

    #[test]
    fn a_probe_that_never_comes_back_has_a_gap_to_the_end() {
        let record = record(&[
            (0, 10, Outcome::Done),
            (100, 5_000, Outcome::Temporary("later".into())),
            (5_000, 9_000, Outcome::Refused("never".into())),
        ]);
        let figures = Figures::of(&record, Duration::from_millis(50), &[]);
        assert_eq!((figures.gap_ms, figures.recovered, figures.home_failed), (8_990, false, false));
        assert_eq!(figures.errors, ["later", "never"]);
    }
}
