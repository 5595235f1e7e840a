//! Which slots have something to do later: one entry for each, whatever waits there.
//!
//! The list is only a convenience of this life of the node. Whoever takes a slot over reads its
//! rows and puts it here.

use base::{Slot, Timestamp};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use tokio::sync::Notify;

/// The times at which slots want to be woken.
#[derive(Default)]
pub(crate) struct Due {
    times: Mutex<Times>,
    changed: Notify,
}

#[derive(Default)]
struct Times {
    by_slot: HashMap<Slot, Timestamp>,
    in_order: BTreeSet<(Timestamp, Slot)>,
}

impl Due {
    /// Wakes a slot at a moment, or earlier if it is to be woken earlier already.
    pub(crate) fn wake_at(&self, slot: Slot, moment: Timestamp) {
        let mut times = self.times.lock();
        match times.by_slot.get(&slot).copied() {
            Some(known) if known <= moment => return,
            Some(known) => {
                times.in_order.remove(&(known, slot));
            }
            None => {}
        }
        times.by_slot.insert(slot, moment);
        times.in_order.insert((moment, slot));
        drop(times);
        self.changed.notify_one();
    }

    /// Takes slots whose moment has come, at most `max`, and tells the next moment.
    pub(crate) fn take(&self, now: Timestamp, max: usize) -> (Vec<Slot>, Option<Timestamp>) {
        let mut times = self.times.lock();
        let mut slots = Vec::new();
        while let Some((moment, slot)) = times.in_order.first().copied() {
            if moment > now || slots.len() >= max {
                return (slots, Some(moment));
            }
            times.in_order.pop_first();
            times.by_slot.remove(&slot);
            slots.push(slot);
        }
        (slots, None)
    }

    /// Forgets a slot, which is to be woken by another node.
    pub(crate) fn forget(&self, slot: Slot) {
        let mut times = self.times.lock();
        if let Some(known) = times.by_slot.remove(&slot) {
            times.in_order.remove(&(known, slot));
        }
    }

    /// Waits until an earlier moment may have been added.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_moment_counts() {
        let due = Due::default();
        let slot = |number| Slot::new(number).unwrap();
        let at = |unix_ms| Timestamp { unix_ms };
        due.wake_at(slot(1), at(50));
        due.wake_at(slot(2), at(30));
        due.wake_at(slot(1), at(20));
        due.wake_at(slot(1), at(90));
        assert_eq!(due.take(at(10), 9), (vec![], Some(at(20))));
        assert_eq!(due.take(at(30), 1), (vec![slot(1)], Some(at(30))));
        assert_eq!(due.take(at(30), 0), (vec![], Some(at(30))));
        assert_eq!(due.take(at(30), 9), (vec![slot(2)], None));
        assert_eq!(due.take(at(100), 9), (vec![], None));
        due.wake_at(slot(1), at(50));
        due.wake_at(slot(2), at(50));
        due.forget(slot(1));
        due.forget(slot(3));
        assert_eq!(due.take(at(100), 9), (vec![slot(2)], None));
    }
}
