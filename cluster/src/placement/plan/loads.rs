//! What slots weigh.

use super::super::state::ClusterState;
use base::{NodeId, Slot};

/// The part of a slot's weight that it has by being there, at least; the rest follows its load.
const BASE_PART: f64 = 0.25;

/// The load that being there counts for, at least: so in a cluster that does little, the few
/// commands that there are do not decide where thousands of slots go.
const BASE_LOAD: f64 = 1.0;

/// The load of each slot, in commands a second (a decaying average; many bytes count as more).
#[derive(Clone, Debug)]
pub struct Loads {
    /// By slot number; all together are 1.
    weights: Vec<f64>,
}

impl Loads {
    /// Nothing is known: all slots weigh the same.
    pub fn unknown() -> Self {
        Self { weights: vec![1.0 / f64::from(Slot::COUNT); usize::from(Slot::COUNT)] }
    }

    /// From what nodes report of their slots. What somebody says of a slot that is not (or no
    /// longer) its own is left out, as are numbers that are none.
    pub fn from_reports(
        state: &ClusterState,
        reports: impl IntoIterator<Item = (NodeId, Slot, f64)>,
    ) -> Self {
        let slots = f64::from(Slot::COUNT);
        let mut loads = vec![0.0; usize::from(Slot::COUNT)];
        for (node, slot, load) in reports {
            if state.slot(slot).node() != Some(node) || !load.is_finite() || load <= 0.0 {
                continue;
            }
            if let Some(place) = loads.get_mut(usize::from(slot.number())) {
                *place = load;
            }
        }
        let total: f64 = loads.iter().sum();
        let base = (total * BASE_PART / (1.0 - BASE_PART) / slots).max(BASE_LOAD);
        let weight = |load: f64| (base + load) / (base * slots + total);
        Self { weights: loads.into_iter().map(weight).collect() }
    }

    /// The slot's share of the whole; all slots together are 1.
    pub fn weight(&self, slot: Slot) -> f64 {
        self.weights.get(usize::from(slot.number())).copied().unwrap_or(0.0)
    }
}
