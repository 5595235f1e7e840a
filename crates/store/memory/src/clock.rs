//! A clock that stands still until a test moves it.

use base::Timestamp;
use base::env::Clock;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// Time as a test wants it. Sleeping takes no real time; it lets others run, and moves the time on
/// if the clock is [`ManualClock::stepping`].
#[derive(Debug, Default)]
pub struct ManualClock {
    elapsed: Arc<Mutex<Duration>>,
    steps: bool,
}

impl ManualClock {
    /// A clock that sleeping moves on by what was slept.
    pub fn stepping() -> Self {
        Self { steps: true, ..Self::default() }
    }

    /// Moves time on.
    pub fn advance(&self, by: Duration) {
        *self.elapsed.lock() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let since_start = i64::try_from(self.monotonic().as_millis()).unwrap_or(i64::MAX);
        Timestamp { unix_ms: since_start }
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.lock()
    }

    fn sleep(&self, how_long: Duration) -> BoxFuture<'static, ()> {
        let elapsed = self.steps.then(|| self.elapsed.clone());
        async move {
            tokio::task::yield_now().await;
            if let Some(elapsed) = elapsed {
                *elapsed.lock() += how_long;
            }
        }
        .boxed()
    }
}
