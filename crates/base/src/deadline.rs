//! The instant by which an answer must be there.
//!
//! A deadline is set once, where a request enters the system, and handed down unchanged: every
//! step waits for what is left of it, so waiting never adds up. It is a point on tokio's
//! monotonic clock, which tests pause; it never crosses nodes as such (the cluster sends what
//! remains of it).

use crate::error::{Error, Kind, Result};
use std::fmt;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// The instant by which an answer must be there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    at: Instant,
}

impl Deadline {
    /// The farthest deadline there is: longer waits than a day are a mistake.
    pub const FARTHEST: Duration = Duration::from_secs(24 * 60 * 60);

    /// A deadline that far from now; at most [`Deadline::FARTHEST`].
    pub fn after(how_long: Duration) -> Self {
        Self { at: Instant::now() + how_long.min(Self::FARTHEST) }
    }

    /// A deadline at a point of tokio's clock.
    pub fn at(instant: Instant) -> Self {
        Self { at: instant }
    }

    /// The point of tokio's clock.
    pub fn instant(self) -> Instant {
        self.at
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Whether nothing is left.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// This deadline or one that far from now, whichever comes first: for a step that must not
    /// take all of its caller's time.
    #[must_use]
    pub fn within(self, how_long: Duration) -> Self {
        self.min(Self::after(how_long))
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in {:?}", self.remaining())
    }
}

/// Waits for a future at most until the deadline. The future is dropped then, so it must be one
/// that may be dropped anywhere (waiting for an actor's reply is; a store commit is not).
///
/// # Errors
/// The future's own, or [`Kind::Timeout`].
pub async fn with_deadline<T>(
    deadline: Deadline,
    future: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout_at(deadline.at, future).await {
        Ok(result) => result,
        Err(_) => Err(timeout()),
    }
}

/// What [`with_deadline`] answers too late.
pub(crate) fn timeout() -> Error {
    Error::new(Kind::Timeout, "The request took too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_the_wait() {
        let deadline = Deadline::after(Duration::from_secs(5));
        assert_eq!(with_deadline(deadline, async { Ok(7) }).await, Ok(7));
        assert_eq!(deadline.remaining(), Duration::from_secs(5));

        let late = with_deadline(deadline, std::future::pending::<Result<()>>()).await;
        assert_eq!(late.map_err(|e| e.kind), Err(Kind::Timeout));
        assert!(deadline.has_passed());
        assert_eq!(deadline.remaining(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_takes_the_nearer_of_two_deadlines() {
        let far = Deadline::after(Duration::from_secs(60));
        assert_eq!(far.within(Duration::from_secs(1)).remaining(), Duration::from_secs(1));
        assert_eq!(far.within(Duration::from_secs(90)), far);
        assert_eq!(Deadline::after(Duration::MAX).remaining(), Deadline::FARTHEST);
    }
}
