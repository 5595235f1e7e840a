//! What is held and wanted, slot by slot. No I/O, no waiting.

use crate::renewal::Known;
use base::{Epoch, Slot};
use contract_control::Fence;
use std::collections::BTreeSet;

/// A fence that is in the store.
#[derive(Clone, Copy)]
pub(super) struct Held {
    pub(super) known: Known,
    /// No new requests are let through.
    pub(super) is_sealed: bool,
    /// `N/self` at or before a moment at which the row was certainly ours.
    count: u64,
    /// Tells what was held when a check began from what came later.
    number: u64,
}

/// What the newest followed state says of a slot.
#[derive(Clone, Copy, Default)]
struct Heard {
    epoch: Epoch,
    /// Whether it is to be held here; taken back when the store shows somebody newer.
    is_wanted: bool,
}

/// See the module's words.
pub(super) struct Table {
    held: Vec<Option<Held>>,
    heard: Vec<Heard>,
    /// The smallest count of all that is held; `u64::MAX` for nothing.
    counted: u64,
    /// The number that the next one gets.
    next_number: u64,
    /// Not told yet; what is in both was lost first.
    gained: BTreeSet<Slot>,
    lost: BTreeSet<Slot>,
}

impl Default for Table {
    fn default() -> Self {
        let slots = usize::from(Slot::COUNT);
        Self {
            held: vec![None; slots],
            heard: vec![Heard::default(); slots],
            counted: u64::MAX,
            next_number: 0,
            gained: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }
}

fn index(slot: Slot) -> usize {
    usize::from(slot.number())
}

impl Table {
    pub(super) fn held(&self, slot: Slot) -> Option<&Held> {
        self.held.get(index(slot))?.as_ref()
    }

    pub(super) fn held_mut(&mut self, slot: Slot) -> Option<&mut Held> {
        self.held.get_mut(index(slot))?.as_mut()
    }

    /// What is held under this fence, renewed or not.
    pub(super) fn held_as(&self, fence: &Fence) -> Option<&Held> {
        let same = |held: &&Held| {
            let now = held.known.fence;
            (now.node, now.boot, now.epoch) == (fence.node, fence.boot, fence.epoch)
        };
        self.held(fence.slot).filter(same)
    }

    /// The epoch under which a slot is to be held here, as far as is known.
    pub(super) fn wanted(&self, slot: Slot) -> Option<Epoch> {
        let heard = self.heard.get(index(slot)).filter(|heard| heard.is_wanted)?;
        Some(heard.epoch)
    }

    /// Whether a state with this epoch of the slot, or a later one, has been followed.
    pub(super) fn has_heard(&self, slot: Slot, epoch: Epoch) -> bool {
        self.heard.get(index(slot)).is_some_and(|heard| heard.epoch >= epoch)
    }

    /// A newer state says this of a slot. Drops what is held under an older epoch; says whether
    /// anything is different now. What an older state says is not heard.
    pub(super) fn hear(&mut self, slot: Slot, epoch: Epoch, is_wanted: bool) -> bool {
        let Some(heard) = self.heard.get_mut(index(slot)).filter(|heard| heard.epoch <= epoch)
        else {
            return false;
        };
        let is_new = heard.epoch != epoch || heard.is_wanted != is_wanted;
        *heard = Heard { epoch, is_wanted };
        let stays = |held: &Held| is_wanted && held.known.fence.epoch >= epoch;
        if self.held(slot).is_some_and(|held| !stays(held)) {
            self.lose(slot);
        }
        is_new
    }

    /// What is wanted and not held.
    pub(super) fn missing(&self) -> Vec<(Slot, Epoch)> {
        let missing = |slot: Slot| {
            let epoch = self.wanted(slot)?;
            self.held(slot).is_none().then_some((slot, epoch))
        };
        Slot::all().filter_map(missing).collect()
    }

    /// The fence is in the store, and `N/self` was `count` then or before. Says whether it is held
    /// now: not if it is not wanted any more.
    pub(super) fn taken(&mut self, fence: Fence, count: u64) -> bool {
        if self.wanted(fence.slot) != Some(fence.epoch) || self.held(fence.slot).is_some() {
            return false;
        }
        let held =
            Held { known: Known::new(fence), is_sealed: false, count, number: self.next_number };
        let Some(place) = self.held.get_mut(index(fence.slot)) else { return false };
        *place = Some(held);
        self.next_number += 1;
        self.counted = self.counted.min(count);
        self.gained.insert(fence.slot);
        true
    }

    /// The store shows that somebody newer has a slot that is wanted under this epoch: there is no
    /// use in waiting for it.
    pub(super) fn refused(&mut self, slot: Slot, epoch: Epoch) {
        let same = |heard: &&mut Heard| heard.epoch == epoch;
        if let Some(heard) = self.heard.get_mut(index(slot)).filter(same) {
            heard.is_wanted = false;
        }
    }

    /// The same for a slot that was held. Says whether it still was.
    pub(super) fn superseded(&mut self, fence: &Fence) -> bool {
        let is_held = self.held_as(fence).is_some();
        if is_held {
            self.refused(fence.slot, fence.epoch);
            self.lose(fence.slot);
        }
        is_held
    }

    fn lose(&mut self, slot: Slot) {
        if let Some(place) = self.held.get_mut(index(slot)) {
            *place = None;
        }
        self.gained.remove(&slot);
        self.lost.insert(slot);
    }

    /// Slots gained and lost since this was last asked.
    pub(super) fn news(&mut self) -> (Vec<Slot>, Vec<Slot>) {
        let gained = std::mem::take(&mut self.gained).into_iter().collect();
        (gained, std::mem::take(&mut self.lost).into_iter().collect())
    }

    // The check of `N/self`.

    /// Where a check begins: only what has a smaller number is judged by it.
    pub(super) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Whether all that is held was certainly ours when `N/self` was `count`, or later.
    pub(super) fn is_counted(&self, count: u64) -> bool {
        self.counted >= count
    }

    /// What a check that found `count` must look at.
    pub(super) fn uncounted(&self, before: u64, count: u64) -> Vec<Fence> {
        let uncounted = |held: &&Held| held.number < before && held.count < count;
        self.held.iter().flatten().filter(uncounted).map(|held| held.known.fence).collect()
    }

    /// These were found to be ours while `N/self` was `count`.
    pub(super) fn counted(&mut self, fences: &[Fence], count: u64) {
        for fence in fences {
            if self.held_as(fence).is_some()
                && let Some(held) = self.held_mut(fence.slot)
            {
                held.count = held.count.max(count);
            }
        }
        let smallest = self.held.iter().flatten().map(|held| held.count).min();
        self.counted = smallest.unwrap_or(u64::MAX);
    }
}
