//! Watches: they take effect with the commit and fire when the value differs.

use super::{Context, Ran, list_cases};
use crate::{StoreError, Watch};
use std::time::Duration;

list_cases!(
    a_change_fires,
    a_change_of_before_the_commit_fires,
    the_same_value_does_not_fire,
    watches_end_with_their_transaction,
    watches_outlive_a_committed_transaction,
    a_watch_in_a_writing_transaction_conflicts,
    an_own_write_after_the_watch_fires,
);

/// The answer, however slow the machine is.
async fn fires(watch: Watch) {
    tokio::time::timeout(Duration::from_secs(60), watch).await.expect("fires").expect("fires well");
}

/// Whether it still waits after a moment in which it would have fired.
async fn waits(watch: &mut Watch) -> bool {
    tokio::time::timeout(Duration::from_millis(20), watch).await.is_err()
}

async fn committed_watch(c: &Context, key: &str) -> Watch {
    let tx = c.begin();
    let watch = tx.watch(&c.key(key));
    tx.commit().await.unwrap();
    watch
}

async fn a_change_fires(c: Context) -> Ran {
    c.put(&[("a", "1"), ("b", "1"), ("c", "1")]).await;
    let (set, cleared, range) = (
        committed_watch(&c, "a").await,
        committed_watch(&c, "b").await,
        committed_watch(&c, "c").await,
    );
    let created = committed_watch(&c, "new").await;
    let tx = c.begin();
    tx.set(&c.key("a"), b"2");
    tx.clear(&c.key("b"));
    tx.clear_range(&c.range("c", "d"));
    tx.set(&c.key("new"), b"");
    tx.commit().await.unwrap();
    for watch in [set, cleared, range, created] {
        fires(watch).await;
    }
    Ran::Yes
}

async fn a_change_of_before_the_commit_fires(c: Context) -> Ran {
    c.put(&[("a", "1")]).await;
    let tx = c.begin();
    c.value(&*tx, "a").await.unwrap();
    let watch = tx.watch(&c.key("a"));
    c.put(&[("a", "2")]).await;
    tx.commit().await.unwrap();
    fires(watch).await;
    Ran::Yes
}

async fn the_same_value_does_not_fire(c: Context) -> Ran {
    c.put(&[("a", "1")]).await;
    let mut watch = committed_watch(&c, "a").await;
    c.put(&[("a", "1"), ("b", "2")]).await;
    assert!(waits(&mut watch).await);
    c.put(&[("a", "2")]).await;
    fires(watch).await;
    Ran::Yes
}

async fn watches_end_with_their_transaction(c: Context) -> Ran {
    let tx = c.begin();
    let watch = tx.watch(&c.key("a"));
    drop(tx);
    assert_eq!(watch.await, Err(StoreError::Cancelled));
    let tx = c.begin();
    let watch = tx.watch(&c.key("a"));
    tx.reset();
    assert_eq!(watch.await, Err(StoreError::Cancelled));
    Ran::Yes
}

async fn watches_outlive_a_committed_transaction(c: Context) -> Ran {
    let tx = c.begin();
    let mut watch = tx.watch(&c.key("a"));
    tx.commit().await.unwrap();
    tx.reset();
    drop(tx);
    assert!(waits(&mut watch).await);
    c.put(&[("a", "1")]).await;
    fires(watch).await;
    Ran::Yes
}

async fn a_watch_in_a_writing_transaction_conflicts(c: Context) -> Ran {
    let tx = c.begin();
    tx.read_version().await.unwrap();
    let watch = tx.watch(&c.key("a"));
    tx.set(&c.key("b"), b"");
    c.put(&[("a", "1")]).await;
    assert_eq!(tx.commit().await, Err(StoreError::Conflict));
    assert_eq!(watch.await, Err(StoreError::Conflict));
    Ran::Yes
}

async fn an_own_write_after_the_watch_fires(c: Context) -> Ran {
    c.put(&[("a", "1"), ("b", "1")]).await;
    let tx = c.begin();
    let before = tx.watch(&c.key("a"));
    tx.set(&c.key("a"), b"2");
    tx.set(&c.key("b"), b"2");
    let mut after = tx.watch(&c.key("b"));
    tx.commit().await.unwrap();
    fires(before).await;
    assert!(waits(&mut after).await, "it expects the own value");
    Ran::Yes
}
