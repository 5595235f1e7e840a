//! A scripted history of cluster states: only some slots have owners, which makes them cheap, and
//! anybody may be given anything, which Raft's own commands would not all allow.

use crate::placement::tests::profile;
use crate::placement::{ClusterState, Move, Node, NodeState, Phase};
use crate::raft::Applied;
use base::{BootId, Epoch, NodeId, Slot, wire};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The shape of an encoded [`ClusterState`].
#[derive(Serialize)]
struct Encoded {
    nodes: BTreeMap<NodeId, Node>,
    slots: Vec<(NodeId, Epoch)>,
    moves: BTreeMap<Slot, Move>,
    feature_level: u32,
    last_id: NodeId,
}

pub(crate) struct Model {
    index: u64,
    /// The boot of each node, and whether it is alive.
    pub(crate) nodes: BTreeMap<NodeId, (BootId, bool)>,
    /// Node 0 is nobody.
    owners: BTreeMap<Slot, (NodeId, Epoch)>,
    pub(crate) moves: BTreeMap<Slot, Move>,
}

pub(crate) const NOBODY: NodeId = NodeId(0);

pub(crate) fn slot(number: u16) -> Slot {
    Slot::new(number).unwrap()
}

impl Model {
    /// So many nodes, numbered from 1, in their boots 1001 and so on.
    pub(crate) fn new(nodes: u64) -> Self {
        let boot = |n| (NodeId(n), (BootId(1000 + u128::from(n)), true));
        Self {
            index: 0,
            nodes: (1..=nodes).map(boot).collect(),
            owners: BTreeMap::new(),
            moves: BTreeMap::new(),
        }
    }

    pub(crate) fn owner(&self, slot: Slot) -> (NodeId, Epoch) {
        self.owners.get(&slot).copied().unwrap_or((NOBODY, Epoch(0)))
    }

    /// Under the next epoch; a move of it ends.
    pub(crate) fn give(&mut self, slot: Slot, to: NodeId) -> Epoch {
        self.moves.remove(&slot);
        let epoch = Epoch(self.owner(slot).1.0 + 1);
        self.owners.insert(slot, (to, epoch));
        epoch
    }

    pub(crate) fn slots_of(&self, node: NodeId) -> Vec<Slot> {
        let of = |(slot, owner): (&Slot, &(NodeId, Epoch))| (owner.0 == node).then_some(*slot);
        self.owners.iter().filter_map(of).collect()
    }

    pub(crate) fn set_move(&mut self, slot: Slot, to: NodeId, phase: Phase) {
        let from = self.owner(slot).0;
        self.moves.insert(slot, Move { from, to, phase });
    }

    pub(crate) fn applied(&mut self) -> Applied {
        self.index += 1;
        let mut slots = vec![(NOBODY, Epoch(0)); usize::from(Slot::COUNT)];
        for (slot, owner) in &self.owners {
            slots[usize::from(slot.number())] = *owner;
        }
        let node = |id: NodeId, boot: BootId, is_alive: bool| Node {
            id,
            profile: profile(id.0),
            state: if is_alive { NodeState::Active } else { NodeState::Dead },
            drain: false,
            boot: Some(boot),
            token: u128::from(id.0),
            slots: self.slots_of(id).len() as u16,
        };
        let nodes = self.nodes.iter().map(|(id, (boot, up))| (*id, node(*id, *boot, *up)));
        let encoded = Encoded {
            nodes: nodes.collect(),
            slots,
            moves: self.moves.clone(),
            feature_level: 1,
            last_id: NodeId(100),
        };
        let bytes = wire::encode_row(1, &encoded).unwrap();
        let state = Arc::new(ClusterState::decode(&bytes).unwrap());
        Applied { index: self.index, state, ..Applied::default() }
    }
}
