//! Going on while a store is away. Every transaction of a copy compares what it finds before it
//! writes, so what failed, or may have happened, or may still happen, can simply be tried again.

use crate::progress::Progress;
use base::env::Clock;
use base::{Error, Kind, Result};
use std::time::Duration;
use tokio::sync::watch;

/// How long the first wait is, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// How long a copy waits, and for whom.
pub(crate) struct Patience<'c> {
    pub(crate) clock: &'c dyn Clock,
    /// For how long the same thing may fail.
    pub(crate) limit: Duration,
    pub(crate) told: &'c watch::Sender<Progress>,
}

impl Patience<'_> {
    /// Tries until it succeeds, fails for good, or has failed for too long.
    pub(crate) async fn tried<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let (mut since, mut wait) = (None, WAITS.0);
        loop {
            let error = match attempt().await {
                Ok(value) => {
                    if since.is_some() {
                        self.told.send_modify(|progress| progress.is_waiting = false);
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            let now = self.clock.monotonic();
            if !may_pass(&error) || now - *since.get_or_insert(now) >= self.limit {
                return Err(error);
            }
            tracing::warn!(%error, "the copy tries again");
            self.told.send_modify(|progress| progress.is_waiting = true);
            self.clock.sleep(wait).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }
}

fn may_pass(error: &Error) -> bool {
    let kinds = [Kind::Unavailable, Kind::Timeout, Kind::Overloaded, Kind::OutOfSpace];
    kinds.contains(&error.kind)
}
