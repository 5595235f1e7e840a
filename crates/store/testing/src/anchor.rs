//! What holds simulated time back while something real is awaited.
//!
//! Tokio's paused clock jumps to the next timer when every task waits, and does not jump while a
//! task of the blocking pool is alive. So while an operation is outstanding, such a task is. It
//! looks up now and then instead of being woken at the end of each operation, which costs the
//! operations next to nothing, and leaves when a whole look has seen nothing going on.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long the holding task waits between two looks, in real time. A jump of time after an
/// operation comes one or two of these later.
const LOOK: Duration = Duration::from_micros(250);

/// How many looks a change that others watch for is owed: half a second and more. A watch that
/// was not told by then is passed by, as it may be.
const OWED_LOOKS: u32 = 2_000;

#[derive(Default)]
struct State {
    outstanding: usize,
    /// How many operations have begun, to see whether any did between two looks.
    begun: u64,
    /// Whether the holding task is there, or about to come.
    held: bool,
    /// Watches that are to be told of a commit, and for how many more looks they are waited for.
    owed: usize,
    owed_looks: u32,
}

/// Counts what is outstanding. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Anchor(Arc<(Mutex<State>, Condvar)>);

impl Anchor {
    /// An operation begins; it ends when the answer is dropped.
    pub(crate) fn hold(&self) -> Hold {
        let mut state = self.0.0.lock();
        state.outstanding += 1;
        state.begun += 1;
        if !state.held
            && let Ok(runtime) = Handle::try_current()
        {
            state.held = true;
            let anchor = self.clone();
            // Detached: it ends by itself when nothing is outstanding.
            drop(runtime.spawn_blocking(move || anchor.stay()));
        }
        Hold(self.clone())
    }

    /// Whoever holds owes so many watches a message.
    pub(crate) fn owe(&self, watches: usize) {
        let mut state = self.0.0.lock();
        state.owed += watches;
        state.owed_looks = OWED_LOOKS;
    }

    /// A watch was told, or is gone.
    pub(crate) fn settle(&self) {
        let mut state = self.0.0.lock();
        state.owed = state.owed.saturating_sub(1);
    }

    fn stay(&self) {
        let (state, never) = &*self.0;
        let mut state = state.lock();
        loop {
            let before = state.begun;
            // Nobody notifies: this is a sleep that gives the lock away.
            let _ = never.wait_for(&mut state, LOOK);
            if state.owed > 0 {
                state.owed_looks = state.owed_looks.saturating_sub(1);
                if state.owed_looks == 0 {
                    state.owed = 0;
                }
            }
            if state.outstanding == 0 && state.begun == before && state.owed == 0 {
                state.held = false;
                return;
            }
        }
    }
}

/// An operation that is outstanding.
pub(crate) struct Hold(Anchor);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.0.lock().outstanding -= 1;
    }
}
