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
            tokio::spawn(Running { batched: self.clone(), finished: false }.serve());
        }
        outcome
    }
}

/// The running task; lets the next caller start another one, however it ends.
struct Running {
    batched: Arc<Batched>,
    finished: bool,
}

impl Running {
    async fn serve(mut self) {
        while let Some(waiting) = self.take_next() {
            waiting.send_replace(Some((self.batched.check)().await));
        }
    }

    fn take_next(&mut self) -> Option<watch::Sender<Outcome>> {
        let mut state = self.batched.state.lock();
        let next = state.next.take();
        self.finished = next.is_none();
        state.running = next.is_some();
        next
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After a regular end another task may run already, and the state is its business.
        if !self.finished {
            let mut state = self.batched.state.lock();
            state.running = false;
            state.next = None;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::Kind;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Semaphore;

    /// Checks that count themselves and wait for permits; the number given fails or panics.
    struct Gate {
        begun: AtomicUsize,
        open: Semaphore,
        fails: usize,
        panics: usize,
    }

    fn gated(fails: usize, panics: usize) -> (Arc<Gate>, Arc<Batched>) {
        let (begun, open) = (AtomicUsize::new(0), Semaphore::new(0));
        let gate = Arc::new(Gate { begun, open, fails, panics });
        let inner = gate.clone();
        let check = move || -> BoxFuture<'static, Result<()>> {
            let gate = inner.clone();
            Box::pin(async move {
                let number = gate.begun.fetch_add(1, Ordering::SeqCst) + 1;
                gate.open.acquire().await.unwrap().forget();
                assert_ne!(number, gate.panics, "a panic on purpose");
                if number == gate.fails { Err(Error::unavailable("gate")) } else { Ok(()) }
            })
        };
        (gate, Batched::new(Box::new(check)))
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn who_comes_during_a_check_waits_for_the_next() {
        let (gate, batched) = gated(0, 0);
        let call = |batched: &Arc<Batched>| {
            let batched = batched.clone();
            tokio::spawn(async move { batched.confirm().await })
        };
        let first = call(&batched);
        settle().await;
        let later: Vec<_> = (0..50).map(|_| call(&batched)).collect();
        settle().await;
        assert_eq!(gate.begun.load(Ordering::SeqCst), 1);

        gate.open.add_permits(1);
        first.await.unwrap().unwrap();
        settle().await;
        assert!(later.iter().all(|call| !call.is_finished()), "answered from an older check");
        // One that goes away takes nobody along.
        later[0].abort();

        gate.open.add_permits(1);
        for call in later.into_iter().skip(1) {
            call.await.unwrap().unwrap();
        }
        assert_eq!(gate.begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_and_forgotten() {
        let (gate, batched) = gated(1, 0);
        gate.open.add_permits(2);
        let (one, two) = futures::join!(batched.confirm(), batched.confirm());
        assert_eq!(one.map_err(|e| e.kind), Err(Kind::Unavailable));
        assert_eq!(two.map_err(|e| e.kind), Err(Kind::Unavailable));
        batched.confirm().await.unwrap();
    }

    #[tokio::test]
    async fn a_panic_leaves_nobody_waiting() {
        let (gate, batched) = gated(0, 1);
        gate.open.add_permits(2);
        let first = batched.confirm().await;
        assert_eq!(first.map_err(|e| e.kind), Err(Kind::Unavailable));
        settle().await;
        batched.confirm().await.unwrap();
    }
}
