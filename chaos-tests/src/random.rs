//! Randomness from a seed; each worker has a stream of its own, so that they do not depend on each
//! other's pace.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use std::ops::Range;
use std::time::Duration;

/// A seeded generator.
#[derive(Debug, Clone)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// The stream with this number of a seed.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Random {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Random(rng)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number of a range; its start if the range is empty.
    pub fn range(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next_u64() % (range.end.saturating_sub(range.start)).max(1)
    }

    /// True in `percent` of all cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.range(0..100) < percent
    }

    /// One of a list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        list.get(self.range(0..list.len() as u64) as usize)
    }

    /// A duration below `most_ms` milliseconds, with microseconds.
    pub fn below_ms(&mut self, most_ms: u64) -> Duration {
        Duration::from_micros(self.range(0..most_ms * 1000))
    }
}
