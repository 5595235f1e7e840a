//! Many transactions at once, and commits whose callers have gone.

use super::{Context, Ran, list_cases};
use crate::{AtomicOp, BodyError, Isolation, Transaction, body, transact};
use bytes::Bytes;
use futures::channel::oneshot;
use futures::future::{join_all, try_join_all};
use std::collections::BTreeSet;

list_cases!(
    five_hundred_at_once_all_commit,
    five_hundred_at_once_count_right,
    a_dropped_commit_lands_whole_or_not_at_all,
    transact_ends_its_commit_without_its_caller,
);

const MANY: usize = 500;

async fn five_hundred_at_once_all_commit(c: Context) -> Ran {
    let transactions: Vec<_> = (0..MANY).map(|_| c.begin()).collect();
    let keys: Vec<_> = (0..MANY).map(|number| c.key(&format!("{number:03}"))).collect();
    let reads = transactions.iter().zip(&keys);
    let reads = reads.map(|(tx, key)| tx.get(key, Isolation::Serializable));
    assert!(join_all(reads).await.iter().all(|found| *found == Ok(None)));
    for (tx, key) in transactions.iter().zip(&keys) {
        tx.set(key, b"");
        tx.atomic(AtomicOp::Add, &c.key("sum"), &1_u64.to_le_bytes());
    }
    let commits = transactions.iter().map(|tx| tx.commit());
    let committed = try_join_all(commits).await.expect("no two of them read what the other wrote");
    assert!(committed.iter().all(|one| one.version > 0));
    let stamps: BTreeSet<_> = transactions.iter().map(|tx| tx.committed_version()).collect();
    let newest = c.begin().read_version().await.unwrap();
    assert!(stamps.last().is_some_and(|last| *last <= newest));
    let sum = c.begin().get(&c.key("sum"), Isolation::Snapshot).await.unwrap();
    assert_eq!(sum, Some(Bytes::copy_from_slice(&(MANY as u64).to_le_bytes())));
    assert_eq!(c.rows().await.len(), MANY + 1);
    Ran::Yes
}

/// The same counters from many tasks: each conflict is tried again, none counts twice.
async fn five_hundred_at_once_count_right(c: Context) -> Ran {
    const COUNTERS: usize = 100;
    let count = |number: usize| {
        let (store, key) = (c.store.clone(), c.key(&format!("{:02}", number % COUNTERS)));
        let increment = body(key, |key, tx, _| {
            Box::pin(async move {
                let old = tx.get(key, Isolation::Serializable).await?;
                let old = old.and_then(|old| old.first().copied()).unwrap_or(0);
                tx.set(key, &[old + 1]);
                Ok(())
            })
        });
        tokio::spawn(async move { transact(&store, increment).await })
    };
    for task in (0..MANY).map(count).collect::<Vec<_>>() {
        task.await.expect("a task").expect("transact");
    }
    let each = Bytes::from(vec![(MANY / COUNTERS) as u8]);
    let tx = c.begin();
    let rows = super::read_all(&*tx, crate::RangeRead::all(&c.all())).await.unwrap();
    assert_eq!(rows.len(), COUNTERS);
    assert!(rows.iter().all(|row| row.value == each), "{rows:?}");
    Ran::Yes
}

/// Two rows that belong together, and a read that makes the commit fail once the fence is raised.
async fn write_pair(c: &Context, tx: &dyn Transaction, number: usize) -> Result<(), BodyError> {
    tx.get(&c.key("fence"), Isolation::Serializable).await?;
    tx.set(&c.key(&format!("left{number:02}")), b"");
    tx.set(&c.key(&format!("right{number:02}")), b"");
    Ok(())
}

/// Nothing that is under way lands any more afterwards; answers the pairs that did.
async fn raise_fence(c: &Context) -> BTreeSet<String> {
    c.backend.settle().await;
    c.put(&[("fence", "raised")]).await;
    let rows = c.rows().await;
    let side = |side: &str| -> BTreeSet<String> {
        let of_side = rows.iter().filter_map(|row| row.strip_prefix(side));
        of_side.map(str::to_owned).collect()
    };
    assert_eq!(side("left"), side("right"), "half a commit");
    side("left")
}

async fn a_dropped_commit_lands_whole_or_not_at_all(c: Context) -> Ran {
    let mut kept = Vec::new();
    for number in 0..24 {
        let tx = c.begin();
        write_pair(&c, &*tx, number).await.expect("read");
        let mut commit = tx.commit();
        for _ in 0..number % 4 {
            if futures::poll!(&mut commit).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(commit);
        // With or without its transaction, which a caller may drop as well.
        if number % 2 == 0 {
            kept.push(tx);
        }
    }
    let landed = raise_fence(&c).await;
    c.put(&[("the store", "goes on")]).await;
    drop(kept);
    assert_eq!(raise_fence(&c).await, landed, "landed behind the fence");
    Ran::Yes
}

async fn transact_ends_its_commit_without_its_caller(c: Context) -> Ran {
    let mut acknowledged = BTreeSet::new();
    for number in 0..24 {
        let (begun, has_begun) = oneshot::channel();
        let store = c.store.clone();
        let pair = body((c.clone(), Some(begun)), move |(c, begun), tx, _| {
            Box::pin(async move {
                write_pair(c, tx, number).await?;
                if let Some(begun) = begun.take() {
                    let _ = begun.send(());
                }
                Ok(())
            })
        });
        let task = tokio::spawn(async move { transact(&store, pair).await });
        has_begun.await.expect("the body runs");
        for _ in 0..number % 6 {
            tokio::task::yield_now().await;
        }
        task.abort();
        if let Ok(outcome) = task.await {
            outcome.expect("transact");
            acknowledged.insert(format!("{number:02}="));
        }
    }
    let landed = raise_fence(&c).await;
    assert!(landed.is_superset(&acknowledged), "{acknowledged:?} of {landed:?}");
    assert_eq!(raise_fence(&c).await, landed, "landed behind the fence");
    Ran::Yes
}
