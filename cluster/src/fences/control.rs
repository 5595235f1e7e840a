//! [`Control`] of a node in a cluster.

use super::{FENCE_WAIT, Fences};
use crate::installation::Installation;
use crate::raft::Applied;
use async_trait::async_trait;
use base::{BootId, ClusterKey, Deadline, Error, NodeId, Result, Slot};
use contract_control::{Control, Fence, Ownership};
use std::sync::Arc;
use tokio::sync::watch;

/// What a node in a cluster knows of placement: owners from the state that Raft has applied here,
/// which may be a little behind, and fences from the store, which never are.
pub(crate) struct ClusterControl {
    fences: Arc<Fences>,
    applied: watch::Receiver<Applied>,
    installation: Installation,
}

impl ClusterControl {
    /// The control of the node whose fences these are.
    pub(crate) fn new(
        fences: Arc<Fences>,
        applied: watch::Receiver<Applied>,
        installation: Installation,
    ) -> Arc<Self> {
        Arc::new(Self { fences, applied, installation })
    }

    /// Waits until what Raft has given to this node has been heard by its fences.
    async fn settled(&self, slot: Slot) -> Result<()> {
        let (mut changes, mut applied) = (self.fences.changed(), self.applied.clone());
        let gone = |_| Error::unavailable("the node is shutting down");
        loop {
            let owner = applied.borrow_and_update().state.slot(slot);
            if owner.node() != Some(self.node()) || self.fences.has_heard(slot, owner.epoch) {
                return Ok(());
            }
            tokio::select! {
                changed = changes.changed() => changed.map_err(gone)?,
                changed = applied.changed() => changed.map_err(gone)?,
            }
        }
    }
}

#[async_trait]
impl Control for ClusterControl {
    fn node(&self) -> NodeId {
        self.fences.node()
    }

    fn boot(&self) -> BootId {
        self.fences.boot()
    }

    fn cluster_key(&self) -> &ClusterKey {
        &self.installation.cluster_key
    }

    fn owner(&self, slot: Slot) -> Option<Ownership> {
        let owner = self.applied.borrow().state.slot(slot);
        owner.node().map(|node| Ownership { node, epoch: owner.epoch })
    }

    async fn fence(&self, slot: Slot) -> Result<Fence> {
        let deadline = Deadline::after(FENCE_WAIT);
        base::with_deadline(deadline, self.settled(slot)).await?;
        self.fences.fence_by(slot, deadline).await
    }

    async fn renew(&self, slot: Slot, old: &Fence) -> Result<Fence> {
        self.fences.renew(slot, old).await
    }

    async fn confirm_reads(&self, held: &Fence) -> Result<()> {
        self.fences.confirm_reads(held).await
    }

    fn feature_level(&self) -> u32 {
        self.applied.borrow().state.feature_level()
    }
}
