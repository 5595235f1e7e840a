//! A cluster as the API shows it, and as the command line reads it back. Numbers that JSON cannot
//! hold (128 bits) and ids are text, in the form in which logs write them.

use contract_control::{ClusterStatus, NodeStatus, PlannedMoves, Standing};
use serde::{Deserialize, Serialize};

/// A whole cluster, as the node that was asked knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterView {
    /// 32 hexadecimal digits.
    pub cluster_id: String,
    /// Who was asked.
    pub asked: String,
    /// Raft's leader, where one is known.
    pub leader: Option<String>,
    /// Raft's term.
    pub term: u64,
    /// The version of rows and messages in use.
    pub feature_level: u32,
    /// Slots that nobody owns at the moment.
    pub slots_without_owner: u16,
    /// Slots that are being moved as planned.
    pub moves: u16,
    /// What is wrong now, and what the next failure would do; most important first.
    pub outlook: Vec<String>,
    /// All nodes but the forgotten, by id.
    pub nodes: Vec<NodeView>,
}

/// One node of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeView {
    /// Its id, for ever: `n` and hexadecimal digits.
    pub id: String,
    /// Its name in its configuration.
    pub name: String,
    /// Where it stands.
    pub standing: Standing,
    /// Whether an operator wants it drained.
    pub drain: bool,
    /// How many slots it owns, of 4096.
    pub slots: u16,
    /// Its share relative to the others'.
    pub weight: u32,
    /// Whether it votes in Raft.
    pub voter: bool,
    /// Its binary's version.
    pub version: String,
    /// The greatest feature level that its binary understands.
    pub feature_level: u32,
    /// Whether there is a link to it now; `None` for the node that was asked.
    pub linked: Option<bool>,
    /// How long ago its last heartbeat came in, in milliseconds.
    pub silence_ms: Option<u32>,
    /// How late its timers were at worst of late, in milliseconds.
    pub tick_lag_ms: Option<u32>,
    /// How long ago the store last answered it, in milliseconds.
    pub store_silence_ms: Option<u32>,
    /// Where its links listen, `host:port`.
    pub address: String,
    /// Its last known life: `b` and hexadecimal digits.
    pub boot: Option<String>,
}

/// How many slots one node gives, or would give, to another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MovesView {
    /// Who gives.
    pub from: String,
    /// Who gets.
    pub to: String,
    /// How many slots.
    pub slots: u16,
}

impl ClusterView {
    /// A node by id.
    pub fn node(&self, id: &str) -> Option<&NodeView> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

impl From<&ClusterStatus> for ClusterView {
    fn from(status: &ClusterStatus) -> Self {
        Self {
            cluster_id: status.cluster_id.clone(),
            asked: status.asked.to_string(),
            leader: status.leader.map(|node| node.to_string()),
            term: status.term,
            feature_level: status.feature_level,
            slots_without_owner: status.slots_without_owner,
            moves: status.moves,
            outlook: status.outlook.clone(),
            nodes: status.nodes.iter().map(NodeView::from).collect(),
        }
    }
}

impl From<&NodeStatus> for NodeView {
    fn from(node: &NodeStatus) -> Self {
        Self {
            id: node.id.to_string(),
            name: node.name.clone(),
            standing: node.standing,
            drain: node.drain,
            slots: node.slots,
            weight: node.weight,
            voter: node.voter,
            version: node.version.clone(),
            feature_level: node.feature_level,
            linked: node.linked,
            silence_ms: node.silence_ms,
            tick_lag_ms: node.tick_lag_ms,
            store_silence_ms: node.store_silence_ms,
            address: node.address.clone(),
            boot: node.boot.map(|boot| boot.to_string()),
        }
    }
}

impl From<PlannedMoves> for MovesView {
    fn from(moves: PlannedMoves) -> Self {
        let (from, to) = (moves.from.to_string(), moves.to.to_string());
        Self { from, to, slots: moves.slots }
    }
}
