//! Randomness from a seed.

use crate::env::Random;
use parking_lot::Mutex;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The sequence of bytes that belongs to a seed.
pub struct SeededRandom {
    seed: u64,
    sequence: Mutex<ChaCha8Rng>,
}

impl SeededRandom {
    /// The sequence from its beginning.
    pub fn new(seed: u64) -> Self {
        Self { seed, sequence: Mutex::new(ChaCha8Rng::seed_from_u64(seed)) }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        self.sequence.lock().fill_bytes(buffer);
    }
}

/// The seed for one test: what `RIALTO_SEED` says, to replay a failure, or a new one. It is
/// printed, which the test runner shows when the test fails.
pub fn test_seed() -> u64 {
    let given = std::env::var("RIALTO_SEED").ok().and_then(|text| text.trim().parse().ok());
    let seed = given.unwrap_or_else(|| crate::env::real::OsRandom::default().u64());
    eprintln!("RIALTO_SEED={seed}");
    seed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence() {
        let draw = |seed| {
            let random = SeededRandom::new(seed);
            (0..8).map(|_| random.u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!(SeededRandom::new(5).seed(), 5);
    }
}
