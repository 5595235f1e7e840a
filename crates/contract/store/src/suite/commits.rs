//! Commits: versions, order, durability, and running to the end with [`transact`].

use super::{Context, Ran, list_cases};
use crate::transact::BodyError;
use crate::{
    Attempt, Body, Durability, Isolation, StoreError, Transaction, transact, transact_once,
};
use base::{Error, Kind};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;

list_cases!(
    versions_grow,
    a_commit_is_visible_at_once,
    transact_counts_each_once,
    transact_gives_back_refusals,
    transact_once_commits,
    transact_resolves_an_unknown_commit,
    transact_once_gives_an_unknown_commit_back,
    with_next_is_never_reordered,
);

async fn versions_grow(c: Context) -> Ran {
    let mut last = c.begin().read_version().await.unwrap();
    for _ in 0..10 {
        let tx = c.begin();
        tx.set(&c.key("a"), b"same");
        let version = tx.commit().await.unwrap().version;
        assert!(version > last, "{version} after {last}");
        let seen = c.begin().read_version().await.unwrap();
        assert!(seen >= version, "a commit is in all later read versions");
        last = version;
    }
    Ran::Yes
}

async fn a_commit_is_visible_at_once(c: Context) -> Ran {
    for number in 0..20 {
        let text = number.to_string();
        c.put(&[("a", &text)]).await;
        assert_eq!(c.committed("a").await, Some(text));
    }
    Ran::Yes
}

/// Adds one to a number in text.
struct Increment(Bytes);

impl Body<u64> for Increment {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<u64, BodyError>> {
        async move {
            let old = tx.get(&self.0, Isolation::Serializable).await?;
            let old: u64 =
                old.map_or(0, |v| String::from_utf8_lossy(&v).parse().expect("a number"));
            tx.set(&self.0, (old + 1).to_string().as_bytes());
            Ok(old + 1)
        }
        .boxed()
    }
}

async fn transact_counts_each_once(c: Context) -> Ran {
    let count = || {
        let c = c.clone();
        tokio::spawn(async move { transact(&c.store, Increment(c.key("count"))).await })
    };
    let tasks: Vec<_> = (0..8).map(|_| count()).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("a task").expect("transact"));
    }
    results.sort_unstable();
    assert_eq!(results, [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(c.committed("count").await.as_deref(), Some("8"));
    Ran::Yes
}

/// Writes, then refuses.
struct Refuse(Bytes);

impl Body<()> for Refuse {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        tx.set(&self.0, b"1");
        async { Err(Error::new(Kind::Limit, "no more").into()) }.boxed()
    }
}

async fn transact_gives_back_refusals(c: Context) -> Ran {
    let refused = transact(&c.store, Refuse(c.key("a"))).await.expect_err("refused");
    assert_eq!(refused.kind, Kind::Limit);
    assert_eq!(c.committed("a").await, None, "nothing is committed");
    Ran::Yes
}

async fn transact_once_commits(c: Context) -> Ran {
    assert!(matches!(transact_once(&c.store, Increment(c.key("a"))).await, Ok(1)));
    assert_eq!(c.committed("a").await.as_deref(), Some("1"));
    Ran::Yes
}

/// Adds one letter to a log, unless a marker says that an earlier attempt did.
struct AppendOnce {
    log: Bytes,
    marker: Bytes,
}

impl Body<()> for AppendOnce {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        async move {
            let marker = tx.get(&self.marker, Isolation::Serializable).await?;
            if attempt.maybe_committed && marker.is_some() {
                return Ok(());
            }
            let log = tx.get(&self.log, Isolation::Serializable).await?.unwrap_or_default();
            tx.set(&self.log, &[&log[..], b"x"].concat());
            tx.set(&self.marker, b"");
            Ok(())
        }
        .boxed()
    }
}

fn append_once(c: &Context) -> AppendOnce {
    AppendOnce { log: c.key("log"), marker: c.key("marker") }
}

async fn transact_resolves_an_unknown_commit(c: Context) -> Ran {
    for made in [true, false] {
        let tx = c.begin();
        tx.clear_range(&c.all());
        tx.commit().await.unwrap();
        if !c.backend.next_commit_unknown(made).await {
            return Ran::No;
        }
        transact(&c.store, append_once(&c)).await.expect("transact");
        assert_eq!(c.committed("log").await.as_deref(), Some("x"), "exactly once; made: {made}");
    }
    Ran::Yes
}

async fn transact_once_gives_an_unknown_commit_back(c: Context) -> Ran {
    for made in [false, true] {
        if !c.backend.next_commit_unknown(made).await {
            return Ran::No;
        }
        let outcome = transact_once(&c.store, append_once(&c)).await;
        assert!(matches!(outcome, Err(Err(StoreError::CommitUnknown))), "made: {made}");
        let log = c.committed("log").await;
        assert_eq!(log.as_deref(), made.then_some("x"), "it is not tried again");
    }
    Ran::Yes
}

/// Commits that need not be durable on their own, with durable ones in between, then a crash: of
/// the sequence a prefix must be left, and all up to the last durable one.
async fn with_next_is_never_reordered(c: Context) -> Ran {
    let mut last_durable = 0;
    for number in 0..40_u32 {
        let tx = c.begin();
        tx.set(&c.key(&format!("{number:03}")), b"");
        if number % 7 == 6 {
            last_durable = number;
        } else {
            tx.set_durability(Durability::WithNext);
        }
        tx.commit().await.unwrap();
        assert!(c.committed(&format!("{number:03}")).await.is_some(), "visible at once");
    }
    let Some(store) = c.backend.crash().await else {
        return Ran::No;
    };
    let c = Context { store: Arc::clone(&store), ..c };
    let rows = c.rows().await;
    let expected: Vec<_> = (0..rows.len()).map(|number| format!("{number:03}=")).collect();
    assert_eq!(rows, expected, "a hole in the sequence");
    assert!(rows.len() > last_durable as usize, "{} rows of {last_durable}", rows.len());
    Ran::Yes
}
