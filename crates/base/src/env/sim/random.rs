//! Randomness from a seed.

use crate::env::Random;
use crate::env::real::OsRandom;
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

/// How many bits the seeds have that [`test_seed`] chooses itself: tests count on from them.
const SEED_BITS: u32 = 48;

/// The seed for one test. Without `RIALTO_SEED` it follows from the test's name, so that a test
/// does the same in each run, and passes or fails by what was changed and not by luck;
/// `RIALTO_SEED=random` draws a new one, a number replays a failure. It is printed, which the test
/// runner shows when the test fails.
///
/// # Panics
/// Where `RIALTO_SEED` is neither.
pub fn test_seed() -> u64 {
    let told = std::env::var("RIALTO_SEED").unwrap_or_default();
    // The test runner names threads after tests; `main` is the name where it has only one.
    let thread = std::thread::current();
    let Some(seed) = seed_of(&told, thread.name().unwrap_or_default()) else {
        panic!("RIALTO_SEED={told}: neither a number nor `random`");
    };
    eprintln!("RIALTO_SEED={seed}");
    seed
}

/// The seed of a test, and of what is said of seeds; `None` if that cannot be understood.
fn seed_of(told: &str, test: &str) -> Option<u64> {
    match told.trim() {
        "" => Some(hash(test) >> (u64::BITS - SEED_BITS)),
        "random" => Some(OsRandom::default().u64() >> (u64::BITS - SEED_BITS)),
        number => number.parse().ok(),
    }
}

/// FNV-1a: the same on every machine and with every compiler.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
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

    #[test]
    fn a_test_has_one_seed_unless_told_otherwise() {
        assert_eq!(hash("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(seed_of("", "one"), seed_of(" ", "one"));
        assert_ne!(seed_of("", "one"), seed_of("", "two"));
        assert_eq!(seed_of("18446744073709551615\n", "one"), Some(u64::MAX));
        let drawn = || seed_of("random", "one").filter(|seed| seed >> SEED_BITS == 0);
        assert!(drawn().is_some());
        assert_ne!(drawn(), drawn());
        for nonsense in ["Random", "-1", "1 2", "0x10"] {
            assert_eq!(seed_of(nonsense, "one"), None);
        }
    }
}
