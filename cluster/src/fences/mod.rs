//! This node's fences: the rows `F/slot` of the slots that Raft gives it.
//!
//! ```text
//!   Raft applies a state ──▶ follow: takes in the store what is ours ──▶ serves(slot) ──▶ router
//!                                                                   ╲──▶ fence(slot)  ──▶ actors
//! ```
//!
//! **Writes** need no more than the row: a takeover and a write under the old fence read the same
//! row, so one of them fails, whatever clocks, links and leaders say.
//!
//! **Reads from a cache** are confirmed by the counter `N/self`, read once for all who wait. Why no
//! takeover can be missed:
//!
//! 1. Whoever takes a slot from another node, or from another boot of its own node, adds 1 to
//!    `N/loser` in the very transaction that writes `F/slot`.
//! 2. For each slot it holds, a node knows a number `c` that `N/self` had at a moment at or before
//!    one at which `F/slot` was certainly its own. The transaction that takes the slot (or finds it
//!    taken, after an unknown commit) reads both rows, and its commit is that moment: a snapshot
//!    read of `N/self` will do, for one that has grown meanwhile makes `c` too small, never too
//!    great. What the transaction itself adds, because an earlier boot of this node loses, counts.
//! 3. `N/self` only grows. So if a later read of it still shows `c`, nobody has taken the slot in
//!    between, and the cache of its holder was up to date at that read, which began after the
//!    command came. There is no first value to be learnt at the start: no slot is held before the
//!    transaction that brings its `c`.
//! 4. If it shows more, the row of every slot with a smaller `c` is read in the same transaction.
//!    Those that are still exactly ours get the new number, the others are dropped. Slots that
//!    were taken after the check began are left alone: the check may have read a version before.
//!
//! A slot that this node loses and gets back has a new epoch, and who asks for confirmation shows
//! the fence under which it filled its cache: an old one is refused.

mod check;
mod control;
mod follow;
mod table;
mod take;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use control::ClusterControl;
pub(crate) use follow::Followed;

use crate::confirm::Batched;
use crate::placement::ClusterState;
use crate::renewal::{Known, Knowns, Renewal, Renewing};
use base::{BootId, Deadline, Epoch, Error, Kind, NodeId, Result, Slot};
use contract_control::Fence;
use contract_store::{Store, transact};
use futures::future::BoxFuture;
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Duration;
use table::Table;
use tokio::sync::watch;

/// How long a fence is waited for while its slot is being taken.
pub(crate) const FENCE_WAIT: Duration = Duration::from_secs(5);

/// This node's fences. See the module's words.
pub(crate) struct Fences {
    shared: Arc<Shared>,
    reads: Arc<Batched>,
}

/// What the check in its own task has in common with the rest.
struct Shared {
    store: Arc<dyn Store>,
    node: NodeId,
    boot: BootId,
    table: RwLock<Table>,
    changes: watch::Sender<u64>,
}

impl Fences {
    /// Holds nothing yet.
    pub(crate) fn new(store: Arc<dyn Store>, node: NodeId, boot: BootId) -> Arc<Self> {
        let (table, changes) = (RwLock::new(Table::default()), watch::Sender::new(0));
        let shared = Arc::new(Shared { store, node, boot, table, changes });
        let checked = shared.clone();
        let check = move || -> BoxFuture<'static, Result<()>> { Box::pin(checked.clone().check()) };
        Arc::new(Self { shared, reads: Batched::new(Box::new(check)) })
    }

    /// This node.
    pub(crate) fn node(&self) -> NodeId {
        self.shared.node
    }

    /// This start of it.
    pub(crate) fn boot(&self) -> BootId {
        self.shared.boot
    }

    /// The epoch under which requests for a slot are served here: its fence is in the store, and
    /// it is not sealed.
    pub(crate) fn serves(&self, slot: Slot) -> Option<Epoch> {
        let table = self.shared.table.read();
        table.held(slot).filter(|held| !held.is_sealed).map(|held| held.known.fence.epoch)
    }

    /// The epoch under which the fence is in the store, sealed or not.
    pub(crate) fn holds(&self, slot: Slot) -> Option<Epoch> {
        self.shared.table.read().held(slot).map(|held| held.known.fence.epoch)
    }

    /// How many slots a state gives to this life that are not its own in the store yet. Those that
    /// are just being moved here do not count, nor those of which the store has shown that they
    /// cannot be taken.
    pub(crate) fn lacking(&self, state: &ClusterState) -> usize {
        let (me, boot) = (self.node(), self.boot());
        if state.node(me).is_none_or(|node| node.boot != Some(boot)) {
            return 0;
        }
        let table = self.shared.table.read();
        let lacks = |(slot, epoch): &(Slot, Epoch)| {
            let holds = table.held(*slot).is_some_and(|held| held.known.fence.epoch >= *epoch);
            let is_given_up = table.has_heard(*slot, *epoch) && table.wanted(*slot).is_none();
            !holds && !is_given_up && state.move_of(*slot).is_none()
        };
        state.slots_of(me).filter(lacks).count()
    }

    /// Whether a state with this epoch of the slot, or a later one, has been followed.
    fn has_heard(&self, slot: Slot, epoch: Epoch) -> bool {
        self.shared.table.read().has_heard(slot, epoch)
    }

    /// Lets no new requests to a slot that is about to be given away; its fence stays. Nothing
    /// happens if it is not held under this epoch.
    pub(crate) fn seal(&self, slot: Slot, epoch: Epoch) {
        self.set_sealed(slot, epoch, true);
    }

    /// Takes a seal back.
    pub(crate) fn unseal(&self, slot: Slot, epoch: Epoch) {
        self.set_sealed(slot, epoch, false);
    }

    fn set_sealed(&self, slot: Slot, epoch: Epoch, is_sealed: bool) {
        let changed = {
            let mut table = self.shared.table.write();
            let held = table.held_mut(slot).filter(|held| held.known.fence.epoch == epoch);
            held.is_some_and(|held| std::mem::replace(&mut held.is_sealed, is_sealed) != is_sealed)
        };
        if changed {
            self.shared.changed();
        }
    }

    /// Bumped on every change of what is held, served, sealed or waited for.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    #[cfg(test)]
    async fn fence(&self, slot: Slot) -> Result<Fence> {
        self.fence_by(slot, Deadline::after(FENCE_WAIT)).await
    }

    /// The fence of a slot, sealed or not. Waits (for [`FENCE_WAIT`] at most, where the control
    /// asks) if Raft has given it to this node and it is still being taken in the store.
    ///
    /// # Errors
    /// [`Kind::Fenced`] if the slot is not this node's, [`Kind::Unavailable`] if it could not be
    /// taken in that time.
    pub(super) async fn fence_by(&self, slot: Slot, deadline: Deadline) -> Result<Fence> {
        let mut changes = self.changed();
        loop {
            let (known, is_wanted) = {
                let table = self.shared.table.read();
                (table.held(slot).map(|held| held.known), table.wanted(slot).is_some())
            };
            match known {
                Some(known) if known.is_in_doubt() => return self.renew(slot, &known.fence).await,
                Some(known) => return Ok(known.fence),
                None if !is_wanted => return Err(self.shared.elsewhere(slot)),
                None => {}
            }
            let waited = tokio::time::timeout_at(deadline.instant(), changes.changed()).await;
            if !matches!(waited, Ok(Ok(()))) {
                return Err(Error::unavailable(format!("{slot} is not taken in the store yet")));
            }
        }
    }

    /// Raises the renewal of a fence; see [`contract_control::Control::renew`].
    ///
    /// # Errors
    /// [`Kind::Fenced`] if the slot is not held under this epoch, in the store or here;
    /// [`Kind::Unavailable`] without a store.
    pub(crate) async fn renew(&self, slot: Slot, old: &Fence) -> Result<Fence> {
        if old.slot != slot {
            return Err(Error::internal(format!("the fence of {} for {slot}", old.slot)));
        }
        let known = self.shared.table.read().held_as(old).map(|held| held.known);
        let Some(known) = known else { return Err(self.shared.elsewhere(slot)) };
        let renewing = Renewing::new(&*self.shared, &known);
        let renewal = Renewal { old: *old, always: known.is_in_doubt() };
        match transact(&self.shared.store, renewal).await {
            Ok(new) => {
                renewing.succeeded(&new);
                Ok(new)
            }
            Err(error) => {
                if error.kind == Kind::Fenced {
                    self.shared.drop_slots(&[*old]);
                }
                Err(error)
            }
        }
    }

    /// Confirms cached reads; see [`contract_control::Control::confirm_reads`].
    ///
    /// # Errors
    /// [`Kind::Fenced`] if the slot is not held under this fence any more, [`Kind::Unavailable`]
    /// without a store.
    pub(crate) async fn confirm_reads(&self, held: &Fence) -> Result<()> {
        self.shared.still_holds(held)?;
        self.reads.confirm().await?;
        // Whatever the check has found missing is no longer in the table.
        self.shared.still_holds(held)
    }

    /// Looks in the store whether this node has lost slots of which it has not heard yet.
    pub(crate) async fn look(&self) -> Result<()> {
        self.reads.confirm().await
    }
}

impl Shared {
    fn changed(&self) {
        self.changes.send_modify(|number| *number = number.wrapping_add(1));
    }

    fn still_holds(&self, fence: &Fence) -> Result<()> {
        match self.table.read().held_as(fence) {
            Some(_) => Ok(()),
            None => Err(self.elsewhere(fence.slot)),
        }
    }

    /// The store has shown that somebody newer has these slots.
    fn drop_slots(&self, fences: &[Fence]) {
        let dropped = {
            let mut table = self.table.write();
            fences.iter().filter(|fence| table.superseded(fence)).count()
        };
        if dropped > 0 {
            tracing::info!(slots = dropped, "slots turned out to be another owner's");
            self.changed();
        }
    }

    fn elsewhere(&self, slot: Slot) -> Error {
        let (node, boot) = (self.node, self.boot);
        Error::new(Kind::Fenced, "This mailbox is served elsewhere")
            .detail(format!("{slot} is not held by {node} in its life {boot}"))
    }
}

impl Knowns for Shared {
    fn change(&self, fence: &Fence, change: &mut dyn FnMut(&mut Known)) {
        let mut table = self.table.write();
        if table.held_as(fence).is_some()
            && let Some(held) = table.held_mut(fence.slot)
        {
            change(&mut held.known);
        }
    }
}
