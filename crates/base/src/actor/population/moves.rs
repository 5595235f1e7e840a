//! Slots come to a node and leave it, and their actors with them.

use super::{Key, Population, Which, Wish};
use crate::Slot;
use crate::actor::Actor;
use crate::deadline::Deadline;
use crate::error::Result;
use std::cmp::Reverse;
use std::collections::HashSet;
use tokio::time::Instant;

impl<K: Key, A: Actor> Population<K, A> {
    /// The keys of a slot whose actors stay, the most recently used first, not more than so many.
    pub fn active_in(&self, slot: Slot, max: usize) -> Vec<K> {
        let actors = self.0.actors.lock();
        let found = actors.slots.keys(slot).filter_map(|key| {
            let entry = actors.by_key.get(key).filter(|entry| !entry.leaving)?;
            Some((Reverse((entry.used, entry.serial)), key.clone()))
        });
        let mut found: Vec<_> = found.collect();
        drop(actors);
        found.sort_unstable_by_key(|(used, _)| *used);
        found.into_iter().take(max).map(|(_, key)| key).collect()
    }

    /// A slot is to be another node's: its actors handle what they have taken and stop, and nobody is
    /// let in any more. Waits until they have.
    ///
    /// That ends with [`Population::welcome_slots`] or [`Population::stop_slots`]; without them after
    /// two seconds, so that a slot which stayed, and of which nobody said so, is not lost.
    ///
    /// # Errors
    /// [`Kind::Timeout`](crate::Kind::Timeout) if some take longer; they still stop when they can.
    pub async fn finish_slot(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        self.0.actors.lock().slots.leaves(slot, Instant::now());
        self.end(Which::In(&[slot]), Wish::Finish, deadline).await
    }

    /// The same, but what waits in their inboxes is dropped: only the message that each is handling
    /// is finished. Callers of the others get [`Kind::Fenced`](crate::Kind::Fenced), as those do who
    /// come later: they are to ask again, whoever has the slot by then.
    ///
    /// # Errors
    /// As [`Population::finish_slot`].
    pub async fn leave_slot(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        self.0.actors.lock().slots.leaves(slot, Instant::now());
        self.end(Which::In(&[slot]), Wish::Leave, deadline).await
    }

    /// These slots have come here, or stay after all. If starts of their actors were refused by the
    /// fence, the next one does not wait any more.
    pub fn welcome_slots(&self, slots: &[Slot]) {
        let some: HashSet<Slot> = slots.iter().copied().collect();
        let mut actors = self.0.actors.lock();
        slots.iter().for_each(|slot| actors.slots.settled(*slot));
        actors.rests.end(|key| some.contains(&self.0.slot(key)));
        drop(actors);
        self.0.nudges.send_replace(());
    }

    /// These slots are others' now: asks their actors to stop, and waits until they have.
    ///
    /// # Errors
    /// As [`Population::finish_slot`].
    pub async fn stop_slots(&self, slots: &[Slot], deadline: Deadline) -> Result<()> {
        {
            let mut actors = self.0.actors.lock();
            slots.iter().for_each(|slot| actors.slots.settled(*slot));
        }
        self.end(Which::In(slots), Wish::Finish, deadline).await
    }
}
