//! Trying again after an error of the store, and what a transaction that was given up may have
//! left behind.

use base::{Error, Kind};
use contract_store::transact::ATTEMPTS_MAX;
use contract_store::{
    Attempt, Body, BodyError, Retry, Store, StoreError, StoreResult, Transaction,
};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

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

    /// Whether it has been tried before.
    pub(crate) fn any(&self) -> bool {
        self.0 > 0
    }

    /// As [`Attempts::again`], after the error of a body.
    ///
    /// # Errors
    /// What the body refused with, too.
    pub(crate) async fn after(
        &mut self,
        tx: &dyn Transaction,
        error: BodyError,
    ) -> base::Result<()> {
        match error {
            BodyError::Refused(error) => Err(error),
            BodyError::Store(error) => Ok(self.again(tx, error).await?),
        }
    }
}

/// A transaction that was given up.
#[derive(Debug)]
pub(crate) struct GivenUp {
    /// Why.
    pub(crate) error: Error,
    /// An attempt sent a commit whose outcome is not known: the cache may miss it.
    pub(crate) unknown: bool,
    /// The commit may still land: the fence must be renewed. Only an error of the commit itself
    /// says so, never a refusal or a failed read, so that no request can be made up that costs its
    /// owner a new fence.
    pub(crate) late: bool,
}

/// As [`contract_store::transact`], and tells what may have been left.
pub(crate) async fn transact<T: Send + 'static>(
    store: &Arc<dyn Store>,
    body: impl Body<T>,
) -> Result<T, GivenUp> {
    let seen = Seen::default();
    let observed = Observed { body, seen: &seen };
    contract_store::transact(store, observed).await.map_err(|error| {
        let committing = seen.committing.load(Ordering::Relaxed);
        let late = committing && error.kind == Kind::Unavailable;
        let earlier = seen.commits.load(Ordering::Relaxed) > u32::from(committing);
        GivenUp { error, unknown: late || earlier, late }
    })
}

/// What the attempts came to.
#[derive(Default)]
struct Seen {
    /// How many sent a commit.
    commits: AtomicU32,
    /// Whether the last one did.
    committing: AtomicBool,
}

struct Observed<'o, B> {
    body: B,
    seen: &'o Seen,
}

impl<T: Send + 'static, B: Body<T>> Body<T> for Observed<'_, B> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<T, BodyError>> {
        let Self { body, seen } = self;
        let run = body.run(tx, attempt);
        Box::pin(async move {
            seen.committing.store(false, Ordering::Relaxed);
            let result = run.await;
            if result.is_ok() {
                seen.committing.store(true, Ordering::Relaxed);
                seen.commits.fetch_add(1, Ordering::Relaxed);
            }
            result
        })
    }
}
