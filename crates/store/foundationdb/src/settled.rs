//! Waiting for the client's futures without losing a wake-up.
//!
//! The `foundationdb` crate's future looks whether it is ready, then leaves its waker for the
//! callback. A callback between the two wakes whoever waited before: nobody the first time (that
//! is safe, the callback is set after the waker), but the task that a future has moved away from
//! later on. Looking once more after the waker is there closes the gap.

use std::pin::Pin;
use std::task::{Context, Poll};

/// The future, polled twice where it is not ready at once.
pub(crate) fn settled<F: Future + Unpin>(future: F) -> Settled<F> {
    Settled(future)
}

pub(crate) struct Settled<F>(F);

impl<F: Future + Unpin> Future for Settled<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match Pin::new(&mut self.0).poll(context) {
            Poll::Pending => Pin::new(&mut self.0).poll(context),
            ready => ready,
        }
    }
}
