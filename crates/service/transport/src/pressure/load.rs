//! What the service itself knows of its load: messages that nobody has sorted yet, and how long the
//! store takes.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The load of a node.
#[derive(Default)]
pub(crate) struct Load {
    /// Messages that were accepted and with which no round has come to an end.
    unsorted: AtomicU64,
    waits: Mutex<Waits>,
}

/// Answers of the store that are waited for.
#[derive(Default)]
struct Waits {
    next: u64,
    /// When each was asked for.
    open: BTreeMap<u64, Duration>,
    /// The longest that has ended since somebody looked.
    longest: Duration,
}

/// An answer that is waited for, until dropped.
pub(crate) struct Waiting<'a, C: Fn() -> Duration> {
    load: &'a Load,
    number: u64,
    clock: C,
}

impl Load {
    /// One more message, or one less.
    pub(crate) fn more(&self) {
        self.unsorted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn less(&self, count: u64) {
        self.unsorted.fetch_sub(count, Ordering::Relaxed);
    }

    pub(crate) fn unsorted(&self) -> u64 {
        self.unsorted.load(Ordering::Relaxed)
    }

    /// The store is asked; `clock` gives monotonic time.
    pub(crate) fn waits<C: Fn() -> Duration>(&self, clock: C) -> Waiting<'_, C> {
        let begun = clock();
        let mut waits = self.waits.lock();
        let number = waits.next;
        waits.next += 1;
        waits.open.insert(number, begun);
        drop(waits);
        Waiting { load: self, number, clock }
    }

    /// The longest that anybody has waited since this was asked last, or waits now.
    pub(crate) fn longest_wait(&self, now: Duration) -> Duration {
        let mut waits = self.waits.lock();
        let ended = std::mem::take(&mut waits.longest);
        // Numbers grow with time.
        let open = waits.open.values().next().map(|begun| now.saturating_sub(*begun));
        ended.max(open.unwrap_or_default())
    }
}

impl<C: Fn() -> Duration> Drop for Waiting<'_, C> {
    fn drop(&mut self) {
        let now = (self.clock)();
        let mut waits = self.load.waits.lock();
        if let Some(begun) = waits.open.remove(&self.number) {
            waits.longest = waits.longest.max(now.saturating_sub(begun));
        }
    }
}

/// The messages of one queue among the unsorted ones.
#[derive(Default)]
pub(crate) struct Share {
    load: Arc<Load>,
    count: u64,
}

impl Share {
    pub(crate) fn of(load: Arc<Load>) -> Self {
        Self { load, count: 0 }
    }

    pub(crate) fn more(&mut self) {
        self.load.more();
        self.count += 1;
    }

    pub(crate) fn less(&mut self) {
        if self.count > 0 {
            self.load.less(1);
            self.count -= 1;
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.load.less(self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn the_longest_wait_is_told_once_and_an_open_one_always() {
        let (load, now) = (Load::default(), Cell::new(Duration::ZERO));
        let at = |seconds| now.set(Duration::from_secs(seconds));
        let longest = || load.longest_wait(now.get()).as_secs();
        let one = load.waits(|| now.get());
        at(2);
        let two = load.waits(|| now.get());
        assert_eq!(longest(), 2);
        at(5);
        drop(one);
        assert_eq!(longest(), 5);
        assert_eq!(longest(), 3, "the other one");
        drop(two);
        assert_eq!(longest(), 3);
        assert_eq!(longest(), 0);
    }

    #[test]
    fn a_queue_that_ends_takes_its_messages_out_of_the_count() {
        let load = Arc::new(Load::default());
        let (mut one, mut two) = (Share::of(load.clone()), Share::of(load.clone()));
        (0..3).for_each(|_| one.more());
        two.more();
        one.less();
        assert_eq!(load.unsorted(), 3);
        drop(one);
        assert_eq!(load.unsorted(), 1);
        two.less();
        two.less();
        assert_eq!(load.unsorted(), 0);
    }
}
