//! The promises of the store contract as tests that every implementation runs.
//!
//! ```text
//! suite::run_all(Arc::new(MyBackend)).await;             // every case; panics with a list
//! suite::serialisability::check(&backend, seed).await;   // a property
//! suite::vectors::replay(&backend, directory).await;     // the real FoundationDB's behaviour
//! ```
//!
//! A case gets a key prefix of its own, so that all can run against one shared database. What a
//! backend cannot do in a test (move time, crash) it says through [`Backend`]; the cases that need
//! it are then reported as not run.

// Test code that lives in a library because several crates run it: a failed expectation is a
// failed test.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is test code")]

mod atomics;
mod commits;
mod conflicts;
mod errors;
mod inflight;
mod ranges;
mod reads;
pub mod serialisability;
mod stamps;
pub mod vectors;
mod watches;

use crate::keys::KeyBuilder;
use crate::{
    Body, Isolation, KeyRange, KeyValue, RangeRead, Store, StoreResult, Transaction, body, transact,
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// How long a case may take before it counts as hanging.
const CASE_TIME: Duration = Duration::from_secs(120);

/// How the suite gets at an implementation.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// A store; empty where the backend can make empty ones (the vectors need that).
    async fn open(&self) -> Arc<dyn Store>;

    /// Moves the time of the stores opened so far; `false` if the test cannot do that.
    async fn advance(&self, _by: Duration) -> bool {
        false
    }

    /// Makes the next commit that writes end as unknown ([`crate::StoreError::CommitUnknown`]),
    /// made or not; `false` if the test cannot do that.
    async fn next_commit_unknown(&self, _made: bool) -> bool {
        false
    }

    /// How many bytes of the key limit the backend needs for itself (a prefix of all keys).
    fn key_bytes_reserved(&self) -> usize {
        0
    }

    /// Returns when no commit that was reported as cancelled can land any more, and ends faults.
    async fn settle(&self) {}

    /// Crashes and reopens the store that was opened last, losing what was not durable (it may
    /// keep it); `None` if the test cannot do that.
    async fn crash(&self) -> Option<Arc<dyn Store>> {
        None
    }
}

/// What a case works with.
#[derive(Clone)]
pub struct Context {
    /// The implementation.
    pub backend: Arc<dyn Backend>,
    /// Its store.
    pub store: Arc<dyn Store>,
    /// Every key of the case begins so.
    pub prefix: Bytes,
}

impl Context {
    async fn new(backend: Arc<dyn Backend>, name: &[u8]) -> Self {
        let store = backend.open().await;
        let case = Self { backend, store, prefix: KeyBuilder::new(b"suite/").text(name).build() };
        transact(&case.store, remove_leftovers(case.all())).await.expect("a store that works");
        case
    }

    /// A key of this case.
    fn key(&self, name: &str) -> Bytes {
        KeyBuilder::new(&self.prefix).raw(name.as_bytes()).build()
    }

    fn range(&self, begin: &str, end: &str) -> KeyRange {
        KeyRange::new(self.key(begin), self.key(end))
    }

    fn all(&self) -> KeyRange {
        KeyRange::prefix(&self.prefix)
    }

    fn begin(&self) -> Box<dyn Transaction> {
        self.store.begin()
    }

    /// Commits some rows.
    async fn put(&self, rows: &[(&str, &str)]) {
        let tx = self.begin();
        for (key, value) in rows {
            tx.set(&self.key(key), value.as_bytes());
        }
        tx.commit().await.expect("put");
    }

    /// Reads one key.
    async fn value(&self, tx: &dyn Transaction, key: &str) -> StoreResult<Option<String>> {
        let value = tx.get(&self.key(key), Isolation::Serializable).await?;
        Ok(value.map(|value| String::from_utf8_lossy(&value).into_owned()))
    }

    /// What a fresh transaction reads there.
    async fn committed(&self, key: &str) -> Option<String> {
        self.value(&*self.begin(), key).await.expect("read")
    }

    /// All rows of the case as `key=value`, without the prefix.
    async fn rows(&self) -> Vec<String> {
        let tx = self.begin();
        let rows = read_all(&*tx, RangeRead::all(&self.all())).await.expect("read");
        rows.iter().map(|row| self.show(row)).collect()
    }

    fn show(&self, row: &KeyValue) -> String {
        let key = String::from_utf8_lossy(&row.key[self.prefix.len()..]);
        format!("{key}={}", String::from_utf8_lossy(&row.value))
    }
}

/// A shared database may still hold what an earlier run has left. An empty one is not written to,
/// so that where commits land late nothing is cleared late.
fn remove_leftovers(rows: KeyRange) -> impl Body<()> {
    body(rows, |rows, tx, _| {
        Box::pin(async move {
            if !read_all(tx, RangeRead::all(rows).limit(1)).await?.is_empty() {
                tx.clear_range(rows);
            }
            Ok(())
        })
    })
}

/// All rows of a read, page after page.
async fn read_all(tx: &dyn Transaction, read: RangeRead) -> StoreResult<Vec<KeyValue>> {
    let mut rows = Vec::new();
    let mut next = Some(read);
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Serializable).await?;
        next = read.after(&page);
        rows.extend(page.rows);
    }
    Ok(rows)
}

/// Whether a case was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It passed.
    Yes,
    /// The backend cannot do what it needs.
    No,
}

/// One promise.
pub type Case = (&'static str, fn(Context) -> BoxFuture<'static, Ran>);

/// Makes a [`Case`] of an async function of the same name.
macro_rules! list_cases {
    ($($name:ident),* $(,)?) => {
        pub(super) fn cases() -> Vec<$crate::suite::Case> {
            vec![$((
                concat!(module_path!(), "::", stringify!($name)),
                |context| futures::FutureExt::boxed($name(context)),
            )),*]
        }
    };
}
use list_cases;

/// All cases, with their names.
pub fn cases() -> Vec<Case> {
    [
        reads::cases(),
        ranges::cases(),
        atomics::cases(),
        stamps::cases(),
        conflicts::cases(),
        commits::cases(),
        inflight::cases(),
        errors::cases(),
        watches::cases(),
    ]
    .concat()
}

/// Runs every case and panics with the list of those that failed. Answers the names of the cases
/// that could not be run here.
pub async fn run_all(backend: Arc<dyn Backend>) -> Vec<&'static str> {
    let mut failed = Vec::new();
    let mut not_run = Vec::new();
    for (name, case) in cases() {
        let context = Context::new(backend.clone(), name.as_bytes()).await;
        let run = AssertUnwindSafe(case(context)).catch_unwind();
        match tokio::time::timeout(CASE_TIME, run).await {
            Ok(Ok(Ran::Yes)) => {}
            Ok(Ok(Ran::No)) => not_run.push(name),
            Ok(Err(panic)) => failed.push(format!("{name}: {}", words(&*panic))),
            Err(_) => failed.push(format!("{name}: hangs")),
        }
    }
    assert!(failed.is_empty(), "{} cases failed:\n{}", failed.len(), failed.join("\n"));
    not_run
}

/// The words of a panic.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}
