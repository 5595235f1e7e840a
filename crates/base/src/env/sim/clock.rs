//! Simulated time: tokio's, which a test runtime pauses, and a wall clock that can be set.

use crate::Timestamp;
use crate::env::Clock;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// When simulated worlds begin: 2030-03-17T17:46:40Z.
const START: Timestamp = Timestamp { unix_ms: 1_900_000_000_000 };

/// A wall clock that runs with tokio's time and jumps when told to; cheap to clone.
#[derive(Clone)]
pub struct SimClock {
    start: Instant,
    stepped_ms: Arc<AtomicI64>,
}

impl Default for SimClock {
    fn default() -> Self {
        Self { start: Instant::now(), stepped_ms: Arc::default() }
    }
}

impl SimClock {
    /// Sets the wall clock forward, or back where negative. Monotonic time does not notice.
    pub fn step_ms(&self, by: i64) {
        self.stepped_ms.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let elapsed_ms = i64::try_from(self.monotonic().as_millis()).unwrap_or(i64::MAX);
        START.plus_ms(elapsed_ms).plus_ms(self.stepped_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, how_long: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(how_long).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_runs_with_sleep_and_steps_alone() {
        let clock = SimClock::default();
        assert_eq!(clock.now(), START);
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), START.plus_ms(3_600_000));
        clock.clone().step_ms(-86_400_000);
        assert_eq!(clock.now(), START.plus_ms(3_600_000 - 86_400_000));
        assert_eq!(clock.monotonic(), Duration::from_secs(3600));
    }
}
