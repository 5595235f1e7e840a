//! What can be asked of the state, and what it answers. Both are durable (in the Raft log) and
//! cross nodes: variants are only ever added at the end, and a new one is proposed only once the
//! cluster's feature level says that every node knows it. Golden vectors guard the bytes.

use super::state::NodeState;
use base::{BootId, Epoch, NodeId, Result, Slot, wire};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The version byte of an encoded command.
const COMMAND_VERSION: u8 = 1;

/// What a node says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeProfile {
    /// Where its links listen, `host:port`; at most 255 bytes.
    pub address: String,
    /// Its share of the slots relative to the others', 1 to 10,000; 100 is usual.
    pub weight: u32,
    /// The greatest feature level that its binary understands.
    pub feature_level: u32,
    /// Its binary's version, for people; at most 64 bytes.
    pub version: String,
    /// What its operator calls it; at most 64 bytes.
    pub name: String,
}

/// A slot as the proposer saw it; skipped if its epoch is another by now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SlotAt {
    /// Which slot.
    pub slot: Slot,
    /// Its epoch when the command was computed.
    pub epoch: Epoch,
}

/// The slots that one node gets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Share {
    /// Who gets them.
    pub to: NodeId,
    /// Which; each gets a new epoch.
    pub slots: Vec<SlotAt>,
}

/// New owners for slots that have none, or whose owner is dead.
pub type Spread = Vec<Share>;

/// One step of a planned move of one slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MoveStep {
    /// The slot, at the epoch before this step.
    pub at: SlotAt,
    /// The step.
    pub action: MoveAction,
}

/// The steps of a planned move, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MoveAction {
    /// The target begins to warm its caches; the source serves.
    Begin {
        /// Who will own the slot.
        to: NodeId,
    },
    /// The source finishes what it does, starts nothing new and tells callers who comes next.
    Seal,
    /// The target is the owner under a new epoch and writes its fence.
    Bump,
    /// The target has written its fence and serves.
    Finish,
    /// Called off before the bump; the source serves on.
    Abort,
}

/// What Raft replicates.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// The first of all: one node, active, owner of every slot. Refused if there are nodes.
    Found {
        /// The founder's id in Raft, below the index of this entry.
        node: NodeId,
        /// Its life.
        boot: BootId,
        /// What it says of itself.
        profile: NodeProfile,
        /// The epoch of every slot: greater than any that the store has seen.
        epoch: Epoch,
        /// The feature level to begin with.
        feature_level: u32,
    },
    /// A new node; its id is the index of this entry. It is `joining` until it is [`Command::Alive`].
    Join {
        /// Drawn by the new node, so that asking again gives the same id.
        token: u128,
        /// What it says of itself.
        profile: NodeProfile,
    },
    /// A node has started (a new boot: its slots get new epochs) or was declared dead in error.
    Alive {
        /// Which node.
        node: NodeId,
        /// Its life.
        boot: BootId,
        /// What it says of itself now; the weight that it has stays.
        profile: NodeProfile,
    },
    /// One life of a node is over: its slots go to others in this very command.
    Dead {
        /// Which node.
        node: NodeId,
        /// The life that was suspected; refused if a newer one is known.
        boot: BootId,
        /// Where its slots go ([`super::plan::takeover`]); one that is missing loses its owner.
        spread: Spread,
    },
    /// Gives slots without an owner to nodes.
    Assign {
        /// Who gets which.
        spread: Spread,
    },
    /// The node shall give away its slots and get no new ones.
    Drain {
        /// Which node.
        node: NodeId,
    },
    /// Takes back [`Command::Drain`].
    Undrain {
        /// Which node.
        node: NodeId,
    },
    /// The node is gone for good: only one that is drained, dead or still joining.
    Remove {
        /// Which node.
        node: NodeId,
    },
    /// Changes a node's share.
    SetWeight {
        /// Which node.
        node: NodeId,
        /// 1 to 10,000.
        weight: u32,
    },
    /// Steps of planned moves: a plan of [`super::plan::rebalance`], or the progress of some.
    Moves {
        /// Independent of each other; one that no longer fits is refused alone.
        steps: Vec<MoveStep>,
    },
    /// Rows and messages of this level may be written from now on; for ever.
    RaiseFeatureLevel {
        /// Greater than before; every node that is not removed must understand it.
        to: u32,
    },
    /// This life of a node is about to end, or serves badly: it gives away its slots and gets no
    /// new ones until the node's next life, or an [`Command::Undrain`]. Unlike [`Command::Drain`] it is no operator's wish.
    Leave {
        /// Which node.
        node: NodeId,
        /// The life meant; refused if a newer one is known.
        boot: BootId,
    },
}

impl Command {
    /// The bytes that stand in the Raft log.
    ///
    /// # Errors
    /// [`base::Kind::Internal`] if it cannot be represented.
    pub fn encode(&self) -> Result<Bytes> {
        wire::encode_row(COMMAND_VERSION, self)
    }

    /// Reads what [`Command::encode`] wrote.
    ///
    /// # Errors
    /// [`base::Kind::Corrupt`] if it is none that this binary knows.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        wire::decode_row(COMMAND_VERSION, bytes)
    }
}

/// What a command did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// As asked.
    Done,
    /// It was so already.
    Unchanged,
    /// The node has this id, for ever.
    Joined(NodeId),
    /// Slots that changed hands, and those that were skipped or left without an owner.
    Spread {
        /// How many have a new owner.
        assigned: u16,
        /// How many of those meant have none, or were skipped.
        left: u16,
    },
    /// Steps of moves.
    Moves {
        /// How many were taken.
        taken: u16,
        /// Those that no longer fit.
        refused: Vec<Slot>,
    },
}

/// Why nothing was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// There are nodes already.
    AlreadyFounded,
    /// No such node, or it is removed.
    NoSuchNode(NodeId),
    /// The node is not in a state in which this can be.
    WrongState(NodeId, NodeState),
    /// The life meant is not the node's last known one.
    StaleBoot(NodeId),
    /// The node's binary does not understand what the cluster writes.
    OldBinary {
        /// Which node.
        node: NodeId,
        /// What it understands.
        has: u32,
        /// What is needed.
        needs: u32,
    },
    /// Nobody would be left to serve.
    LastNode(NodeId),
    /// A value outside its limits.
    Limit,
    /// The level is not greater than what is.
    NotHigher,
    /// The id would not be new (an entry applied out of order).
    IdNotNew,
}

/// What [`super::ClusterState::apply`] answers.
pub type Reply = std::result::Result<Outcome, Refusal>;
