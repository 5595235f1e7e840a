//! One check for all who wait.
//!
//! A cached answer may be given only after a check that began after the command arrived. So a
//! caller that comes while a check is under way waits for the next one, and all who wait share it:
//! under load the store sees one read at a time, whatever the number of commands.

use base::{Error, Result};
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;

/// The outcome of one check; `None` until it is there.
type Outcome = Option<Result<()>>;

/// Runs the check. The argument of [`Batched::new`].
type Check = Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Shares checks among those who wait for one.
pub(crate) struct Batched {
    check: Check,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether a task runs that will serve `next`.
    running: bool,
    /// Those who wait for the check after the one under way.
    next: Option<watch::Sender<Outcome>>,
}

impl Batched {
    pub(crate) fn new(check: Check) -> Arc<Self> {
        Arc::new(Self { check, state: Mutex::default() })
    }

    /// Waits for a check that begins after this call.
    pub(crate) async fn confirm(self: &Arc<Self>) -> Result<()> {
        let mut outcome = self.join();
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(result)) => result.clone(),
            // The task was dropped with its runtime, or the check panicked.
            _ => Err(Error::unavailable("the check of the fence was cut off")),
        }
    }

    fn join(self: &Arc<Self>) -> watch::Receiver<Outcome> {
        let mut state = self.state.lock();
        let outcome = state.next.get_or_insert_with(|| watch::Sender::new(None)).subscribe();
        if !state.running {
            state.running = true;
            // A task of its own: a caller that goes away must not take the others' check along.
            tokio::spawn(Running(self.clone()).serve());
        }
        outcome
    }
}

/// The running task; lets the next caller start another one, however it ends.
struct Running(Arc<Batched>);

impl Running {
    async fn serve(self) {
        while let Some(waiting) = self.take_next() {
            waiting.send_replace(Some((self.0.check)().await));
        }
    }

    fn take_next(&self) -> Option<watch::Sender<Outcome>> {
        let mut state = self.0.state.lock();
        let next = state.next.take();
        state.running = next.is_some();
        next
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        // After a regular end this task has nothing left; another one may run already, and then
        // `next` is its business.
        if std::thread::panicking() {
            state.running = false;
            state.next = None;
        }
    }
}
