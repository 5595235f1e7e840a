//! What the leader knows of the loads of slots: each node tells it of its own, every few seconds.
//!
//! A slot that changes hands is not idle, though its new owner has just begun to count: what was
//! known of it fades as slowly as it would have at the old one. And a leader that has not heard
//! from everybody yet knows nothing: it moves slots only where somebody gives them away.

use super::exchange::{send_loads, send_paces};
use super::shared::Core;
use crate::placement::plan::Loads;
use crate::placement::{ClusterState, NodeState};
use crate::route::{Averages, Meter, Readings, Stopwatch};
use base::{NodeId, Result, Slot};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often a node reads its meter, and tells the leader.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// How soon a new leader is told.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The part of a newer, smaller load in what is known of a slot.
const FADING: f64 = 0.1;

/// For how long a leader waits for those who tell it nothing.
const WAIT_MAX: Duration = Duration::from_secs(15);

/// See the module's words.
pub(super) struct Known {
    by_slot: Vec<f64>,
    heard: BTreeSet<NodeId>,
    /// Since when this node has led without a break.
    leads_since: Option<Duration>,
}

impl Default for Known {
    fn default() -> Self {
        let by_slot = vec![0.0; usize::from(Slot::COUNT)];
        Self { by_slot, heard: BTreeSet::new(), leads_since: None }
    }
}

impl Known {
    /// A node tells of its slots, in hundredths of a command a second; of those that it does not
    /// name, that nothing is asked of them.
    pub(super) fn tell(&mut self, state: &ClusterState, from: NodeId, loads: &[(Slot, u32)]) {
        let told: BTreeMap<Slot, u32> = loads.iter().copied().collect();
        for (slot, _) in state.slots_of(from) {
            let Some(known) = self.by_slot.get_mut(usize::from(slot.number())) else { continue };
            let now = told.get(&slot).map_or(0.0, |load| f64::from(*load) / 100.0);
            *known = if now >= *known { now } else { *known + (now - *known) * FADING };
        }
        self.heard.insert(from);
    }

    /// Whether enough is known to even out loads; to be asked regularly while this node leads.
    pub(super) fn is_complete(&mut self, now: Duration, state: &ClusterState) -> bool {
        let since = *self.leads_since.get_or_insert(now);
        let active = |node: &&crate::placement::Node| node.state == NodeState::Active;
        now.saturating_sub(since) >= WAIT_MAX
            || state.nodes().filter(active).all(|node| self.heard.contains(&node.id))
    }

    /// This node does not lead (any more): what it knows becomes old.
    pub(super) fn forget(&mut self) {
        if self.leads_since.is_some() {
            *self = Self::default();
        }
    }

    /// For the planner.
    pub(super) fn loads(&self, state: &ClusterState) -> Loads {
        let report = |(slot, owner): (Slot, crate::placement::SlotOwner)| {
            let load = self.by_slot.get(usize::from(slot.number())).copied()?;
            Some((owner.node()?, slot, load))
        };
        Loads::from_reports(state, state.slots().filter_map(report))
    }
}

/// Reads this node's meter and its stopwatch, and tells the leader.
pub(super) async fn tell(core: Arc<Core>, meter: Arc<Meter>, stopwatch: Arc<Stopwatch>) {
    let (mut averages, mut readings) = (Averages::default(), Readings::default());
    let (mut read_at, mut told) = (core.now(), None);
    loop {
        core.env.clock.sleep(LOOK_EVERY).await;
        let since = core.now().saturating_sub(read_at);
        let is_due = since >= TELL_EVERY;
        let mut paces = None;
        if is_due {
            core.command_p99_ms.store(averages.read(&meter, since), Ordering::Relaxed);
            paces = Some(readings.read(&stopwatch, &core.state(), core.me));
            read_at = core.now();
        }
        let leader = core.raft.leadership().borrow().leader;
        if !core.has_begun() || (!is_due && leader == told) {
            continue;
        }
        told = leader;
        if let Some(leader) = leader
            && let Err(error) = tell_leader(&core, leader, &averages, paces)
        {
            // One that is lost is made good by the next.
            tracing::warn!(%error, "the leader is not told of loads");
        }
    }
}

fn tell_leader(
    core: &Core,
    leader: NodeId,
    averages: &Averages,
    paces: Option<Vec<(NodeId, u32)>>,
) -> Result<()> {
    if leader == core.me {
        core.hear_loads(core.me, &averages.loads());
        paces.into_iter().for_each(|paces| core.hear_paces(core.me, paces));
        return Ok(());
    }
    send_loads(&core.links, leader, &averages.loads())?;
    paces.map_or(Ok(()), |paces| send_paces(&core.links, leader, &paces))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Command;
    use crate::placement::tests::{boot, founding, profile};

    fn two() -> ClusterState {
        let mut state = ClusterState::default();
        state.apply(2, &founding()).unwrap();
        let (node, token) = (NodeId(3), 3);
        state.apply(3, &Command::Join { token, profile: profile(3) }).unwrap();
        state.apply(4, &Command::Alive { node, boot: boot(3), profile: profile(3) }).unwrap();
        state
    }

    #[test]
    fn what_is_known_of_a_slot_fades_and_is_nobody_elses_to_say() {
        let (state, mut known) = (two(), Known::default());
        let slot = Slot::new(5).unwrap();
        let even = known.loads(&state).weight(slot);
        known.tell(&state, NodeId(3), &[(slot, 500_000)]);
        assert_eq!(known.loads(&state).weight(slot), even, "it is not its slot");
        known.tell(&state, NodeId(1), &[(slot, 500_000)]);
        let hot = known.loads(&state).weight(slot);
        assert!(hot > 0.5, "{hot}");
        known.tell(&state, NodeId(1), &[]);
        let cooler = known.loads(&state).weight(slot);
        assert!(cooler < hot && cooler > 0.4, "{cooler} after {hot}");
        (0..200).for_each(|_| known.tell(&state, NodeId(1), &[]));
        assert!((known.loads(&state).weight(slot) - even).abs() < even / 100.0);
    }

    #[test]
    fn a_new_leader_hears_everybody_first() {
        let (state, mut known) = (two(), Known::default());
        let at = Duration::from_secs;
        assert!(!known.is_complete(at(100), &state));
        known.tell(&state, NodeId(1), &[]);
        assert!(!known.is_complete(at(101), &state));
        assert!(known.is_complete(at(115), &state), "whoever is silent is not waited for");
        known.forget();
        known.tell(&state, NodeId(1), &[]);
        known.tell(&state, NodeId(3), &[]);
        assert!(known.is_complete(at(200), &state));
    }
}
