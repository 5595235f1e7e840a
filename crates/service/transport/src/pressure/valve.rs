//! What senders meet, from the level of the whole node: a state machine that is told the level with
//! each measurement.
//!
//! | level | stranger | partner | our people and devices | our servers |
//! |---|---|---|---|---|
//! | medium | waits, longer with each measurement, then comes later | | | |
//! | high | comes later | comes later | later, after a while | |

use super::config::Config;
use contract_transport::pressure::{Level, Sender, Stance};
use std::time::Duration;

/// How long the level has held.
#[derive(Debug, Default)]
pub(crate) struct Valve {
    level: Level,
    /// Measurements since it has been medium or high.
    pressed: u32,
    /// Measurements since it has been high.
    high: u32,
}

impl Valve {
    /// The level with one more measurement.
    pub(crate) fn tick(&mut self, level: Level) {
        self.level = level;
        self.pressed = if level >= Level::Medium { self.pressed.saturating_add(1) } else { 0 };
        self.high = if level == Level::High { self.high.saturating_add(1) } else { 0 };
    }

    /// The level.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// What a sender meets.
    pub(crate) fn stance(&self, sender: Sender, config: &Config) -> Stance {
        match (self.level, sender) {
            (Level::Normal, _) | (_, Sender::Server) => Stance::Take,
            (Level::Medium, Sender::Stranger) => self.slowed(config),
            (Level::Medium, Sender::Partner | Sender::Own) => Stance::Take,
            (Level::High, Sender::Stranger | Sender::Partner) => Stance::Close,
            (Level::High, Sender::Own) => {
                let held = config.sample().saturating_mul(self.high.saturating_sub(1));
                let is_over = held >= Duration::from_secs(config.own_grace_s);
                if is_over { Stance::Later } else { Stance::Take }
            }
        }
    }

    /// Longer with each measurement; when the longest wait did not help, no more.
    fn slowed(&self, config: &Config) -> Stance {
        let steps = u64::from(self.pressed.saturating_sub(1));
        let wait_s = config.wait_s.saturating_add(steps.saturating_mul(config.wait_step_s));
        match wait_s.checked_sub(config.wait_s_max) {
            Some(over) if over >= config.wait_step_s => Stance::Later,
            _ => Stance::Wait(Duration::from_secs(wait_s.min(config.wait_s_max))),
        }
    }

    /// What senders meet, in words.
    pub(crate) fn words(&self, config: &Config) -> String {
        let met = |sender| self.stance(sender, config);
        let strangers = match met(Sender::Stranger) {
            Stance::Take => return "everybody's mail is taken".to_owned(),
            Stance::Wait(wait) => {
                return format!("strangers wait {} s before each message", wait.as_secs());
            }
            Stance::Later => "strangers are",
            Stance::Close => "everybody outside is",
        };
        match met(Sender::Own) {
            Stance::Later => "everybody is told to come later".to_owned(),
            _ => format!("{strangers} told to come later; our people's mail is taken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Level::{High, Medium, Normal};
    use Sender::{Own, Partner, Server, Stranger};
    use Stance::{Close, Later, Take};

    fn after(levels: &[(Level, u32)]) -> Valve {
        let mut valve = Valve::default();
        for (level, ticks) in levels {
            (0..*ticks).for_each(|_| valve.tick(*level));
        }
        valve
    }

    #[track_caller]
    fn check(levels: &[(Level, u32)], expect: [Stance; 4]) {
        let (valve, config) = (after(levels), Config::default());
        let met = [Stranger, Partner, Own, Server].map(|sender| valve.stance(sender, &config));
        assert_eq!(met, expect, "{levels:?}");
    }

    const fn wait(seconds: u64) -> Stance {
        Stance::Wait(Duration::from_secs(seconds))
    }

    #[test]
    fn strangers_wait_longer_and_longer_and_then_come_later() {
        check(&[], [Take; 4]);
        check(&[(Normal, 100)], [Take; 4]);
        check(&[(Medium, 1)], [wait(10), Take, Take, Take]);
        check(&[(Medium, 2)], [wait(15), Take, Take, Take]);
        check(&[(Medium, 10)], [wait(55), Take, Take, Take]);
        check(&[(Medium, 11)], [Later, Take, Take, Take]);
        check(&[(Medium, 10_000)], [Later, Take, Take, Take]);
        check(&[(Medium, 11), (Normal, 1)], [Take; 4]);
        check(&[(Medium, 11), (Normal, 1), (Medium, 1)], [wait(10), Take, Take, Take]);
    }

    #[test]
    fn at_high_the_outside_waits_at_once_and_our_people_last() {
        check(&[(High, 1)], [Close, Close, Take, Take]);
        check(&[(High, 15)], [Close, Close, Take, Take]);
        check(&[(High, 16)], [Close, Close, Later, Take]);
        check(&[(High, 16), (Medium, 1)], [Later, Take, Take, Take]);
        check(&[(Medium, 3), (High, 15), (Medium, 1), (High, 1)], [Close, Close, Take, Take]);
    }

    /// Nobody waits while somebody less important does not.
    #[test]
    fn the_least_important_waits_first() {
        let rank = |stance| match stance {
            Take => 0,
            Stance::Wait(_) => 1,
            Later => 2,
            Close => 3,
        };
        let config = Config::default();
        for levels in [Medium, High] {
            for ticks in 1..200 {
                let valve = after(&[(levels, ticks)]);
                let met: Vec<_> = [Stranger, Partner, Own, Server]
                    .map(|sender| rank(valve.stance(sender, &config)))
                    .into();
                assert!(met.is_sorted_by(|a, b| a >= b), "{levels:?} {ticks}: {met:?}");
                assert_eq!(met[3], 0);
            }
        }
    }

    #[test]
    fn what_senders_meet_is_told() {
        let words = |levels: &[(Level, u32)]| after(levels).words(&Config::default());
        assert_eq!(words(&[]), "everybody's mail is taken");
        assert_eq!(words(&[(Medium, 2)]), "strangers wait 15 s before each message");
        assert!(words(&[(Medium, 20)]).starts_with("strangers are told"));
        assert!(words(&[(High, 1)]).starts_with("everybody outside is told"));
        assert_eq!(words(&[(High, 99)]), "everybody is told to come later");
    }
}
