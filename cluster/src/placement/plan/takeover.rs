//! Slots that need an owner at once.

use super::super::command::{Share, SlotAt, Spread};
use super::super::state::ClusterState;
use super::ledger::Ledger;
use super::loads::Loads;
use base::{Epoch, NodeId, Slot};
use std::collections::BTreeMap;

/// Where the slots of a dead node go: over all survivors, by their weights and loads, so that
/// none is hit by more than its part. For [`super::super::Command::Dead`].
pub fn takeover(state: &ClusterState, dead: NodeId, loads: &Loads) -> Spread {
    spread(state, state.slots_of(dead).collect(), Ledger::new(state, loads, Some(dead)))
}

/// Owners for slots that have none. For [`super::super::Command::Assign`]; empty if all have one.
pub fn orphans(state: &ClusterState, loads: &Loads) -> Spread {
    let orphan = |(_, owner): &(Slot, super::super::SlotOwner)| owner.node().is_none();
    let slots = state.slots().filter(orphan).map(|(slot, owner)| (slot, owner.epoch)).collect();
    spread(state, slots, Ledger::new(state, loads, None))
}

fn spread(state: &ClusterState, mut slots: Vec<(Slot, Epoch)>, mut ledger: Ledger<'_>) -> Spread {
    // A slot that was about to move to a survivor is not on that one's account any more.
    for (slot, _) in &slots {
        if let Some(found) = state.move_of(*slot) {
            ledger.subtract(*slot, found.to);
        }
    }
    // The heaviest first, while there is room to choose.
    let weight = |slot: Slot| ledger.loads.weight(slot);
    slots.sort_by(|a, b| weight(b.0).total_cmp(&weight(a.0)).then(a.0.cmp(&b.0)));
    let mut shares: BTreeMap<NodeId, Vec<SlotAt>> = BTreeMap::new();
    for (slot, epoch) in slots {
        let Some(heir) = ledger.place(slot, |_| true) else { continue };
        ledger.add(slot, heir);
        shares.entry(heir).or_default().push(SlotAt { slot, epoch });
    }
    shares.into_iter().map(|(to, slots)| Share { to, slots }).collect()
}
