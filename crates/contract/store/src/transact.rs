//! Running a transaction to its end: retry what may be retried, never an unknown commit blindly.
//!
//! There are two ways, and choosing is the caller's statement about its work:
//!
//! - [`transact`]: running the body twice does no harm, because it only sets rows to values it
//!   derives from what it reads (taking over a slot, updating a profile), or because the body
//!   itself reads a marker that its own commit writes (a queue id, a command's result, a dedupe
//!   row) and then answers from it. [`Attempt::maybe_committed`] tells it that an earlier attempt
//!   may have happened.
//! - [`transact_once`]: the body must not run again after an unknown commit; the error comes
//!   back as it is, and the caller finds out.
//!
//! The commit runs in a task of its own, so that a caller that is dropped (a timeout, a closed
//! connection) never cancels a commit in flight.

use crate::{Retry, Store, StoreError, StoreResult, Transaction};
use base::Error;
use futures::future::BoxFuture;
use std::sync::Arc;

/// How many times a transaction is tried before the caller is told that the store is unavailable.
/// With the store's back-off this is about ten seconds of trouble.
pub const ATTEMPTS_MAX: u32 = 24;

/// Which attempt at a transaction this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// Whether an earlier attempt ended with an unknown outcome: it may have happened, but cannot
    /// happen any more.
    pub maybe_committed: bool,
}

/// The work of one transaction: reads and writes, without commit. Called once per attempt.
pub trait Body<T>: Send {
    /// Runs it on a fresh transaction.
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<T, BodyError>>;
}

impl<T, F> Body<T> for F
where
    F: for<'a> FnMut(&'a dyn Transaction, Attempt) -> BoxFuture<'a, Result<T, BodyError>> + Send,
{
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<T, BodyError>> {
        self(tx, attempt)
    }
}

/// Makes a body of some state and a closure that works on it:
///
/// ```
/// # use contract_store::{Isolation, Store, StoreResult, body, transact};
/// # async fn rename(store: &std::sync::Arc<dyn Store>, key: &[u8]) -> base::Result<bool> {
/// let renamed = body(key.to_vec(), |key, tx, _attempt| {
///     Box::pin(async move {
///         let there = tx.get(key, Isolation::Serializable).await?.is_some();
///         tx.set(key, b"renamed");
///         Ok(there)
///     })
/// });
/// transact(store, renamed).await
/// # }
/// ```
///
/// The state is what the body may borrow: it runs once per attempt, and nothing of an attempt may
/// outlive it.
pub fn body<S, T, F>(state: S, run: F) -> impl Body<T>
where
    S: Send,
    F: for<'a> FnMut(
            &'a mut S,
            &'a dyn Transaction,
            Attempt,
        ) -> BoxFuture<'a, Result<T, BodyError>>
        + Send,
{
    Closure { state, run }
}

struct Closure<S, F> {
    state: S,
    run: F,
}

impl<S, T, F> Body<T> for Closure<S, F>
where
    S: Send,
    F: for<'a> FnMut(
            &'a mut S,
            &'a dyn Transaction,
            Attempt,
        ) -> BoxFuture<'a, Result<T, BodyError>>
        + Send,
{
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<T, BodyError>> {
        (self.run)(&mut self.state, tx, attempt)
    }
}

/// Why a body stopped: the store failed, or the work itself refuses.
#[derive(Debug, Clone)]
pub enum BodyError {
    /// The store's error; retried where that is safe.
    Store(StoreError),
    /// Our own decision; given back at once, nothing is committed.
    Refused(Error),
}

impl From<StoreError> for BodyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Error> for BodyError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Runs a body until it commits. See the module's words for what the body owes.
///
/// # Errors
/// What the body refused with; [`base::Kind::Unavailable`] when the store cannot do it now.
pub async fn transact<T: Send>(store: &Arc<dyn Store>, body: impl Body<T>) -> Result<T, Error> {
    drive(store, body, true).await.map_err(Failure::into_error)
}

/// Runs a body until it commits or until an attempt's outcome is unknown.
///
/// # Errors
/// `Err(Ok(error))`: it did not happen. `Err(Err(store_error))`: nobody knows whether it happened
/// ([`Retry::MaybeCommitted`] or [`Retry::MayLandLate`]).
pub async fn transact_once<T: Send>(
    store: &Arc<dyn Store>,
    body: impl Body<T>,
) -> Result<T, Result<Error, StoreError>> {
    drive(store, body, false).await.map_err(|failure| match failure {
        Failure::Unknown(error) => Err(error),
        other => Ok(other.into_error()),
    })
}

enum Failure {
    Refused(Error),
    Store(StoreError),
    Unknown(StoreError),
}

impl Failure {
    fn into_error(self) -> Error {
        match self {
            Self::Refused(error) => error,
            Self::Store(error) | Self::Unknown(error) => error.into(),
        }
    }
}

async fn drive<T: Send>(
    store: &Arc<dyn Store>,
    mut body: impl Body<T>,
    again_after_unknown: bool,
) -> Result<T, Failure> {
    let mut tx: Arc<dyn Transaction> = Arc::from(store.begin());
    let mut attempt = Attempt { number: 1, maybe_committed: false };
    loop {
        let error = match body.run(&*tx, attempt).await {
            Ok(value) => match commit_detached(tx.clone()).await {
                Ok(()) => return Ok(value),
                Err(error) => error,
            },
            Err(BodyError::Refused(error)) => return Err(Failure::Refused(error)),
            Err(BodyError::Store(error)) => error,
        };
        match error.retry() {
            Retry::Never => return Err(Failure::Store(error)),
            Retry::MayLandLate => return Err(Failure::Unknown(error)),
            Retry::MaybeCommitted if !again_after_unknown => return Err(Failure::Unknown(error)),
            Retry::MaybeCommitted => attempt.maybe_committed = true,
            Retry::Safe => {}
        }
        if attempt.number >= ATTEMPTS_MAX {
            tracing::warn!(%error, attempts = attempt.number, "giving up on a transaction");
            return Err(Failure::Store(error));
        }
        attempt.number += 1;
        if tx.on_error(error).await.is_err() {
            tx = Arc::from(store.begin());
        }
    }
}

/// Commits in a task of its own, which runs to its end even when the caller goes away.
async fn commit_detached(tx: Arc<dyn Transaction>) -> StoreResult<()> {
    let commit = async move { tx.commit().await.map(|_| ()) };
    match tokio::spawn(commit).await {
        Ok(outcome) => outcome,
        // The task panicked or the runtime is going down: nobody knows.
        Err(_) => Err(StoreError::Cancelled),
    }
}
