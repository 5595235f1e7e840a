//! The real outside world: the operating system's.

mod disk;
mod dns;
mod machine;
mod network;

pub use disk::RealDisk;
pub use dns::RealDns;
pub use machine::RealMachine;
pub use network::RealNetwork;

use super::{Clock, Env, Random};
use crate::Timestamp;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

impl Env {
    /// The operating system's clock, randomness, network, names and files.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(RealClock::default()),
            random: Arc::new(OsRandom::default()),
            network: Arc::new(RealNetwork),
            dns: Arc::new(RealDns),
            disk: Arc::new(RealDisk),
            machine: Arc::new(RealMachine),
        }
    }
}

/// The system's wall clock and tokio's monotonic clock.
pub struct RealClock {
    start: Instant,
}

impl Default for RealClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for RealClock {
    #[allow(clippy::disallowed_methods, reason = "this is where the wall clock is read")]
    fn now(&self) -> Timestamp {
        let milliseconds = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        let unix_ms = match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => milliseconds(since),
            Err(before) => -milliseconds(before.duration()),
        };
        Timestamp { unix_ms }
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, how_long: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(how_long).boxed()
    }
}

/// How many random bytes are fetched at once: many ids for one system call.
const RANDOM_BUFFER_BYTES: usize = 512;

/// The system's generator, a buffer at a time. Bytes that were given out are wiped.
pub struct OsRandom {
    buffer: Mutex<([u8; RANDOM_BUFFER_BYTES], usize)>,
}

impl Default for OsRandom {
    fn default() -> Self {
        Self { buffer: Mutex::new(([0; RANDOM_BUFFER_BYTES], RANDOM_BUFFER_BYTES)) }
    }
}

impl Random for OsRandom {
    fn fill(&self, wanted: &mut [u8]) {
        if wanted.len() > RANDOM_BUFFER_BYTES / 4 {
            return system_random(wanted);
        }
        let mut guard = self.buffer.lock();
        let (buffer, used) = &mut *guard;
        if buffer.len() - *used < wanted.len() {
            system_random(buffer);
            *used = 0;
        }
        let taken = &mut buffer[*used..*used + wanted.len()];
        wanted.copy_from_slice(taken);
        taken.fill(0);
        *used += wanted.len();
    }
}

/// Linux's generator cannot fail once the machine has booted. If it does, nothing may go on: ids
/// would repeat and secrets could be guessed.
fn system_random(buffer: &mut [u8]) {
    if let Err(error) = getrandom::fill(buffer) {
        tracing::error!(%error, "the system has no randomness");
        std::process::abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_do_not_repeat_over_buffer_ends() {
        let random = OsRandom::default();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let mut bytes = [0; 24];
            random.fill(&mut bytes);
            assert!(seen.insert(bytes.to_vec()));
        }
        let mut many = vec![0; 10_000];
        random.fill(&mut many);
        assert!(many.chunks(24).all(|chunk| seen.insert(chunk.to_vec())));
        assert!((0..1000).all(|_| random.below(10) < 10));
        assert_eq!(random.below(0), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_monotonic_clock_follows_paused_time() {
        let clock = RealClock::default();
        clock.sleep(Duration::from_secs(100)).await;
        assert!(clock.monotonic() >= Duration::from_secs(100));
        assert!(clock.now().unix_s() > 1_700_000_000);
    }
}
