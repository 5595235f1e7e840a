//! A service whose every write is fenced, and the ledger that finds out if one was not.

use async_trait::async_trait;
use base::router::{Host, Parcel, Router, ServiceId, Target};
use base::{Deadline, Error, NodeId, Result, Slot};
use bytes::Bytes;
use contract_control::{Control, Fence};
use contract_store::keys::KeyBuilder;
use contract_store::{Isolation, KeyRange, RangeRead, Store, body, transact};
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What all nodes of a test write down together.
#[derive(Default)]
pub(super) struct Ledger {
    /// What was acknowledged to a client, by value.
    pub(super) acknowledged: Mutex<BTreeMap<u64, Slot>>,
    /// Commits that an owner made after a newer one had.
    pub(super) stale: Mutex<Vec<String>>,
    pub(super) errors: Mutex<Vec<String>>,
    /// The longest that a client waited for an answer.
    pub(super) longest: Mutex<Duration>,
}

/// The service on one node.
pub(super) struct Toy {
    pub(super) store: Arc<dyn Store>,
    pub(super) control: Arc<dyn Control>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) owned: RwLock<BTreeSet<Slot>>,
    pub(super) released: Mutex<usize>,
    /// How long work takes in each slot that is not to be cut off, and where it has ended.
    pub(super) long_work: Mutex<Duration>,
    ended: Mutex<BTreeSet<Slot>>,
}

impl Toy {
    pub(super) fn new(
        store: Arc<dyn Store>,
        control: Arc<dyn Control>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let (owned, released) = Default::default();
        let (long_work, ended) = Default::default();
        Self { store, control, ledger, owned, released, long_work, ended }
    }

    async fn end_work(&self, slot: Slot) {
        let took = *self.long_work.lock();
        if !self.ended.lock().contains(&slot) {
            tokio::time::sleep(took).await;
            self.ended.lock().insert(slot);
        }
    }
}

fn value_key(slot: Slot, value: u64) -> Bytes {
    KeyBuilder::new(b"T").u16(slot.number()).u64(value).build()
}

fn epoch_key(slot: Slot) -> Bytes {
    KeyBuilder::new(b"U").u16(slot.number()).build()
}

/// One fenced write. The row `U/slot` holds the greatest epoch that ever wrote: a commit under a
/// smaller one is what must never be.
pub(super) async fn write(
    store: &Arc<dyn Store>,
    fence: Fence,
    value: u64,
    ledger: &Arc<Ledger>,
) -> Result<()> {
    let writing = body(fence, move |fence, tx, _attempt| {
        Box::pin(async move {
            fence.check(tx).await?;
            let row = tx.get(&epoch_key(fence.slot), Isolation::Serializable).await?;
            let last = row.map_or(0, |row| u64::from_le_bytes(row[..].try_into().unwrap()));
            tx.set(&epoch_key(fence.slot), &fence.epoch.0.max(last).to_le_bytes());
            tx.set(&value_key(fence.slot, value), &fence.node.0.to_le_bytes());
            Ok(last)
        })
    });
    let last = transact(store, writing).await?;
    if last > fence.epoch.0 {
        ledger.stale.lock().push(format!("{fence:?} wrote {value} after epoch {last}"));
    }
    Ok(())
}

#[async_trait]
impl Host for Toy {
    async fn handle(&self, target: Target, request: Parcel, _: Deadline) -> Result<Parcel> {
        let value: u64 = request.open()?;
        let fence = self.control.fence(target.slot).await?;
        write(&self.store, fence, value, &self.ledger).await?;
        Ok(Parcel::typed(fence.node))
    }

    fn gained(&self, slots: &[Slot]) {
        self.owned.write().extend(slots.iter().copied());
    }

    fn lost(&self, slots: &[Slot]) {
        let mut owned = self.owned.write();
        for slot in slots {
            owned.remove(slot);
        }
    }

    async fn prepare(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        base::with_deadline(deadline, async {
            self.end_work(slot).await;
            Ok(())
        })
        .await
    }

    async fn release(&self, slot: Slot, _deadline: Deadline) -> Result<()> {
        self.end_work(slot).await;
        *self.released.lock() += 1;
        Ok(())
    }
}

pub(super) fn target(slot: Slot) -> Target {
    Target { service: ServiceId::MAILBOX, key: slot.number().into(), slot }
}

/// A client's write through some node's router; gives who served it.
pub(super) async fn put(
    router: &Arc<dyn Router>,
    slot: Slot,
    value: u64,
    ledger: &Ledger,
) -> Result<NodeId> {
    // What may take longer is no command, for the measure of how fast a node is.
    let deadline = Deadline::after(Duration::from_secs(14));
    let began = tokio::time::Instant::now();
    let served: Result<NodeId, Error> = router.ask(target(slot), value, deadline).await;
    match &served {
        Ok(_) => {
            ledger.acknowledged.lock().insert(value, slot);
            let mut longest = ledger.longest.lock();
            *longest = (*longest).max(began.elapsed());
        }
        Err(error) => ledger.errors.lock().push(error.to_string()),
    }
    served
}

/// Everything acknowledged is there, and nobody wrote who must not.
pub(super) async fn audit(store: &Arc<dyn Store>, ledger: &Ledger) {
    assert_eq!(*ledger.stale.lock(), Vec::<String>::new(), "stale commits");
    let mut stored = BTreeSet::new();
    let mut next = Some(RangeRead::all(&KeyRange::prefix(b"T")));
    while let Some(read) = next {
        let page = store.begin().get_range(&read, Isolation::Snapshot).await.unwrap();
        stored.extend(page.rows.iter().map(|row| row.key.clone()));
        next = read.after(&page);
    }
    for (value, slot) in &*ledger.acknowledged.lock() {
        assert!(stored.contains(&value_key(*slot, *value)), "{value} in {slot} was lost");
    }
}
