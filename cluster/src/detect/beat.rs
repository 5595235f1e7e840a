//! What nodes tell each other ten times a second.

use crate::placement::plan::score;
use crate::placement::{ClusterState, NodeState};
use base::{BootId, NodeId, Result, Slot, wire};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version byte of an encoded beat.
const BEAT_VERSION: u8 = 1;

/// How many peers besides the leader a node sends its beats to.
const PEERS: usize = 2;

/// How a node is, as it measures itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Vitals {
    /// How late its timers were at worst in the last second, in milliseconds.
    pub tick_lag_ms: u32,
    /// How long ago the store last answered its probe, in milliseconds.
    pub store_silence_ms: u32,
    /// How long the last sync of its Raft log took, in milliseconds.
    pub raft_sync_ms: u32,
    /// How full its fullest inbox is, 0 to 100.
    pub inbox_percent: u8,
    /// The 99th percentile of its commands in the last seconds, in milliseconds; 0 without any.
    pub command_p99_ms: u32,
}

/// What the sender hears of another node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hearing {
    /// The other.
    pub node: NodeId,
    /// Its life.
    pub boot: BootId,
    /// How long ago its last beat came in, in milliseconds.
    pub silence_ms: u32,
    /// Whether its links were reset and nobody listens there since.
    pub refused: bool,
}

/// The heartbeat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Beat {
    /// The sender.
    pub node: NodeId,
    /// Its life.
    pub boot: BootId,
    /// How it is.
    pub vitals: Vitals,
    /// Whom it hears; `None` while it trusts its own ears not.
    pub hears: Option<Vec<Hearing>>,
}

impl Beat {
    /// The bytes for the link.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] if it cannot be represented.
    pub fn encode(&self) -> Result<Bytes> {
        wire::encode_row(BEAT_VERSION, self)
    }

    /// Reads what [`Beat::encode`] wrote.
    ///
    /// # Errors
    /// [`base::Kind::Corrupt`] if it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        wire::decode_row(BEAT_VERSION, bytes)
    }
}

/// To whom a node sends its beats: the leader and two peers that every node computes alike, spread
/// evenly and stable while nodes come and go. So a node hears about three others, however many
/// there are.
pub fn recipients(state: &ClusterState, node: NodeId, leader: Option<NodeId>) -> Vec<NodeId> {
    let alive = |state: NodeState| {
        matches!(state, NodeState::Active | NodeState::Draining | NodeState::Drained)
    };
    // Any slot number does: it only mixes the hash.
    let Some(mix) = Slot::new((node.0 % u64::from(Slot::COUNT)) as u16) else { return Vec::new() };
    let mut peers: Vec<(f64, NodeId)> = state
        .nodes()
        .filter(|peer| alive(peer.state) && peer.id != node && Some(peer.id) != leader)
        .map(|peer| (score(mix, peer.id, 100), peer.id))
        .collect();
    peers.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let peers = peers.into_iter().take(PEERS).map(|(_, peer)| peer);
    leader.filter(|leader| *leader != node).into_iter().chain(peers).collect()
}
