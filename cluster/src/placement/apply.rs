//! The one way in which the state changes.

use super::command::{Command, Outcome, Refusal, Reply, Spread};
use super::state::{ClusterState, NodeState};
use base::{BootId, NodeId, Slot};
use std::collections::BTreeMap;

/// How many removed nodes are remembered.
const REMOVED_NODES_MAX: usize = 256;

impl ClusterState {
    /// Applies the command of the log entry with this index. A pure function of the state, the
    /// index and the command; its cost does not grow with the number of nodes, but for the few
    /// commands that look at all 4096 slots once.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub fn apply(&mut self, index: u64, command: &Command) -> Reply {
        match command {
            Command::Found { node, boot, profile, epoch, feature_level } => {
                self.found(index, (*node, *boot), profile, *epoch, *feature_level)
            }
            Command::Join { token, profile } => self.join(index, *token, profile),
            Command::Alive { node, boot, profile } => self.alive(*node, *boot, profile),
            Command::Dead { node, boot, spread } => self.dead(*node, *boot, spread),
            Command::Assign { spread } => Ok(self.assign(spread)),
            Command::Drain { node } => self.drain(*node),
            Command::Undrain { node } => self.undrain(*node),
            Command::Remove { node } => self.remove(*node),
            Command::SetWeight { node, weight } => self.set_weight(*node, *weight),
            Command::Moves { steps } => Ok(self.steps(steps)),
            Command::RaiseFeatureLevel { to } => self.raise_feature_level(*to),
            Command::Leave { node, boot } => self.leave(*node, *boot),
        }
    }

    fn dead(&mut self, node: NodeId, boot: BootId, spread: &Spread) -> Reply {
        let found = self.known(node)?;
        match found.state {
            NodeState::Dead => return Ok(Outcome::Unchanged),
            NodeState::Active | NodeState::Draining | NodeState::Drained => {}
            state => return Err(Refusal::WrongState(node, state)),
        }
        if found.boot != Some(boot) {
            return Err(Refusal::StaleBoot(node));
        }
        self.moves.retain(|_, found| found.from != node && found.to != node);
        let heirs = self.heirs(spread, Some(node));
        let slots: Vec<Slot> = self.slots_of(node).map(|(slot, _)| slot).collect();
        let (mut assigned, mut left) = (0, 0);
        for slot in slots {
            let heir = heirs.get(&slot).copied().filter(|heir| *heir != node);
            self.hand_over(slot, heir);
            *(if heir.is_some() { &mut assigned } else { &mut left }) += 1;
        }
        if let Some(found) = self.node_mut(node) {
            found.state = NodeState::Dead;
        }
        Ok(Outcome::Spread { assigned, left })
    }

    fn assign(&mut self, spread: &Spread) -> Outcome {
        let meant: usize = spread.iter().map(|share| share.slots.len()).sum();
        let heirs = self.heirs(spread, None);
        for (slot, heir) in &heirs {
            self.hand_over(*slot, Some(*heir));
        }
        let left = (meant - heirs.len()).min(usize::from(Slot::COUNT)) as u16;
        Outcome::Spread { assigned: heirs.len() as u16, left }
    }

    /// Those parts of a spread that fit: the slot is still `owner`'s under the same epoch, and the
    /// heir may own.
    fn heirs(&self, spread: &Spread, owner: Option<NodeId>) -> BTreeMap<Slot, NodeId> {
        let mut heirs = BTreeMap::new();
        for share in spread.iter().filter(|share| self.may_own(share.to)) {
            for at in &share.slots {
                let now = self.slot(at.slot);
                if now.node() == owner && now.epoch == at.epoch {
                    heirs.entry(at.slot).or_insert(share.to);
                }
            }
        }
        heirs
    }

    fn raise_feature_level(&mut self, to: u32) -> Reply {
        if to == self.feature_level {
            return Ok(Outcome::Unchanged);
        }
        if to < self.feature_level {
            return Err(Refusal::NotHigher);
        }
        let behind = self
            .nodes()
            .filter(|node| node.state != NodeState::Removed)
            .find(|node| node.profile.feature_level < to);
        if let Some(node) = behind {
            let (node, has) = (node.id, node.profile.feature_level);
            return Err(Refusal::OldBinary { node, has, needs: to });
        }
        self.feature_level = to;
        Ok(Outcome::Done)
    }

    /// Forgets the oldest removed nodes. Their ids stay used: ids only grow.
    pub(super) fn forget_removed(&mut self) {
        let removed: Vec<NodeId> =
            self.nodes().filter(|n| n.state == NodeState::Removed).map(|n| n.id).collect();
        for id in removed.iter().take(removed.len().saturating_sub(REMOVED_NODES_MAX)) {
            self.nodes.remove(id);
        }
    }
}
