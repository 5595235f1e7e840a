//! Whether a scanner is asked at all.
//!
//! After some failures in a row it rests: nobody waits for it. Then one message finds out whether
//! it is back; each time that it is not, the rest becomes twice as long, up to a minute.

use std::time::Duration;

/// So many failures in a row send a scanner to rest.
pub(crate) const FAILURES_MAX: u32 = 5;
/// The first rest.
pub(crate) const REST: Duration = Duration::from_secs(5);
/// The longest.
pub(crate) const REST_MAX: Duration = Duration::from_secs(60);

/// What has become of a scanner's answers lately. Moments are those of the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    /// How long it rests, and until when.
    rest: Option<(Duration, Duration)>,
    /// Somebody is finding out whether it is back.
    is_probed: bool,
}

/// Whether it may be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// It is.
    Asked,
    /// It is, to find out whether it is back.
    Probe,
    /// It rests for so long.
    Rests(Duration),
}

impl Breaker {
    /// Whether it may be asked now. A probe must end with one of the others.
    pub(crate) fn admit(&mut self, now: Duration) -> Admission {
        match self.rest {
            None => Admission::Asked,
            Some((_, until)) if now >= until && !self.is_probed => {
                self.is_probed = true;
                Admission::Probe
            }
            Some((_, until)) => Admission::Rests(until.saturating_sub(now)),
        }
    }

    /// It has answered.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }

    /// It has failed. Whether it begins to rest with this.
    pub(crate) fn failed(&mut self, now: Duration, admission: Admission) -> bool {
        self.failures = self.failures.saturating_add(1);
        match (self.rest, admission) {
            (Some((rest, _)), Admission::Probe) => {
                let rest = (rest * 2).min(REST_MAX);
                (self.rest, self.is_probed) = (Some((rest, now + rest)), false);
                false
            }
            // Those who asked before it began to rest have nothing new to tell.
            (Some(_), _) => false,
            (None, _) if self.failures >= FAILURES_MAX => {
                self.rest = Some((REST, now + REST));
                true
            }
            (None, _) => false,
        }
    }

    /// Whoever asked has gone away without an answer.
    pub(crate) fn abandoned(&mut self, admission: Admission) {
        if admission == Admission::Probe {
            self.is_probed = false;
        }
    }

    /// How often it has failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    /// For how long it rests, if it does.
    pub(crate) fn rests(&self, now: Duration) -> Option<Duration> {
        self.rest.map(|(_, until)| until.saturating_sub(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn resting(from: Duration) -> Breaker {
        let mut breaker = Breaker::default();
        for number in 1..=FAILURES_MAX {
            assert_eq!(breaker.admit(from), Admission::Asked);
            assert_eq!(breaker.failed(from, Admission::Asked), number == FAILURES_MAX);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_send_it_to_rest() {
        let mut breaker = Breaker::default();
        for round in 0..20 {
            assert_eq!(breaker.admit(s(1)), Admission::Asked);
            if round % FAILURES_MAX == FAILURES_MAX - 1 {
                breaker.answered();
            } else {
                assert!(!breaker.failed(s(1), Admission::Asked));
            }
        }
        let mut breaker = resting(s(10));
        assert_eq!(breaker.admit(s(12)), Admission::Rests(s(3)));
        assert_eq!(breaker.rests(s(12)), Some(s(3)));
        assert_eq!(breaker.failures(), FAILURES_MAX);
    }

    #[test]
    fn one_message_finds_out_whether_it_is_back() {
        let mut breaker = resting(s(0));
        let (mut now, mut rest) = (s(5), s(5));
        for expect in [10, 20, 40, 60, 60] {
            assert_eq!(breaker.admit(now), Admission::Probe);
            assert_eq!(breaker.admit(now), Admission::Rests(s(0)), "one at a time");
            assert!(!breaker.failed(now, Admission::Probe));
            rest = (rest * 2).min(REST_MAX);
            assert_eq!((breaker.admit(now), rest), (Admission::Rests(s(expect)), s(expect)));
            now += rest;
        }
        assert_eq!(breaker.admit(now), Admission::Probe);
        breaker.answered();
        assert_eq!(breaker.admit(now), Admission::Asked);
        assert_eq!((breaker.rests(now), breaker.failures()), (None, 0));
    }

    #[test]
    fn whoever_asked_earlier_or_went_away_changes_nothing() {
        let mut breaker = resting(s(0));
        assert!(!breaker.failed(s(4), Admission::Asked));
        assert_eq!(breaker.admit(s(4)), Admission::Rests(s(1)));
        assert_eq!(breaker.admit(s(5)), Admission::Probe);
        breaker.abandoned(Admission::Asked);
        assert_eq!(breaker.admit(s(5)), Admission::Rests(s(0)));
        breaker.abandoned(Admission::Probe);
        assert_eq!(breaker.admit(s(5)), Admission::Probe);
        let mut closed = Breaker::default();
        closed.abandoned(Admission::Asked);
        assert_eq!(closed.admit(s(5)), Admission::Asked);
    }
}
