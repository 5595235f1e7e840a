//! The level of one resource, from what is measured of it: a state machine, and what follows from
//! its history.

use super::config::Thresholds;
use contract_transport::pressure::Level;
use std::collections::VecDeque;
use std::time::Duration;

/// How many measurements are remembered: five minutes of them at Exchange's pace.
const HISTORY_MAX: usize = 150;

/// Less than this tells nothing of a rate.
const HISTORY_MIN: Duration = Duration::from_secs(30);

/// What is further away than this is not told.
const AHEAD_MAX_S: f64 = 30.0 * 24.0 * 3600.0;

/// One resource.
#[derive(Debug)]
pub(crate) struct Gauge {
    thresholds: Thresholds,
    rise_samples: u32,
    fall_samples: u32,
    level: Level,
    /// How many measurements in a row asked for another level, and the nearest that they asked for.
    run: u32,
    towards: Level,
    history: VecDeque<(Duration, f64)>,
}

impl Gauge {
    pub(crate) fn new(thresholds: Thresholds, rise_samples: u32, fall_samples: u32) -> Self {
        let (level, towards) = (Level::Normal, Level::Normal);
        let history = VecDeque::new();
        Self { thresholds, rise_samples, fall_samples, level, run: 0, towards, history }
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// What was measured last.
    pub(crate) fn used(&self) -> Option<f64> {
        self.history.back().map(|(_, used)| *used)
    }

    /// Takes a measurement; gives the level that held before if it is another one now. A level
    /// rises or falls when enough measurements in a row ask for it, to the nearest of what they ask.
    pub(crate) fn sample(&mut self, now: Duration, used: f64) -> Option<Level> {
        if self.history.len() >= HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back((now, used));
        let asked = self.asked(used);
        if asked == self.level {
            self.run = 0;
            return None;
        }
        let rises = asked > self.level;
        let goes_on = self.run > 0 && rises == (self.towards > self.level);
        self.towards = match (goes_on, rises) {
            (false, _) => asked,
            (true, true) => self.towards.min(asked),
            (true, false) => self.towards.max(asked),
        };
        self.run = if goes_on { self.run + 1 } else { 1 };
        let needed = if rises { self.rise_samples } else { self.fall_samples };
        if self.run < needed {
            return None;
        }
        self.run = 0;
        Some(std::mem::replace(&mut self.level, self.towards))
    }

    /// What one measurement asks for.
    fn asked(&self, used: f64) -> Level {
        let Thresholds { medium, high, high_ends, medium_ends } = self.thresholds;
        let above = |threshold: u64| used > threshold as f64;
        match self.level {
            _ if used >= high as f64 => Level::High,
            Level::High if above(high_ends) => Level::High,
            Level::High | Level::Medium if above(medium_ends) => Level::Medium,
            Level::Normal if used >= medium as f64 => Level::Medium,
            Level::Normal | Level::Medium | Level::High => Level::Normal,
        }
    }

    /// How soon the next level begins if it goes on as in the time that is remembered.
    pub(crate) fn reached_in_s(&self) -> Option<u64> {
        let ((begun, first), (ended, last)) = (*self.history.front()?, *self.history.back()?);
        let took = ended.saturating_sub(begun);
        let next = match self.level {
            Level::Normal => self.thresholds.medium as f64,
            Level::Medium => self.thresholds.high as f64,
            Level::High => return None,
        };
        if took < HISTORY_MIN || last <= first || last >= next {
            return None;
        }
        let per_s = (last - first) / took.as_secs_f64();
        let left_s = (next - last) / per_s;
        (left_s <= AHEAD_MAX_S).then_some(left_s.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Level::{High, Medium, Normal};

    const QUEUE: Thresholds =
        Thresholds { medium: 9_999, high: 15_000, high_ends: 10_000, medium_ends: 2_000 };

    /// Measurements, a second apart, and the level behind each.
    fn check(rise: u32, fall: u32, story: &[(f64, Level)]) {
        let mut gauge = Gauge::new(QUEUE, rise, fall);
        for (second, (used, expect)) in (0..).zip(story) {
            let before = gauge.level();
            let changed = gauge.sample(Duration::from_secs(second), *used);
            assert_eq!(gauge.level(), *expect, "{used} at {second} s of {story:?}");
            assert_eq!(changed, (before != *expect).then_some(before), "{second} s");
        }
    }

    #[test]
    fn levels_begin_and_end_at_exchanges_thresholds() {
        check(
            1,
            1,
            &[
                (0.0, Normal),
                (9_998.0, Normal),
                (9_999.0, Medium),
                (14_999.0, Medium),
                (15_000.0, High),
                (10_001.0, High),
                (10_000.0, Medium),
                (2_001.0, Medium),
                (2_000.0, Normal),
                (2_001.0, Normal),
                (99_999.0, High),
                (0.0, Normal),
            ],
        );
    }

    #[test]
    fn a_peak_is_no_level_and_a_dip_is_no_end() {
        let peak = 20_000.0;
        check(3, 2, &[(peak, Normal), (peak, Normal), (0.0, Normal), (peak, Normal)]);
        check(
            3,
            2,
            &[
                (peak, Normal),
                (peak, Normal),
                (peak, High),
                (0.0, High),
                (peak, High),
                (0.0, High),
                (0.0, Normal),
            ],
        );
    }

    #[test]
    fn the_nearest_of_what_was_asked_for_is_taken() {
        check(3, 3, &[(20_000.0, Normal), (9_999.0, Normal), (20_000.0, Medium)]);
        check(
            1,
            3,
            &[(20_000.0, High), (0.0, High), (5_000.0, High), (0.0, Medium), (0.0, Medium)],
        );
    }

    #[test]
    fn a_rise_and_a_fall_are_counted_apart() {
        let story = [
            (9_999.0, Normal),
            (9_999.0, Medium),
            (20_000.0, Medium),
            (0.0, Medium),
            (0.0, Normal),
        ];
        check(2, 2, &story);
    }

    #[test]
    fn what_grows_is_foretold() {
        let rising = |step: f64, seconds: u32| {
            let mut gauge = Gauge::new(QUEUE, 1, 1);
            for second in 0..=seconds {
                gauge.sample(Duration::from_secs(second.into()), step * f64::from(second));
            }
            gauge.reached_in_s()
        };
        assert_eq!(rising(10.0, 100), Some(900), "8,999 more at 10 a second");
        assert_eq!(rising(100.0, 120), Some(30), "to high, 3,000 more");
        assert_eq!(rising(10.0, 20), None, "too little is known");
        assert_eq!(rising(0.0, 100), None);
        assert_eq!(rising(-1.0, 100), None);
        assert_eq!(rising(1_000.0, 100), None, "high already");
        assert_eq!(rising(0.001, 100), None, "months away");
    }
}
