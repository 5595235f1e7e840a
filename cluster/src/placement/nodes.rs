//! Nodes come, live, drain and go.

use super::command::{NodeProfile, Outcome, Refusal, Reply};
use super::state::{ClusterState, Node, NodeState, Phase, SlotOwner};
use base::{BootId, Epoch, NodeId, Slot};
use std::sync::Arc;

const ADDRESS_BYTES_MAX: usize = 255;
const VERSION_BYTES_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 64;
const WEIGHT_MAX: u32 = 10_000;

fn within_limits(profile: &NodeProfile) -> bool {
    profile.address.len() <= ADDRESS_BYTES_MAX
        && profile.version.len() <= VERSION_BYTES_MAX
        && profile.name.len() <= NAME_BYTES_MAX
        && (1..=WEIGHT_MAX).contains(&profile.weight)
}

impl ClusterState {
    /// A node that is not removed.
    pub(super) fn known(&self, node: NodeId) -> Result<&Node, Refusal> {
        self.node(node)
            .filter(|found| found.state != NodeState::Removed)
            .ok_or(Refusal::NoSuchNode(node))
    }

    pub(super) fn found(
        &mut self,
        index: u64,
        (node, boot): (NodeId, BootId),
        profile: &NodeProfile,
        epoch: Epoch,
        feature_level: u32,
    ) -> Reply {
        if let Some(founder) = self.nodes().next() {
            let again = founder.id == node && founder.boot == Some(boot);
            return if again { Ok(Outcome::Unchanged) } else { Err(Refusal::AlreadyFounded) };
        }
        if node.0 == 0 || node.0 >= index {
            return Err(Refusal::IdNotNew);
        }
        if !within_limits(profile) {
            return Err(Refusal::Limit);
        }
        if profile.feature_level < feature_level {
            let (has, needs) = (profile.feature_level, feature_level);
            return Err(Refusal::OldBinary { node, has, needs });
        }
        self.slots = Arc::new(vec![SlotOwner::new(Some(node), epoch); usize::from(Slot::COUNT)]);
        self.feature_level = feature_level;
        self.last_id = node;
        let founder = Node {
            id: node,
            profile: profile.clone(),
            state: NodeState::Active,
            drain: false,
            boot: Some(boot),
            token: 0,
            slots: Slot::COUNT,
        };
        self.nodes.insert(node, Arc::new(founder));
        Ok(Outcome::Done)
    }

    pub(super) fn join(&mut self, index: u64, token: u128, profile: &NodeProfile) -> Reply {
        if !within_limits(profile) || token == 0 {
            return Err(Refusal::Limit);
        }
        if let Some(known) = self.nodes().find(|node| node.token == token) {
            let gone = known.state == NodeState::Removed;
            return if gone {
                Err(Refusal::NoSuchNode(known.id))
            } else {
                Ok(Outcome::Joined(known.id))
            };
        }
        let id = NodeId(index);
        if id <= self.last_id || self.nodes.is_empty() {
            return Err(Refusal::IdNotNew);
        }
        if profile.feature_level < self.feature_level {
            let (has, needs) = (profile.feature_level, self.feature_level);
            return Err(Refusal::OldBinary { node: id, has, needs });
        }
        self.last_id = id;
        let node = Node {
            id,
            profile: profile.clone(),
            state: NodeState::Joining,
            drain: false,
            boot: None,
            token,
            slots: 0,
        };
        self.nodes.insert(id, Arc::new(node));
        Ok(Outcome::Joined(id))
    }

    pub(super) fn alive(&mut self, node: NodeId, boot: BootId, profile: &NodeProfile) -> Reply {
        let known = self.known(node)?;
        if !within_limits(profile) {
            return Err(Refusal::Limit);
        }
        if profile.feature_level < self.feature_level {
            let (has, needs) = (profile.feature_level, self.feature_level);
            return Err(Refusal::OldBinary { node, has, needs });
        }
        let reborn = known.boot != Some(boot);
        let state = match known.state {
            NodeState::Joining | NodeState::Dead if known.drain => NodeState::Drained,
            NodeState::Joining | NodeState::Dead => NodeState::Active,
            // The life that was leaving is over.
            NodeState::Draining | NodeState::Drained if reborn && !known.drain => NodeState::Active,
            state => state,
        };
        let profile = NodeProfile { weight: known.profile.weight, ..profile.clone() };
        if !reborn && state == known.state && profile == known.profile {
            return Ok(Outcome::Unchanged);
        }
        if let Some(found) = self.node_mut(node) {
            (found.state, found.boot, found.profile) = (state, Some(boot), profile);
        }
        if reborn {
            self.begin_new_life(node);
        }
        Ok(Outcome::Done)
    }

    /// The earlier life may still have commits on their way: the new one needs fences of its own,
    /// so new epochs. What was being moved from or to it begins anew.
    fn begin_new_life(&mut self, node: NodeId) {
        self.moves.retain(|_, found| found.from != node && found.to != node);
        let slots: Vec<Slot> = self.slots_of(node).map(|(slot, _)| slot).collect();
        for slot in slots {
            self.hand_over(slot, Some(node));
        }
    }

    pub(super) fn drain(&mut self, node: NodeId) -> Reply {
        let known = self.known(node)?;
        if known.drain {
            return Ok(Outcome::Unchanged);
        }
        if known.state == NodeState::Active && !self.has_heir(node) {
            return Err(Refusal::LastNode(node));
        }
        if let Some(found) = self.node_mut(node) {
            found.drain = true;
        }
        self.give_away(node);
        Ok(Outcome::Done)
    }

    pub(super) fn leave(&mut self, node: NodeId, boot: BootId) -> Reply {
        let known = self.known(node)?;
        if known.boot != Some(boot) {
            return Err(Refusal::StaleBoot(node));
        }
        if known.state != NodeState::Active {
            return Ok(Outcome::Unchanged);
        }
        if !self.has_heir(node) {
            return Err(Refusal::LastNode(node));
        }
        self.give_away(node);
        Ok(Outcome::Done)
    }

    /// Whether somebody else could take what the node has.
    fn has_heir(&self, node: NodeId) -> bool {
        self.nodes().any(|other| other.id != node && other.state == NodeState::Active)
    }

    fn give_away(&mut self, node: NodeId) {
        if let Some(found) = self.node_mut(node)
            && found.state == NodeState::Active
        {
            found.state = NodeState::Draining;
        }
        self.moves.retain(|_, found| found.to != node || found.phase == Phase::Bump);
        self.settle(node);
    }

    /// A draining node that has nothing left is drained.
    pub(super) fn settle(&mut self, node: NodeId) {
        if let Some(found) = self.node(node)
            && found.state == NodeState::Draining
            && found.slots == 0
            && let Some(found) = self.node_mut(node)
        {
            found.state = NodeState::Drained;
        }
    }

    pub(super) fn undrain(&mut self, node: NodeId) -> Reply {
        let known = self.known(node)?;
        // One that is leaving without an operator's wish is called back alike.
        let leaves = matches!(known.state, NodeState::Draining | NodeState::Drained);
        if !known.drain && !leaves {
            return Ok(Outcome::Unchanged);
        }
        if let Some(found) = self.node_mut(node) {
            found.drain = false;
            if matches!(found.state, NodeState::Draining | NodeState::Drained) {
                found.state = NodeState::Active;
            }
        }
        // Slots that were on their way out stay.
        self.moves.retain(|_, found| found.from != node || found.phase == Phase::Bump);
        Ok(Outcome::Done)
    }

    pub(super) fn remove(&mut self, node: NodeId) -> Reply {
        match self.node(node).map(|found| found.state) {
            None => Err(Refusal::NoSuchNode(node)),
            Some(NodeState::Removed) => Ok(Outcome::Unchanged),
            Some(NodeState::Drained | NodeState::Dead | NodeState::Joining) => {
                self.moves.retain(|_, found| found.from != node && found.to != node);
                if let Some(found) = self.node_mut(node) {
                    found.state = NodeState::Removed;
                }
                self.forget_removed();
                Ok(Outcome::Done)
            }
            Some(state) => Err(Refusal::WrongState(node, state)),
        }
    }

    pub(super) fn set_weight(&mut self, node: NodeId, weight: u32) -> Reply {
        if !(1..=WEIGHT_MAX).contains(&weight) {
            return Err(Refusal::Limit);
        }
        if self.known(node)?.profile.weight == weight {
            return Ok(Outcome::Unchanged);
        }
        if let Some(found) = self.node_mut(node) {
            found.profile.weight = weight;
        }
        Ok(Outcome::Done)
    }
}
