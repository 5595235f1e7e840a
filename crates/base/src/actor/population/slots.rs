//! Which keys are in which slot, and which slots are leaving.
//!
//! A planned move concerns one of 4096 slots, so keys are found by their slot. Nobody is let in to the
//! keys of a slot that leaves: an actor that has come to rest would be started again by whoever
//! waited for a place in its inbox, only to find at its first commit that the slot is another node's.

use crate::Slot;
use crate::error::{Error, Kind, Result};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// For how long nobody is let in if nobody says what has become of a slot; most moves take a tenth
/// of it. Then the fence decides.
const LEAVES_FOR: Duration = Duration::from_secs(2);

/// The keys of a population by slot.
pub(super) struct Slots<K> {
    keys: HashMap<Slot, HashSet<K>>,
    /// Slots that leave, and until when that holds.
    leaving: HashMap<Slot, Instant>,
}

impl<K> Default for Slots<K> {
    fn default() -> Self {
        Self { keys: HashMap::new(), leaving: HashMap::new() }
    }
}

impl<K: Eq + Hash> Slots<K> {
    /// A key has an actor from now on.
    pub(super) fn entered(&mut self, slot: Slot, key: K) {
        self.keys.entry(slot).or_default().insert(key);
    }

    /// A key has no actor any more.
    pub(super) fn gone(&mut self, slot: Slot, key: &K) {
        if let Some(keys) = self.keys.get_mut(&slot) {
            keys.remove(key);
            if keys.is_empty() {
                self.keys.remove(&slot);
            }
        }
    }

    /// The keys of a slot.
    pub(super) fn keys(&self, slot: Slot) -> impl Iterator<Item = &K> {
        self.keys.get(&slot).into_iter().flatten()
    }

    /// Lets nobody in to a slot.
    pub(super) fn leaves(&mut self, slot: Slot, now: Instant) {
        self.leaving.insert(slot, now + LEAVES_FOR);
    }

    /// It is known where a slot is, or stays.
    pub(super) fn settled(&mut self, slot: Slot) {
        self.leaving.remove(&slot);
    }

    /// Whether there may be a slot that nobody is let in to.
    pub(super) fn any_leaves(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// # Errors
    /// [`Kind::Fenced`] if a slot leaves.
    pub(super) fn check(&self, slot: Slot, now: Instant) -> Result<()> {
        match self.leaving.get(&slot) {
            Some(until) if now < *until => {
                Err(Error::new(Kind::Fenced, "This is served elsewhere")
                    .detail(format!("{slot} is leaving")))
            }
            _ => Ok(()),
        }
    }

    /// Forgets what does not hold any more.
    pub(super) fn forget(&mut self, now: Instant) {
        self.leaving.retain(|_, until| now < *until);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, missing_docs)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// As if all keys were looked through each time, and nothing is left of those that have gone.
        #[test]
        fn the_keys_of_a_slot_are_those_that_are_in_it(
            steps in prop::collection::vec((any::<bool>(), 0u32..40), 0..200),
        ) {
            let slot = |key: u32| Slot::new((key % 5) as u16).unwrap();
            let (mut slots, mut model) = (Slots::default(), BTreeSet::new());
            for (enters, key) in steps {
                match enters {
                    true => {
                        slots.entered(slot(key), key);
                        model.insert(key);
                    }
                    false => {
                        slots.gone(slot(key), &key);
                        model.remove(&key);
                    }
                }
                for number in 0..5 {
                    let found: BTreeSet<u32> = slots.keys(slot(number)).copied().collect();
                    let expected = model.iter().copied().filter(|key| slot(*key) == slot(number));
                    prop_assert_eq!(found, expected.collect::<BTreeSet<u32>>());
                }
            }
            let used: BTreeSet<Slot> = model.iter().map(|key| slot(*key)).collect();
            prop_assert_eq!(slots.keys.len(), used.len());
        }
    }
}
