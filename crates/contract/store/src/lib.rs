//! The store contract: FoundationDB's, cut down.
//!
//! Ordered byte keys; strictly serialisable optimistic transactions; snapshot reads; range reads
//! both ways; atomic operations; versionstamps; watches. Callers obey the limits of [`limits`] on
//! every backend: long scans continue from a cursor in new transactions, large values are chunked,
//! a bulk job is resumable.
//!
//! ```text
//! let tx = store.begin();
//! let old = tx.get(b"k", Isolation::Serializable).await?;   // adds a read conflict
//! tx.set(b"k", b"v");
//! tx.commit().await?;                                       // durable when this returns
//! ```
//!
//! Mistakes in `set`, `clear` and `atomic` are deferred: they appear in the following reads and in
//! the commit, as FoundationDB does it (`fdb-vectors`, surprising fact 12). Almost all code should
//! not drive transactions by hand but go through [`transact`], which retries what may be retried
//! and never retries an unknown commit blindly.
//!
//! [`suite`] holds the promises as tests; every implementation runs all of them.

pub mod error;
pub mod keys;
pub mod limits;
pub mod range;
pub mod rules;
pub mod suite;
pub mod transact;

pub use error::{Retry, StoreError, StoreResult};
pub use range::{KeyRange, KeySelector, KeyValue, Page, RangeRead};
pub use transact::{Attempt, Body, BodyError, body, transact, transact_once};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;

/// A version of the database: a number that only grows. Not comparable between stores.
pub type Version = i64;

/// An ordered, transactional key-value store. Cheap to clone behind an `Arc`; all methods may be
/// called from any task.
pub trait Store: Send + Sync + 'static {
    /// Starts a transaction. Nothing is read until the first read fixes the read version.
    fn begin(&self) -> Box<dyn Transaction>;

    /// The backend's name for logs and metrics: `memory`, `embedded`, `foundationdb`.
    fn name(&self) -> &'static str;
}

/// Whether a read takes part in conflict detection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Isolation {
    /// What was read must not have changed by the time of the commit.
    Serializable,
    /// The read is of one consistent version but never makes the commit fail.
    Snapshot,
}

/// When a commit is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// `commit` returns when the transaction can never be lost. The only kind that may be
    /// acknowledged to the outside.
    #[default]
    OnCommit,
    /// `commit` may return when the transaction is visible and will become durable no later than
    /// the next [`Durability::OnCommit`] commit, and in order: after a crash, if a later commit is
    /// there, this one is too. For work that would simply be done again (a delivery whose queue
    /// row is durable). FoundationDB treats it as `OnCommit`.
    WithNext,
}

/// The atomic operations: computed by the store at commit, without a read conflict.
/// Integers are little-endian; results have the parameter's length (`fdb-vectors`, fact 18).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AtomicOp {
    /// Adds as little-endian integers, wrapping at the parameter's length.
    Add,
    /// Bitwise and; a missing key becomes the parameter.
    BitAnd,
    /// Bitwise or.
    BitOr,
    /// Bitwise exclusive or.
    BitXor,
    /// Appends if the result is at most 100,000 bytes, else leaves the value.
    AppendIfFits,
    /// The greater as little-endian unsigned integers.
    Max,
    /// The smaller as little-endian unsigned integers; a missing key becomes the parameter.
    Min,
    /// The lexicographically greater byte string.
    ByteMax,
    /// The lexicographically smaller byte string; a missing key becomes the parameter.
    ByteMin,
    /// Clears the key if its value equals the parameter.
    CompareAndClear,
    /// The key's last four bytes give (little-endian) where the ten-byte stamp goes into the key;
    /// they are removed.
    SetVersionstampedKey,
    /// The same for the value: its last four bytes give the place of the stamp.
    SetVersionstampedValue,
}

/// The ten bytes that a commit writes in place of a versionstamp: commit version (8, big-endian)
/// and number within the version (2, big-endian). Later commits have greater stamps.
pub type Versionstamp = [u8; 10];

/// What a successful commit tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Committed {
    /// The commit version; -1 for a transaction that wrote nothing.
    pub version: Version,
}

/// Resolves when the watched key's value may have changed since the watch was set. Waking up
/// without a change is allowed; the value must be read again. Errors with
/// [`StoreError::Cancelled`] or the commit's error if the transaction never committed.
pub type Watch = BoxFuture<'static, StoreResult<()>>;

/// One optimistic transaction. Reads see one version of the database and the transaction's own
/// writes; reads may be issued concurrently. After `commit` (whatever its outcome) nothing may be
/// called but [`Transaction::on_error`] and [`Transaction::reset`]; anything else answers
/// [`StoreError::UsedDuringCommit`].
///
/// Never drop a commit future before it resolves: the outcome would be unknown for good and could
/// still land later. [`transact`] takes care of that.
#[async_trait]
pub trait Transaction: Send + Sync {
    /// The version that reads see; fetched once.
    ///
    /// # Errors
    /// Any [`StoreError`].
    async fn read_version(&self) -> StoreResult<Version>;

    /// Reads at this version from now on. Never use a cached version where freshness matters.
    fn set_read_version(&self, version: Version);

    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError::TooOld`] after five seconds; any other [`StoreError`].
    async fn get(&self, key: &[u8], isolation: Isolation) -> StoreResult<Option<Bytes>>;

    /// Resolves a key selector; the ends are the empty key and `\xff`.
    ///
    /// # Errors
    /// As [`Transaction::get`].
    async fn get_key(&self, selector: &KeySelector, isolation: Isolation) -> StoreResult<Bytes>;

    /// One page of a range. A page may be short or empty while `more` is true; only `more ==
    /// false` is the end. A limited read conflicts only up to the last key it returned.
    ///
    /// # Errors
    /// As [`Transaction::get`].
    async fn get_range(&self, read: &RangeRead, isolation: Isolation) -> StoreResult<Page>;

    /// Writes a key.
    fn set(&self, key: &[u8], value: &[u8]);

    /// Removes a key.
    fn clear(&self, key: &[u8]);

    /// Removes all keys of the range.
    fn clear_range(&self, range: &KeyRange);

    /// Applies an atomic operation at commit.
    fn atomic(&self, op: AtomicOp, key: &[u8], param: &[u8]);

    /// Makes the commit fail if anybody changes the range meanwhile. Not enough for fencing: a
    /// change older than the read version passes.
    ///
    /// # Errors
    /// [`StoreError::InvertedRange`].
    fn add_read_conflict(&self, range: &KeyRange) -> StoreResult<()>;

    /// Makes others that read the range fail, as if it had been written.
    ///
    /// # Errors
    /// [`StoreError::InvertedRange`].
    fn add_write_conflict(&self, range: &KeyRange) -> StoreResult<()>;

    /// Watches a key. It takes effect when the transaction commits.
    fn watch(&self, key: &[u8]) -> Watch;

    /// The stamp that this transaction's commit will write. Resolves after the commit; fails with
    /// [`StoreError::NoCommitVersion`] if it was read-only, or with the commit's error.
    fn versionstamp(&self) -> BoxFuture<'static, StoreResult<Versionstamp>>;

    /// How the commit of this transaction is reported.
    fn set_durability(&self, durability: Durability);

    /// Background work (scans, collection, reindexing) that gives way to everything else.
    fn set_batch_priority(&self);

    /// Approximate size of mutations and conflict ranges so far, in bytes.
    fn approximate_size(&self) -> usize;

    /// Commits. Read-only transactions always succeed.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::TooOld`], [`StoreError::CommitUnknown`] (it may or
    /// may not have happened; it will not happen later), [`StoreError::Cancelled`] (it may even
    /// happen later), or any other [`StoreError`].
    async fn commit(&self) -> StoreResult<Committed>;

    /// The version that [`Transaction::commit`] reported; -1 before.
    fn committed_version(&self) -> Version;

    /// For an error that may be retried: waits its back-off and resets the transaction. For any
    /// other: gives it back.
    ///
    /// # Errors
    /// The error passed in, where it must not be retried.
    async fn on_error(&self, error: StoreError) -> StoreResult<()>;

    /// Forgets all reads, writes and options; the transaction is as new.
    fn reset(&self);

    /// Makes everything that waits on the transaction fail with [`StoreError::Cancelled`].
    fn cancel(&self);
}
