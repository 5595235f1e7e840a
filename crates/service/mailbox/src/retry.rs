//! Reading again after an error of the store, for readers that keep their transaction.

use contract_store::transact::ATTEMPTS_MAX;
use contract_store::{Retry, StoreError, StoreResult, Transaction};

/// How often a read has been tried.
#[derive(Default)]
pub(crate) struct Attempts(u32);

impl Attempts {
    /// Waits the store's back-off and makes the transaction as new, so that the read can be tried
    /// again, at a newer version.
    ///
    /// # Errors
    /// The error itself, if trying again does not help or has been done often enough.
    pub(crate) async fn again(
        &mut self,
        tx: &dyn Transaction,
        error: StoreError,
    ) -> StoreResult<()> {
        self.0 += 1;
        if error.retry() == Retry::Never || self.0 >= ATTEMPTS_MAX {
            return Err(error);
        }
        tx.on_error(error).await
    }
}
