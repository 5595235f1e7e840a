//! A leader that hears nothing falls silent, so that others can stand for election.
//!
//! Followers go by what they hear. A leader whose words go out and to which no answer comes in
//! (a cut one way) would keep them from electing another for as long as that lasts, and commit
//! nothing. So it does not speak for a while: long enough for an election, then it tries again, for
//! if nobody was elected it is the one with the log.

use std::time::Duration;

/// What openraft counts as heard late is not late enough to give up the lead.
const SILENCE_MAX: Duration = Duration::from_secs(1);

/// How long a leader speaks before it is judged by the answers.
const TRIAL: Duration = Duration::from_secs(1);

/// Whether this node's leadership speaks.
#[derive(Debug)]
pub(super) struct Quiet {
    /// How long an election takes at most, with the time in which the last leader is waited for.
    election: Duration,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Since then.
    Speaking(Duration),
    /// Until then.
    Silent(Duration),
}

impl Quiet {
    pub(super) fn new(now: Duration, election_max: Duration) -> Self {
        // The lease of the last leader, and the longest time-out, twice for a vote that is split.
        Self { election: election_max * 3, phase: Phase::Speaking(now) }
    }

    /// Regularly. `silence` is how long ago a majority answered; `None` on nodes that do not lead.
    /// Says whether to keep silent.
    pub(super) fn tick(&mut self, now: Duration, silence: Option<Duration>) -> bool {
        self.phase = match (self.phase, silence) {
            (Phase::Silent(until), _) if now < until => Phase::Silent(until),
            (_, None) | (Phase::Silent(_), _) => Phase::Speaking(now),
            (Phase::Speaking(since), Some(silence))
                if silence >= SILENCE_MAX && now.saturating_sub(since) >= TRIAL =>
            {
                Phase::Silent(now + self.election)
            }
            (speaking, Some(_)) => speaking,
        };
        matches!(self.phase, Phase::Silent(_))
    }

    /// The lead is to be another's, though all answer.
    pub(super) fn give_up(&mut self, now: Duration) {
        self.phase = Phase::Silent(now + self.election);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// Ticks each 100 ms; when it begins and ends to be silent, in milliseconds.
    fn check(until_ms: u64, silence: impl Fn(u64) -> Option<u64>, expected: &[u64]) {
        let mut quiet = Quiet::new(ms(0), ms(1000));
        let (mut was, mut changes) = (false, Vec::new());
        for at in (0..until_ms).step_by(100) {
            let is = quiet.tick(ms(at), silence(at).map(ms));
            if is != was {
                changes.push(at);
            }
            was = is;
        }
        assert_eq!(changes, expected);
    }

    #[test]
    fn a_leader_that_hears_nothing_is_silent_for_an_election_and_tries_again() {
        check(20_000, |_| None, &[]);
        check(20_000, |at| Some(at % 900), &[]);
        // Deaf from 2 s on.
        let deaf = |at: u64| Some(at.saturating_sub(2000));
        check(11_000, deaf, &[3000, 6000, 7000, 10_000]);
        // Another leads meanwhile.
        check(20_000, |at| (at < 3500).then(|| at.saturating_sub(2000)), &[3000, 6000]);
        // It is heard again as soon as it speaks.
        check(
            20_000,
            |at| Some(if at < 6100 { at.saturating_sub(2000) } else { 0 }),
            &[3000, 6000],
        );
        // A new leader gets its time.
        check(900, |_| Some(5000), &[]);
    }

    #[test]
    fn a_leader_that_gives_up_is_silent_though_it_is_heard() {
        let mut quiet = Quiet::new(ms(0), ms(1000));
        assert!(!quiet.tick(ms(5000), Some(ms(0))));
        quiet.give_up(ms(5000));
        assert!(quiet.tick(ms(5100), Some(ms(0))) && quiet.tick(ms(7900), None));
        assert!(!quiet.tick(ms(8000), Some(ms(0))) && !quiet.tick(ms(9000), Some(ms(0))));
    }
}
