//! The transaction that takes slots.

use crate::takeover::takeover_count;
use base::{BootId, Epoch, Error, NodeId, Slot};
use contract_control::Fence;
use contract_store::{AtomicOp, Attempt, Body, BodyError, Isolation, StoreError, Transaction};
use futures::future::BoxFuture;
use std::collections::BTreeSet;

/// How many slots one transaction takes: some 100 kB of rows and conflict ranges.
pub(super) const SLOTS_MAX: usize = 1000;

/// Takes slots for one life of a node. May run any number of times: what is taken already is left
/// as it is. A late commit of an earlier attempt lands only if nobody has taken the slots since, and
/// then they are ours.
pub(super) struct Take {
    pub(super) node: NodeId,
    pub(super) boot: BootId,
    /// Each under the epoch that Raft has given it.
    pub(super) slots: Vec<(Slot, Epoch)>,
}

/// What a [`Take`] has done.
pub(super) struct Taken {
    /// In the store, now or since an earlier attempt.
    pub(super) fences: Vec<Fence>,
    /// Somebody newer has them, or their rows cannot be read.
    pub(super) refused: Vec<(Slot, Epoch)>,
    /// `N/self` then, or before.
    pub(super) count: u64,
}

impl Body<Taken> for Take {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Taken, BodyError>> {
        Box::pin(self.take(tx))
    }
}

impl Take {
    async fn take(&self, tx: &dyn Transaction) -> Result<Taken, BodyError> {
        let rows = self.slots.iter().map(|(slot, _)| stored(tx, *slot));
        let counter = Fence::takeovers_key(self.node);
        // No read conflict: takeovers by others must not make this one fail. See the module's words.
        let (rows, counter) =
            futures::join!(futures::future::join_all(rows), tx.get(&counter, Isolation::Snapshot),);
        let mut taken = Taken {
            fences: Vec::with_capacity(self.slots.len()),
            refused: Vec::new(),
            count: takeover_count(counter?.as_deref())?,
        };
        let mut losers = BTreeSet::new();
        for ((slot, epoch), row) in self.slots.iter().copied().zip(rows) {
            match row? {
                Row::Is(Some(found)) if self.is_ours(&found, epoch) => taken.fences.push(found),
                Row::Is(found) if found.is_none_or(|found| found.epoch < epoch) => {
                    let earlier = found.filter(|found| found.boot != self.boot);
                    losers.extend(earlier.map(|found| found.node));
                    let (node, boot) = (self.node, self.boot);
                    let fence = Fence { slot, epoch, renewal: 0, node, boot };
                    tx.set(&Fence::key(slot), &fence.encode()?);
                    taken.fences.push(fence);
                }
                Row::Is(found) => {
                    tracing::debug!(%slot, %epoch, ?found, "somebody newer has this slot");
                    taken.refused.push((slot, epoch));
                }
                Row::Unreadable(error) => {
                    tracing::error!(%slot, %error, "nobody can own a slot whose fence is damaged");
                    taken.refused.push((slot, epoch));
                }
            }
        }
        for loser in &losers {
            tx.atomic(AtomicOp::Add, &Fence::takeovers_key(*loser), &1u64.to_le_bytes());
        }
        taken.count += u64::from(losers.contains(&self.node));
        Ok(taken)
    }

    /// Taken already; a renewal since does not matter.
    fn is_ours(&self, found: &Fence, epoch: Epoch) -> bool {
        (found.node, found.boot, found.epoch) == (self.node, self.boot, epoch)
    }
}

/// A fence row. One that is damaged must not keep the other slots from being taken.
pub(super) enum Row {
    Is(Option<Fence>),
    Unreadable(Error),
}

async fn stored(tx: &dyn Transaction, slot: Slot) -> Result<Row, StoreError> {
    read(tx, slot, Isolation::Serializable).await
}

/// Reads a slot's row.
pub(super) async fn read(
    tx: &dyn Transaction,
    slot: Slot,
    isolation: Isolation,
) -> Result<Row, StoreError> {
    let row = match tx.get(&Fence::key(slot), isolation).await {
        Err(error @ StoreError::Damaged { .. }) => return Ok(Row::Unreadable(error.into())),
        row => row?,
    };
    Ok(match row.as_deref().map(Fence::decode).transpose() {
        Ok(Some(fence)) if fence.slot != slot => {
            Row::Unreadable(Error::corrupt(format!("the fence of {} for {slot}", fence.slot)))
        }
        Ok(fence) => Row::Is(fence),
        Err(error) => Row::Unreadable(error),
    })
}
