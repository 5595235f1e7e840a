//! What this node's services are asked for, and how fast they answer: per slot for the balance of
//! the cluster, and in all for the judgement whether this node has become slow.
//!
//! Counting costs two additions for each request; what is made of them is computed every few
//! seconds ([`Averages`]).

use base::Slot;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Bytes that weigh as much as a command: what a mailbox does for a short one, roughly.
const BYTES_PER_COMMAND: u64 = 16 << 10;

/// A command, in the unit of the counters.
const COMMAND: u64 = 1000;

/// Bounds of the buckets of times grow by the square root of two, from a tenth of a millisecond
/// on; the last one holds what takes longer than two minutes.
const BUCKETS: usize = 42;

/// Fewer commands than this tell nothing about the slowest in a hundred.
const COMMANDS_MIN: u32 = 100;

/// The part of the newest reading in a slot's average.
const NEWEST: f64 = 0.2;

/// Below this many commands a second a slot's load is not worth telling.
const TELL_MIN: f64 = 0.01;

/// Counts what is served here.
pub(crate) struct Meter {
    work: Vec<AtomicU64>,
    times: [AtomicU32; BUCKETS],
}

impl Default for Meter {
    fn default() -> Self {
        let work = (0..Slot::COUNT).map(|_| AtomicU64::new(0)).collect();
        Self { work, times: std::array::from_fn(|_| AtomicU32::new(0)) }
    }
}

impl Meter {
    /// A request was served, well or not. `took` is left out for work that may take minutes by its
    /// nature.
    pub(super) fn served(&self, slot: Slot, request_bytes: usize, took: Option<Duration>) {
        if let Some(work) = self.work.get(usize::from(slot.number())) {
            let bytes = request_bytes as u64 * COMMAND / BYTES_PER_COMMAND;
            work.fetch_add(COMMAND + bytes, Ordering::Relaxed);
        }
        if let Some(times) = took.and_then(|took| self.times.get(bucket(took))) {
            times.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn bucket(took: Duration) -> usize {
    let (mut bucket, mut bound_us) = (0, 100.0);
    while bucket + 1 < BUCKETS && took.as_secs_f64() * 1e6 > bound_us {
        bucket += 1;
        bound_us *= std::f64::consts::SQRT_2;
    }
    bucket
}

/// The upper bound of a bucket, in milliseconds, rounded up.
fn bound_ms(bucket: usize) -> u32 {
    (0.1 * std::f64::consts::SQRT_2.powi(bucket as i32)).ceil() as u32
}

/// Readings of a [`Meter`], one every few seconds, and what they come to.
pub(crate) struct Averages {
    /// Commands a second, by slot number.
    loads: Vec<f64>,
    /// The times of the reading before, so that one of a few seconds does not jump.
    before: [u32; BUCKETS],
}

impl Default for Averages {
    fn default() -> Self {
        Self { loads: vec![0.0; usize::from(Slot::COUNT)], before: [0; BUCKETS] }
    }
}

impl Averages {
    /// Takes what was counted in the time since the last reading. Gives the 99th percentile of the
    /// times of this reading and the one before, in milliseconds; 0 if they are too few.
    pub(crate) fn read(&mut self, meter: &Meter, over: Duration) -> u32 {
        let per_command = over.as_secs_f64().max(0.001) * COMMAND as f64;
        for (load, work) in self.loads.iter_mut().zip(&meter.work) {
            let rate = work.swap(0, Ordering::Relaxed) as f64 / per_command;
            *load += (rate - *load) * NEWEST;
        }
        let now: [u32; BUCKETS] =
            std::array::from_fn(|n| meter.times.get(n).map_or(0, |t| t.swap(0, Ordering::Relaxed)));
        let before = std::mem::replace(&mut self.before, now);
        let both = now.iter().zip(before).map(|(now, before)| now.saturating_add(before));
        percentile(&both.collect::<Vec<_>>())
    }

    /// The loads worth telling, in hundredths of a command a second.
    pub(crate) fn loads(&self) -> Vec<(Slot, u32)> {
        let told = |(slot, load): (Slot, &f64)| {
            (*load >= TELL_MIN).then_some((slot, (*load * 100.0).min(1e9) as u32))
        };
        Slot::all().zip(&self.loads).filter_map(told).collect()
    }
}

fn percentile(times: &[u32]) -> u32 {
    let all: u32 = times.iter().sum();
    if all < COMMANDS_MIN {
        return 0;
    }
    let mut left = all / 100;
    for (bucket, count) in times.iter().enumerate().rev() {
        match left.checked_sub(*count) {
            Some(rest) => left = rest,
            None => return bound_ms(bucket),
        }
    }
    bound_ms(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(5);

    fn slot(number: u16) -> Slot {
        Slot::new(number).unwrap()
    }

    #[test]
    fn the_slowest_in_a_hundred_are_told_if_there_are_enough() {
        let check = |fast: u32, slow: u32, expected: std::ops::Range<u32>| {
            let (meter, mut averages) = (Meter::default(), Averages::default());
            for (count, ms) in [(fast, 5), (slow, 900)] {
                for _ in 0..count {
                    meter.served(slot(1), 10, Some(Duration::from_millis(ms)));
                }
            }
            for reading in 0..2 {
                let p99 = averages.read(&meter, WINDOW);
                assert!(expected.contains(&p99), "{fast} and {slow}: {p99} in {reading}");
            }
            assert_eq!(averages.read(&meter, WINDOW), 0, "two readings later");
        };
        check(99, 0, 0..1);
        check(990, 2, 5..8);
        check(980, 20, 900..1300);
        check(0, 200, 900..1300);
    }

    #[test]
    fn every_time_has_a_bucket() {
        for us in [0, 1, 100, 101, 5_000, 1_000_000, u64::MAX / 2] {
            let took = Duration::from_micros(us);
            let bucket = bucket(took);
            assert!(bucket < BUCKETS);
            let fits = bucket + 1 == BUCKETS || u128::from(bound_ms(bucket)) >= took.as_millis();
            assert!(fits, "{us} µs in {bucket}");
        }
        assert!(bound_ms(BUCKETS - 1) > 120_000);
    }

    #[test]
    fn a_load_comes_up_and_dies_away() {
        let (meter, mut averages) = (Meter::default(), Averages::default());
        for _ in 0..40 {
            for _ in 0..500 {
                meter.served(slot(7), 0, None);
            }
            meter.served(slot(9), 160 << 10, None);
            averages.read(&meter, WINDOW);
        }
        let loads = averages.loads();
        let of = |number| loads.iter().find(|(s, _)| *s == slot(number)).map_or(0, |(_, l)| *l);
        assert!((9_900..=10_000).contains(&of(7)), "100 commands a second: {loads:?}");
        assert!((215..=220).contains(&of(9)), "eleven commands' worth in 5 s: {loads:?}");
        for _ in 0..60 {
            averages.read(&meter, WINDOW);
        }
        assert_eq!(averages.loads(), vec![]);
    }
}
