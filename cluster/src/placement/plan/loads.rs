//! What slots weigh.

use super::super::state::ClusterState;
use base::{NodeId, Slot};

/// The part of a slot's weight that it has by being there; the rest follows its load.
const BASE_PART: f64 = 0.25;

/// The load of each slot, in any unit that adds up (a decaying average of CPU time and bytes, say).
#[derive(Clone, Debug)]
pub struct Loads {
    /// By slot number.
    load: Vec<f64>,
    total: f64,
}

impl Loads {
    /// Nothing is known: all slots weigh the same.
    pub fn unknown() -> Self {
        Self { load: vec![0.0; usize::from(Slot::COUNT)], total: 0.0 }
    }

    /// From what nodes report of their slots. What somebody says of a slot that is not (or no
    /// longer) its own is left out, as are numbers that are none.
    pub fn from_reports(
        state: &ClusterState,
        reports: impl IntoIterator<Item = (NodeId, Slot, f64)>,
    ) -> Self {
        let mut loads = Self::unknown();
        for (node, slot, load) in reports {
            if state.slot(slot).node() != Some(node) || !load.is_finite() || load <= 0.0 {
                continue;
            }
            if let Some(place) = loads.load.get_mut(usize::from(slot.number())) {
                *place = load;
            }
        }
        loads.total = loads.load.iter().sum();
        loads
    }

    /// The slot's share of the whole; all slots together are 1.
    pub fn weight(&self, slot: Slot) -> f64 {
        let even = 1.0 / f64::from(Slot::COUNT);
        let load = self.load.get(usize::from(slot.number())).copied().unwrap_or(0.0);
        if self.total > 0.0 {
            BASE_PART * even + (1.0 - BASE_PART) * load / self.total
        } else {
            even
        }
    }
}
