//! A clock that stands still until a test moves it.

use base::Timestamp;
use base::env::Clock;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::time::Duration;

/// Time as a test wants it. Sleeping takes no time; it only lets others run.
#[derive(Debug, Default)]
pub struct ManualClock {
    elapsed: Mutex<Duration>,
}

impl ManualClock {
    /// Moves time on.
    pub fn advance(&self, by: Duration) {
        *self.elapsed.lock() += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let since_start = i64::try_from(self.monotonic().as_millis()).unwrap_or(i64::MAX);
        Timestamp {
            unix_ms: since_start,
        }
    }

    fn monotonic(&self) -> Duration {
        *self.elapsed.lock()
    }

    fn sleep(&self, _how_long: Duration) -> BoxFuture<'static, ()> {
        tokio::task::yield_now().boxed()
    }
}
