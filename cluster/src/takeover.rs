//! The one transaction of a start: find or found the installation and take over all slots.
//!
//! About 4096 small rows, 400 kB with everything that conflict detection adds: well within one
//! transaction, so a start either owns everything or nothing, and costs one commit. The body may
//! run again after an unknown commit: what it draws is drawn before, and a row that already
//! carries this boot is left as it is.

use crate::installation::Installation;
use crate::member::ClusterRow;
use base::{BootId, Epoch, Error, Kind, NodeId, Slot};
use contract_control::Fence;
use contract_store::{
    AtomicOp, Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Transaction,
};
use futures::future::BoxFuture;
use std::collections::BTreeSet;

/// What a start draws before its transaction.
pub(crate) struct Takeover {
    /// This start.
    pub(crate) boot: BootId,
    /// Used if the store is empty.
    pub(crate) founding: Installation,
}

/// What a start has found and written.
pub(crate) struct Taken {
    pub(crate) installation: Installation,
    /// The fence of each slot, by number.
    pub(crate) fences: Vec<Fence>,
    /// `N/self` as it stands while nobody takes anything from this boot.
    pub(crate) takeovers: u64,
}

impl Body<Taken> for Takeover {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Taken, BodyError>> {
        Box::pin(self.take(tx))
    }
}

impl Takeover {
    async fn take(&self, tx: &dyn Transaction) -> Result<Taken, BodyError> {
        let (row, cluster, stored) = futures::try_join!(
            async { Ok(tx.get(&Installation::key(), Isolation::Serializable).await?) },
            async { Ok(tx.get(&ClusterRow::key(), Isolation::Serializable).await?) },
            stored_fences(tx),
        )?;
        if let Some(row) = cluster {
            let text = "The store belongs to a cluster: this node cannot serve it alone";
            let cluster = ClusterRow::decode(&row)?;
            let error = Error::new(Kind::CannotChange, text);
            return Err(error.detail(format!("{:032x}", cluster.cluster_id)).into());
        }
        let installation = match row {
            Some(row) => Installation::decode(&row)?,
            None => {
                tx.set(&Installation::key(), &self.founding.encode()?);
                self.founding.clone()
            }
        };
        let node = installation.node;
        let mut losers = BTreeSet::new();
        let mut fences = Vec::with_capacity(stored.len());
        for (slot, stored) in Slot::all().zip(stored) {
            if let Some(mine) = stored.filter(|fence| fence.boot == self.boot) {
                fences.push(mine);
                continue;
            }
            let epoch = Epoch(stored.map_or(0, |old| old.epoch.0) + 1);
            losers.extend(stored.map(|old| old.node));
            let fence = Fence { slot, epoch, renewal: 0, node, boot: self.boot };
            tx.set(&Fence::key(slot), &fence.encode()?);
            fences.push(fence);
        }
        let takeovers = count_losses(tx, node, &losers).await?;
        Ok(Taken { installation, fences, takeovers })
    }
}

/// Raises `N/loser` for each node that loses slots, so that its cached reads stop being confirmed.
/// An earlier boot of this very node is such a loser too; what `N/self` says afterwards is what
/// this boot will compare with.
async fn count_losses(
    tx: &dyn Transaction,
    node: NodeId,
    losers: &BTreeSet<NodeId>,
) -> Result<u64, BodyError> {
    for loser in losers.iter().filter(|loser| **loser != node) {
        tx.atomic(AtomicOp::Add, &Fence::takeovers_key(*loser), &1u64.to_le_bytes());
    }
    let row = tx.get(&Fence::takeovers_key(node), Isolation::Serializable).await?;
    let mut takeovers = takeover_count(row.as_deref())?;
    if losers.contains(&node) {
        takeovers += 1;
        tx.set(&Fence::takeovers_key(node), &takeovers.to_le_bytes());
    }
    Ok(takeovers)
}

/// The value of a row `N/node`; a missing one is 0.
pub(crate) fn takeover_count(row: Option<&[u8]>) -> Result<u64, Error> {
    match row.map(<[u8; 8]>::try_from) {
        None => Ok(0),
        Some(Ok(bytes)) => Ok(u64::from_le_bytes(bytes)),
        Some(Err(_)) => Err(Error::corrupt("a takeover counter that is not eight bytes")),
    }
}

/// All fence rows, by slot.
pub(crate) async fn stored_fences(tx: &dyn Transaction) -> Result<Vec<Option<Fence>>, BodyError> {
    let mut fences = vec![None; usize::from(Slot::COUNT)];
    let mut next = Some(RangeRead::all(&KeyRange::prefix(b"F")));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Serializable).await?;
        for row in &page.rows {
            let fence = Fence::decode(&row.value)?;
            match fences.get_mut(usize::from(fence.slot.number())) {
                Some(place) if Fence::key(fence.slot) == row.key => *place = Some(fence),
                _ => {
                    let key = row.key.escape_ascii();
                    return Err(Error::corrupt(format!("fence row {key} of {}", fence.slot)).into());
                }
            }
        }
        next = read.after(&page);
    }
    Ok(fences)
}
