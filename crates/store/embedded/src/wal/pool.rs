//! The segments that stand ready for the committer, and how full the log is.
//!
//! The applier puts segments in (new ones up to a fixed number, then those that a checkpoint has
//! released), the committer takes them out. When none is ready, or the log has reached its limit,
//! the committer waits here: this is the store's back-pressure.

use super::Position;
use super::segment::Segment;
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::time::Duration;

/// See the module's words.
pub(crate) struct Pool {
    state: Mutex<State>,
    changed: Condvar,
    limit_bytes: u64,
}

struct State {
    ready: VecDeque<Segment>,
    /// Left behind by the committer, oldest first; needed until a checkpoint passes them.
    live: VecDeque<Segment>,
    /// Bytes of records ever written, and those that a checkpoint has passed.
    written: u64,
    passed: u64,
}

/// What the committer gets when it needs room.
pub(crate) enum Room {
    /// Go on.
    Granted,
    /// The log is full or no segment is ready.
    Full,
}

impl Pool {
    pub(crate) fn new(live: Vec<Segment>, written: u64, limit_bytes: u64) -> Self {
        let ready = VecDeque::new();
        let state = State { ready, live: live.into(), written, passed: 0 };
        Self { state: Mutex::new(state), changed: Condvar::new(), limit_bytes }
    }

    /// Asks for room for `len` more bytes, and for a ready segment where `roll` is set. An empty
    /// log always has room.
    pub(crate) fn room(&self, len: u64, roll: bool) -> Room {
        let state = self.state.lock();
        let used = state.written - state.passed;
        let fits = used == 0 || used + len <= self.limit_bytes;
        if fits && (!roll || !state.ready.is_empty()) { Room::Granted } else { Room::Full }
    }

    /// Waits until something changed, at most so long.
    pub(crate) fn wait(&self, at_most: Duration) {
        let mut state = self.state.lock();
        self.changed.wait_for(&mut state, at_most);
    }

    /// Wakes whoever waits: something else may have changed.
    pub(crate) fn notify(&self) {
        self.changed.notify_all();
    }

    pub(crate) fn take(&self) -> Option<Segment> {
        self.state.lock().ready.pop_front()
    }

    pub(crate) fn ready_count(&self) -> usize {
        self.state.lock().ready.len()
    }

    pub(crate) fn put_ready(&self, segment: Segment) {
        self.state.lock().ready.push_back(segment);
        self.changed.notify_all();
    }

    /// Gives a segment back that was taken and not used.
    pub(crate) fn put_back(&self, segment: Segment) {
        self.state.lock().ready.push_front(segment);
    }

    pub(crate) fn put_live(&self, segment: Segment) {
        self.state.lock().live.push_back(segment);
    }

    /// Counts `len` bytes of records; answers all that were ever counted.
    pub(crate) fn add_bytes(&self, len: u64) -> u64 {
        let mut state = self.state.lock();
        state.written += len;
        state.written
    }

    /// Bytes of records that a replay would read now.
    pub(crate) fn used_bytes(&self) -> u64 {
        let state = self.state.lock();
        state.written - state.passed
    }

    /// A checkpoint has passed `position`, where `written` bytes had been counted: gives the
    /// segments that may be used again.
    pub(crate) fn release(&self, position: Position, written: u64) -> Vec<Segment> {
        let mut state = self.state.lock();
        state.passed = state.passed.max(written.min(state.written));
        let mut released = Vec::new();
        while let Some(oldest) = state.live.front() {
            if oldest.header.generation == position.generation {
                break;
            }
            released.extend(state.live.pop_front());
        }
        self.changed.notify_all();
        released
    }
}
