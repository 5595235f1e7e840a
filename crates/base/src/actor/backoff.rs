//! When to start again what has failed: a pure decision over times.

use std::collections::VecDeque;
use std::time::Duration;

/// How often and how fast something is started again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackoffPolicy {
    /// The wait after the first failure; it doubles with each further one in the window.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// How many failures in the window are answered with a new start; one more gives up.
    pub restarts_max: usize,
    /// How long a failure is remembered.
    pub window: Duration,
}

impl Default for BackoffPolicy {
    /// 100 ms up to 10 s, 20 restarts in 5 minutes: long enough to sit out a store's recovery,
    /// short enough to tell the operator of a service that cannot start.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            longest: Duration::from_secs(10),
            restarts_max: 20,
            window: Duration::from_secs(300),
        }
    }
}

/// What to do after a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Start again after this wait.
    Restart(Duration),
    /// It has failed too often; somebody above must decide.
    GiveUp,
}

/// The failures of one thing.
#[derive(Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    failures: VecDeque<Duration>,
}

impl Backoff {
    /// No failures yet.
    pub fn new(policy: BackoffPolicy) -> Self {
        Self { policy, failures: VecDeque::new() }
    }

    /// Notes a failure at `now` (monotonic) and decides. `random` spreads the waits over the
    /// upper half of their range, so that many things that failed together do not start together.
    pub fn failed(&mut self, now: Duration, random: u64) -> Verdict {
        let oldest = now.saturating_sub(self.policy.window);
        while self.failures.front().is_some_and(|at| *at < oldest) {
            self.failures.pop_front();
        }
        if self.failures.len() >= self.policy.restarts_max {
            return Verdict::GiveUp;
        }
        let doublings = self.failures.len().min(31) as u32;
        self.failures.push_back(now);
        let wait = self.policy.first.saturating_mul(1 << doublings).min(self.policy.longest);
        let half_ns = u64::try_from(wait.as_nanos() / 2).unwrap_or(u64::MAX);
        let spread_ns = ((u128::from(random) * u128::from(half_ns)) >> 64) as u64;
        Verdict::Restart(wait - Duration::from_nanos(spread_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: BackoffPolicy = BackoffPolicy {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(1),
        restarts_max: 6,
        window: Duration::from_secs(60),
    };

    /// Failures at these seconds lead to these waits in milliseconds; `None` gives up.
    fn check(random: u64, failures_s: &[u64], expect_ms: &[Option<u64>]) {
        let mut backoff = Backoff::new(POLICY);
        let found: Vec<_> = failures_s
            .iter()
            .map(|s| match backoff.failed(Duration::from_secs(*s), random) {
                Verdict::Restart(wait) => Some(wait.as_millis() as u64),
                Verdict::GiveUp => None,
            })
            .collect();
        assert_eq!(found, expect_ms, "random {random}");
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let some = |ms: &[u64]| ms.iter().copied().map(Some).collect::<Vec<_>>();
        check(0, &[0, 1, 2, 3, 4, 5], &some(&[100, 200, 400, 800, 1000, 1000]));
        check(1 << 63, &[0, 1, 2, 3, 4], &some(&[75, 150, 300, 600, 750]));
        check(u64::MAX, &[0, 1, 2], &some(&[50, 100, 200]));
        let many = [Some(100), Some(200), Some(400), Some(800), Some(1000), Some(1000), None, None];
        check(0, &[0, 0, 0, 0, 0, 0, 0, 59], &many);
    }

    #[test]
    fn old_failures_are_forgotten() {
        check(0, &[0, 61, 122], &[Some(100), Some(100), Some(100)]);
        check(0, &[0, 30, 61, 95], &[Some(100), Some(200), Some(200), Some(200)]);
        // Giving up is not for ever either: the window moves on.
        check(
            0,
            &[0, 1, 2, 3, 4, 5, 6, 62],
            &[Some(100), Some(200), Some(400), Some(800), Some(1000), Some(1000), None, Some(1000)],
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn waits_stay_between_half_of_the_first_and_the_longest(
            gaps_ms in prop::collection::vec(0u64..20_000, 0..40),
            random: u64,
        ) {
            let (mut backoff, mut now) = (Backoff::new(POLICY), Duration::ZERO);
            for gap in gaps_ms {
                now += Duration::from_millis(gap);
                if let Verdict::Restart(wait) = backoff.failed(now, random) {
                    prop_assert!(wait >= POLICY.first / 2 && wait <= POLICY.longest);
                }
                prop_assert!(backoff.failures.len() <= POLICY.restarts_max);
            }
        }
    }
}
