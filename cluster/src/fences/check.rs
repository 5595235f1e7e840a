//! The check behind confirmed reads: one read of `N/self`, and more only if it has grown.

use super::Shared;
use super::take::{self, Row};
use crate::takeover::takeover_count;
use base::{Result, Slot};
use contract_control::Fence;
use contract_store::transact::ATTEMPTS_MAX;
use contract_store::{BodyError, Isolation, Retry, Transaction};
use std::sync::Arc;

impl Shared {
    /// Drops the slots that others have taken. Begins in a fresh transaction, from whose read
    /// version no commit that was acknowledged before can be missing.
    pub(super) async fn check(self: Arc<Self>) -> Result<()> {
        let before = self.table.read().next_number();
        let mut tx = self.store.begin();
        let mut attempt = 1;
        loop {
            let error = match self.look(&*tx, before).await {
                Ok(()) => return Ok(()),
                Err(BodyError::Refused(error)) => return Err(error),
                Err(BodyError::Store(error)) => error,
            };
            if error.retry() == Retry::Never || attempt >= ATTEMPTS_MAX {
                return Err(error.into());
            }
            attempt += 1;
            if tx.on_error(error).await.is_err() {
                tx = self.store.begin();
            }
        }
    }

    async fn look(&self, tx: &dyn Transaction, before: u64) -> Result<(), BodyError> {
        let row = tx.get(&Fence::takeovers_key(self.node), Isolation::Snapshot).await?;
        let count = takeover_count(row.as_deref())?;
        let fences = {
            let table = self.table.read();
            if table.is_counted(count) {
                return Ok(());
            }
            table.uncounted(before, count)
        };
        let slots: Vec<Slot> = fences.iter().map(|fence| fence.slot).collect();
        let rows = take::read_all(tx, &slots, Isolation::Snapshot).await?;
        let (mut ours, mut gone) = (Vec::new(), Vec::new());
        for (fence, row) in fences.into_iter().zip(rows) {
            match row {
                Row::Is(Some(found)) if Fence { renewal: fence.renewal, ..found } == fence => {
                    ours.push(fence);
                }
                Row::Is(_) => gone.push(fence),
                Row::Unreadable(error) => {
                    tracing::error!(slot = %fence.slot, %error, "the fence cannot be read");
                    gone.push(fence);
                }
            }
        }
        self.drop_slots(&gone);
        self.table.write().counted(&ours, count);
        Ok(())
    }
}
