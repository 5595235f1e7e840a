//! How many requests may wait for an owner.

use base::{Error, Kind, Result, Slot};
use std::sync::atomic::{AtomicU32, Ordering};

/// For one slot: all sessions of a busy shared mailbox on this node, which an owner serves within a
/// few seconds, and no more than a part of what may wait altogether, so that one slot that nobody
/// takes does not turn away those of others.
pub(super) const PER_SLOT_MAX: u32 = 5_000;

/// For all of them: each holds its request and a task, some kilobytes.
pub(super) const TOTAL_MAX: u32 = 20_000;

/// Counts those who wait.
pub(super) struct Waiting {
    total: AtomicU32,
    by_slot: Vec<AtomicU32>,
}

/// One of them; gives its place back when dropped.
pub(super) struct Place<'w> {
    waiting: &'w Waiting,
    slot: &'w AtomicU32,
}

impl Default for Waiting {
    fn default() -> Self {
        let by_slot = (0..Slot::COUNT).map(|_| AtomicU32::new(0)).collect();
        Self { total: AtomicU32::new(0), by_slot }
    }
}

impl Waiting {
    /// Takes a place.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] if there is none.
    pub(super) fn enter(&self, slot: Slot) -> Result<Place<'_>> {
        let Some(of_slot) = self.by_slot.get(usize::from(slot.number())) else {
            return Err(Error::internal(format!("there is no {slot}")));
        };
        if !raise(&self.total, TOTAL_MAX) {
            return Err(too_many(slot));
        }
        if !raise(of_slot, PER_SLOT_MAX) {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return Err(too_many(slot));
        }
        metrics::gauge!("rialto_route_waiting").increment(1);
        Ok(Place { waiting: self, slot: of_slot })
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> u32 {
        self.total.load(Ordering::Relaxed)
    }
}

fn raise(count: &AtomicU32, max: u32) -> bool {
    let more = |now: u32| (now < max).then_some(now + 1);
    count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
}

fn too_many(slot: Slot) -> Error {
    metrics::counter!("rialto_route_turned_away_total").increment(1);
    Error::new(Kind::Overloaded, "Too much work is waiting")
        .detail(format!("for an owner of {slot}"))
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.slot.fetch_sub(1, Ordering::Relaxed);
        self.waiting.total.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("rialto_route_waiting").decrement(1);
    }
}
