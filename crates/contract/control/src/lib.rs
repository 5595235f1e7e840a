//! Who owns which slot, under which epoch, and the fence that every write transaction reads.
//!
//! Correctness never rests on clocks, leases or a leader's opinion: a new owner writes the row
//! `F/slot` before it serves, and every write transaction of a mailbox or queue reads that row
//! ([`Fence::check`]) and fails if it is not its own. So a stale owner can never commit. One
//! machine and a cluster run the same code; only the implementation of [`Control`] differs.

mod cluster;
pub mod suite;

pub use cluster::{ClusterAdmin, ClusterStatus, Drill, NodeStatus, PlannedMoves, Standing};

use async_trait::async_trait;
use base::{
    AccountId, BootId, ClusterKey, Epoch, Error, Kind, NodeId, QueueId, Result, Slot, wire,
};
use bytes::Bytes;
use contract_store::keys::KeyBuilder;
use contract_store::{BodyError, Isolation, Transaction};
use serde::{Deserialize, Serialize};

/// The version byte of a fence row.
const FENCE_VERSION: u8 = 1;

/// What a node knows of placement. All answers come from memory but for [`Control::fence`] (the
/// first time, and after a renewal of which nobody heard) and [`Control::confirm_reads`].
#[async_trait]
pub trait Control: Send + Sync + 'static {
    /// This node.
    fn node(&self) -> NodeId;

    /// This start of this node.
    fn boot(&self) -> BootId;

    /// The key that spreads accounts and queues over slots.
    fn cluster_key(&self) -> &ClusterKey;

    /// The slot of a mailbox.
    fn slot_of_account(&self, account: AccountId) -> Slot {
        Slot::of_account(account, self.cluster_key())
    }

    /// The slot of an accepted message.
    fn slot_of_queue(&self, queue: QueueId) -> Slot {
        Slot::of_queue(queue, self.cluster_key())
    }

    /// The slot of a queue for another server; `hop` is its name in bytes.
    fn slot_of_hop(&self, hop: &[u8]) -> Slot {
        Slot::of_hop(hop, self.cluster_key())
    }

    /// Who owns a slot, as far as this node knows; `None` while nobody does.
    fn owner(&self, slot: Slot) -> Option<Ownership>;

    /// This node's fence for a slot that it owns, written to the store before it is given.
    ///
    /// # Errors
    /// [`Kind::Fenced`] if another node owns the slot, [`Kind::Unavailable`] without a store.
    async fn fence(&self, slot: Slot) -> Result<Fence>;

    /// Raises the renewal of a slot's fence, so that a commit of the old fence that is still in
    /// flight can never land; gives the new fence.
    ///
    /// # Errors
    /// As [`Control::fence`].
    async fn renew(&self, slot: Slot, old: &Fence) -> Result<Fence>;

    /// Confirms that the holder of a fence was still the owner of its slot at some moment after
    /// the call began; reads answered from an owner's cache wait for it. One check serves all
    /// commands that wait, whatever their slots. The fence may have been renewed since.
    ///
    /// # Errors
    /// [`Kind::Fenced`] if it is not, [`Kind::Unavailable`] without a store.
    async fn confirm_reads(&self, held: &Fence) -> Result<()>;

    /// The version of rows and messages that every node of the cluster understands.
    fn feature_level(&self) -> u32;
}

/// Who owns a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ownership {
    /// The owner.
    pub node: NodeId,
    /// Its generation.
    pub epoch: Epoch,
}

/// The contents of the row `F/slot`: who may write in this slot. All of it is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fence {
    /// Which slot; part of the key, not of the row.
    pub slot: Slot,
    /// The owner's generation, as Raft decided it.
    pub epoch: Epoch,
    /// Raised by the owner itself to shut out its own commits that may still land late.
    pub renewal: u64,
    /// The owner.
    pub node: NodeId,
    /// The owner's life.
    pub boot: BootId,
}

impl Fence {
    /// The key of a slot's fence row.
    pub fn key(slot: Slot) -> Bytes {
        KeyBuilder::new(b"F").u16(slot.number()).build()
    }

    /// The key of the counter that takeovers from a node raise.
    pub fn takeovers_key(node: NodeId) -> Bytes {
        KeyBuilder::new(b"N").u64(node.0).build()
    }

    /// The row's bytes.
    ///
    /// # Errors
    /// [`Kind::Internal`] if it cannot be encoded.
    pub fn encode(&self) -> Result<Bytes> {
        wire::encode_row(FENCE_VERSION, self)
    }

    /// Reads a fence row.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if it is none.
    pub fn decode(row: &[u8]) -> Result<Self> {
        wire::decode_row(FENCE_VERSION, row)
    }

    /// Reads this slot's row in the caller's transaction, with a read conflict, and compares.
    /// Every write transaction of a mailbox or queue begins with this (concurrently with its
    /// other first reads).
    ///
    /// # Errors
    /// [`Kind::Fenced`] if the row is not exactly this fence; the store's errors.
    pub async fn check(&self, tx: &dyn Transaction) -> Result<(), BodyError> {
        let row = tx.get(&Self::key(self.slot), Isolation::Serializable).await?;
        match row.as_deref().map(Self::decode).transpose()? {
            Some(found) if found == *self => Ok(()),
            found => Err(BodyError::Refused(
                Error::new(Kind::Fenced, "This mailbox is served elsewhere")
                    .detail(format!("{}: held {self:?}, stored {found:?}", self.slot)),
            )),
        }
    }
}
