//! The replicated state itself: nodes, slots, moves, feature level; and nothing else.

use super::command::NodeProfile;
use base::{BootId, Epoch, Error, NodeId, Result, Slot, wire};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The version byte of an encoded state (a Raft snapshot).
const STATE_VERSION: u8 = 1;

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NodeState {
    /// It has an id, but was never up as a member.
    Joining,
    /// Owns slots and may get more.
    Active,
    /// Gives away its slots.
    Draining,
    /// Has none left and gets none; may be stopped, upgraded or removed.
    Drained,
    /// Declared dead; owns nothing.
    Dead,
    /// Gone for good. Remembered for a while, so that it can be told.
    Removed,
}

/// One node.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    /// The index of the log entry that let it join (the founder: the id it founded Raft with).
    pub id: NodeId,
    /// What it says of itself.
    pub profile: NodeProfile,
    /// Where it stands.
    pub state: NodeState,
    /// Whether an operator wants it drained; outlives its death.
    pub drain: bool,
    /// Its last known life; `None` while it is joining.
    pub boot: Option<BootId>,
    /// What it joined with; 0 for the founder.
    pub token: u128,
    /// How many slots it owns.
    pub slots: u16,
}

/// Who owns a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SlotOwner {
    /// 0 for nobody: half the size of an `Option`, in a table of which each node holds several.
    node: NodeId,
    /// The generation; only ever grows.
    pub epoch: Epoch,
}

impl SlotOwner {
    pub(super) fn new(owner: Option<NodeId>, epoch: Epoch) -> Self {
        Self { node: owner.unwrap_or_default(), epoch }
    }

    /// The owner, if there is one.
    pub fn node(&self) -> Option<NodeId> {
        (self.node != NodeId::default()).then_some(self.node)
    }
}

/// A planned move in progress.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Move {
    /// Who owned the slot when it began.
    pub from: NodeId,
    /// Who will own it, and does from [`Phase::Bump`] on.
    pub to: NodeId,
    /// How far it is.
    pub phase: Phase,
}

/// How far a planned move is; see [`super::MoveAction`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Phase {
    /// The target warms its caches, the source serves.
    Prewarm,
    /// The source comes to rest.
    Seal,
    /// The target owns the slot and has yet to say that it serves.
    Bump,
}

/// What all nodes agree on. Cheap to clone: the parts are shared until they change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterState {
    pub(super) nodes: BTreeMap<NodeId, Arc<Node>>,
    pub(super) slots: Arc<Vec<SlotOwner>>,
    pub(super) moves: BTreeMap<Slot, Move>,
    pub(super) feature_level: u32,
    /// The greatest id ever given.
    pub(super) last_id: NodeId,
}

impl Default for ClusterState {
    /// Before the founding: no nodes, no owners.
    fn default() -> Self {
        let nobody = SlotOwner::new(None, Epoch(0));
        Self {
            nodes: BTreeMap::new(),
            slots: Arc::new(vec![nobody; usize::from(Slot::COUNT)]),
            moves: BTreeMap::new(),
            feature_level: 0,
            last_id: NodeId(0),
        }
    }
}

impl ClusterState {
    /// All nodes in order of id, the removed that are remembered among them.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().map(|node| &**node)
    }

    /// A node; `None` if there never was one or it is forgotten.
    pub fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(&id).map(|node| &**node)
    }

    /// A slot's owner and epoch.
    pub fn slot(&self, slot: Slot) -> SlotOwner {
        match self.slots.get(usize::from(slot.number())) {
            Some(found) => *found,
            // Never: there are as many as there are numbers, `check` sees to it.
            None => SlotOwner::new(None, Epoch(0)),
        }
    }

    /// All slots in order.
    pub fn slots(&self) -> impl Iterator<Item = (Slot, SlotOwner)> {
        Slot::all().zip(self.slots.iter().copied())
    }

    /// The slots of one node, in order.
    pub fn slots_of(&self, node: NodeId) -> impl Iterator<Item = (Slot, Epoch)> {
        let own = move |(slot, owner): (Slot, SlotOwner)| {
            (owner.node() == Some(node)).then_some((slot, owner.epoch))
        };
        self.slots().filter_map(own)
    }

    /// The move of a slot, if one is in progress.
    pub fn move_of(&self, slot: Slot) -> Option<Move> {
        self.moves.get(&slot).copied()
    }

    /// All moves in progress, by slot.
    pub fn moves(&self) -> impl Iterator<Item = (Slot, Move)> {
        self.moves.iter().map(|(slot, found)| (*slot, *found))
    }

    /// The version of rows and messages that may be written; 0 before the founding.
    pub fn feature_level(&self) -> u32 {
        self.feature_level
    }

    /// The snapshot's bytes, some tens of kilobytes.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] if it cannot be represented.
    pub fn encode(&self) -> Result<Bytes> {
        wire::encode_row(STATE_VERSION, self)
    }

    /// Reads a snapshot and checks that it is one that [`ClusterState::apply`] can have made.
    ///
    /// # Errors
    /// [`base::Kind::Corrupt`] if it is not.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let state: Self = wire::decode_row(STATE_VERSION, bytes)?;
        match state.check() {
            Ok(()) => Ok(state),
            Err(broken) => Err(Error::corrupt(format!("a cluster state in which {broken}"))),
        }
    }

    /// Checks what must always hold.
    ///
    /// # Errors
    /// What does not, in words.
    pub fn check(&self) -> std::result::Result<(), String> {
        if self.slots.len() != usize::from(Slot::COUNT) {
            return Err(format!("there are {} slots", self.slots.len()));
        }
        let mut counts: BTreeMap<NodeId, u16> = BTreeMap::new();
        for (slot, owner) in self.slots() {
            let Some(node) = owner.node() else { continue };
            *counts.entry(node).or_default() += 1;
            match self.node(node).map(|node| node.state) {
                Some(NodeState::Active | NodeState::Draining) => {}
                state => return Err(format!("{slot} is owned by {node}, which is {state:?}")),
            }
        }
        for (id, node) in &self.nodes {
            let counted = counts.get(id).copied().unwrap_or(0);
            if node.id != *id || *id > self.last_id || id.0 == 0 {
                return Err(format!("{id} is {} or above {}", node.id, self.last_id));
            }
            if node.slots != counted {
                return Err(format!("{id} says {} slots and has {counted}", node.slots));
            }
        }
        for (slot, found) in &self.moves {
            let owner = if found.phase == Phase::Bump { found.to } else { found.from };
            if self.slot(*slot).node() != Some(owner) || found.from == found.to {
                return Err(format!("{slot} moves as {found:?} of {:?}", self.slot(*slot)));
            }
        }
        Ok(())
    }

    // What `apply` is made of.

    pub(super) fn node_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id).map(Arc::make_mut)
    }

    /// Gives the slot a new owner (or none) under the next epoch.
    pub(super) fn hand_over(&mut self, slot: Slot, to: Option<NodeId>) {
        let before = self.slot(slot);
        let epoch = Epoch(before.epoch.0 + 1);
        if let Some(place) = Arc::make_mut(&mut self.slots).get_mut(usize::from(slot.number())) {
            *place = SlotOwner::new(to, epoch);
        }
        if let Some(loser) = before.node().and_then(|node| self.node_mut(node)) {
            loser.slots = loser.slots.saturating_sub(1);
        }
        if let Some(winner) = to.and_then(|node| self.node_mut(node)) {
            winner.slots += 1;
        }
    }

    /// Whether the node may be given slots.
    pub(super) fn may_own(&self, id: NodeId) -> bool {
        matches!(
            self.node(id).map(|node| node.state),
            Some(NodeState::Active | NodeState::Draining)
        )
    }
}
