//! Time.

use crate::Timestamp;
use futures::future::BoxFuture;
use std::time::Duration;

/// What time it is, and waiting.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock. May jump in both directions; never used for correctness.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start; never goes back.
    fn monotonic(&self) -> Duration;

    /// Waits.
    fn sleep(&self, how_long: Duration) -> BoxFuture<'static, ()>;
}
