//! The transaction that takes slots.

use crate::takeover::takeover_count;
use base::{BootId, Epoch, Error, NodeId, Slot};
use bytes::Bytes;
use contract_control::Fence;
use contract_store::{
    AtomicOp, Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, StoreError, Transaction,
};
use futures::future::BoxFuture;
use std::collections::{BTreeSet, HashMap};

/// How many slots one transaction takes: some 100 kB of rows and conflict ranges.
pub(super) const SLOTS_MAX: usize = 1000;

/// From how many slots on they are read as a range: its rows are some 50 bytes each, 4096 at most.
const RANGE_SLOTS_MIN: usize = 32;

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
        let slots: Vec<Slot> = self.slots.iter().map(|(slot, _)| *slot).collect();
        let counter = Fence::takeovers_key(self.node);
        // No read conflict: takeovers by others must not make this one fail. See the module's words.
        let (rows, counter) = futures::join!(
            read_all(tx, &slots, Isolation::Serializable),
            tx.get(&counter, Isolation::Snapshot),
        );
        let mut taken = Taken {
            fences: Vec::with_capacity(self.slots.len()),
            refused: Vec::new(),
            count: takeover_count(counter?.as_deref())?,
        };
        let mut losers = BTreeSet::new();
        for ((slot, epoch), row) in self.slots.iter().copied().zip(rows?) {
            match row {
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

/// Reads the rows of slots, which are given in order; as one range where they are many, for a
/// thousand single reads keep a store busy that others want to use.
///
/// # Errors
/// The store's.
pub(super) async fn read_all(
    tx: &dyn Transaction,
    slots: &[Slot],
    isolation: Isolation,
) -> Result<Vec<Row>, StoreError> {
    if slots.len() >= RANGE_SLOTS_MIN {
        match read_range(tx, slots, isolation).await {
            Err(StoreError::Damaged { .. }) => {}
            rows => return rows,
        }
    }
    let rows = slots.iter().map(|slot| read(tx, *slot, isolation));
    futures::future::join_all(rows).await.into_iter().collect()
}

/// Reads the range that the slots span. Only their own rows become conflicts.
async fn read_range(
    tx: &dyn Transaction,
    slots: &[Slot],
    isolation: Isolation,
) -> Result<Vec<Row>, StoreError> {
    let (Some(first), Some(last)) = (slots.iter().min(), slots.iter().max()) else {
        return Ok(Vec::new());
    };
    let range = KeyRange::new(Fence::key(*first), KeyRange::single(&Fence::key(*last)).end);
    let mut found: HashMap<Bytes, Bytes> = HashMap::new();
    let mut next = Some(RangeRead::all(&range));
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Snapshot).await?;
        next = read.after(&page);
        found.extend(page.rows.into_iter().map(|row| (row.key, row.value)));
    }
    let row = |slot: &Slot| {
        let key = Fence::key(*slot);
        if isolation == Isolation::Serializable {
            tx.add_read_conflict(&KeyRange::single(&key))?;
        }
        Ok(decoded(*slot, found.get(&key).map(|value| &**value)))
    };
    slots.iter().map(row).collect()
}

/// Reads a slot's row.
async fn read(tx: &dyn Transaction, slot: Slot, isolation: Isolation) -> Result<Row, StoreError> {
    match tx.get(&Fence::key(slot), isolation).await {
        Err(error @ StoreError::Damaged { .. }) => Ok(Row::Unreadable(error.into())),
        row => Ok(decoded(slot, row?.as_deref())),
    }
}

fn decoded(slot: Slot, row: Option<&[u8]>) -> Row {
    match row.map(Fence::decode).transpose() {
        Ok(Some(fence)) if fence.slot != slot => {
            Row::Unreadable(Error::corrupt(format!("the fence of {} for {slot}", fence.slot)))
        }
        Ok(fence) => Row::Is(fence),
        Err(error) => Row::Unreadable(error),
    }
}
