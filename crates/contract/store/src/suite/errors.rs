//! Limits, deferred errors, misuse, age, and what `on_error` and `reset` heal.

use super::{Context, Ran, list_cases};
use crate::limits::{KEY_BYTES_MAX, TRANSACTION_MS_MAX, VALUE_BYTES_MAX};
use crate::{AtomicOp, KeyRange, StoreError, Transaction};
use bytes::Bytes;
use std::time::Duration;

list_cases!(
    sizes_are_limited,
    mistakes_are_deferred,
    large_transactions_are_refused,
    system_keys_are_refused,
    nothing_works_after_a_commit,
    on_error_resets_what_may_be_retried,
    on_error_gives_back_the_rest,
    cancel_ends_everything_until_reset,
    old_transactions_are_refused,
    future_versions_are_refused,
);

/// The error that `write` defers: in a read and in the commit.
async fn deferred(c: &Context, write: impl FnOnce(&dyn Transaction)) -> Option<StoreError> {
    let tx = c.begin();
    write(&*tx);
    let read = c.value(&*tx, "unrelated").await.err();
    assert_eq!(tx.commit().await.err(), read, "the commit fails as the read did");
    read
}

async fn sizes_are_limited(c: Context) -> Ran {
    let longest = KEY_BYTES_MAX - c.backend.key_bytes_reserved();
    let key = |bytes: usize| {
        let mut key = c.prefix.to_vec();
        key.resize(bytes, b'k');
        key
    };
    let value = |bytes: usize| vec![b'v'; bytes];
    assert_eq!(deferred(&c, |tx| tx.set(&key(longest), &value(VALUE_BYTES_MAX))).await, None);
    let long = deferred(&c, |tx| tx.set(&key(longest + 1), b"")).await;
    assert_eq!(long, Some(StoreError::KeyTooLarge));
    let long = deferred(&c, |tx| tx.atomic(AtomicOp::Add, &key(longest + 1), b"")).await;
    assert_eq!(long, Some(StoreError::KeyTooLarge));
    let long = deferred(&c, |tx| tx.set(&key(90), &value(VALUE_BYTES_MAX + 1))).await;
    assert_eq!(long, Some(StoreError::ValueTooLarge));
    let cleared = deferred(&c, |tx| tx.clear(&key(longest + 1))).await;
    assert_eq!(cleared, None, "it cannot be there");
    Ran::Yes
}

async fn mistakes_are_deferred(c: Context) -> Ran {
    let tx = c.begin();
    tx.clear_range(&c.range("z", "a"));
    tx.set(&c.key("a"), b"");
    assert_eq!(c.value(&*tx, "a").await, Err(StoreError::InvertedRange));
    assert_eq!(tx.commit().await, Err(StoreError::InvertedRange));
    tx.reset();
    tx.set(&c.key("a"), b"1");
    tx.commit().await.unwrap();
    assert_eq!(c.rows().await, ["a=1"]);
    Ran::Yes
}

async fn large_transactions_are_refused(c: Context) -> Ran {
    let tx = c.begin();
    let value = vec![0; VALUE_BYTES_MAX];
    for number in 0..99 {
        tx.set(&c.key(&format!("{number:03}")), &value);
    }
    let size = tx.approximate_size();
    assert!((9_900_000..10_000_000).contains(&size), "{size}");
    tx.set(&c.key("one more"), &value);
    assert_eq!(tx.commit().await, Err(StoreError::TransactionTooLarge));
    assert!(c.rows().await.is_empty());
    Ran::Yes
}

async fn system_keys_are_refused(c: Context) -> Ran {
    let outside = Some(StoreError::KeyOutsideLegalRange);
    assert_eq!(deferred(&c, |tx| tx.set(b"\xff/x", b"")).await, outside);
    assert_eq!(deferred(&c, |tx| tx.clear(b"\xff")).await, outside);
    let beyond = KeyRange::new(c.key("a"), Bytes::from_static(b"\xff\x01"));
    assert_eq!(deferred(&c, |tx| tx.clear_range(&beyond)).await, outside);
    let tx = c.begin();
    assert_eq!(tx.get(b"\xff/x", crate::Isolation::Snapshot).await.err(), outside);
    tx.set(&c.key("a"), b"");
    tx.commit().await.expect("a failed read of a system key does no harm");
    Ran::Yes
}

async fn nothing_works_after_a_commit(c: Context) -> Ran {
    let tx = c.begin();
    tx.set(&c.key("a"), b"1");
    let version = tx.commit().await.unwrap().version;
    assert_eq!(c.value(&*tx, "a").await, Err(StoreError::UsedDuringCommit));
    tx.set(&c.key("b"), b"");
    assert_eq!(tx.commit().await, Err(StoreError::UsedDuringCommit));
    assert_eq!(tx.committed_version(), version);
    tx.reset();
    assert_eq!(c.value(&*tx, "a").await, Ok(Some("1".into())));
    assert_eq!(c.rows().await, ["a=1"]);
    Ran::Yes
}

async fn on_error_resets_what_may_be_retried(c: Context) -> Ran {
    for code in [1007, 1009, 1020, 1021, 1037, 1038, 1042, 1051, 1078, 1079, 1213, 1223] {
        let tx = c.begin();
        tx.set(&c.key("a"), b"lost");
        let error = StoreError::from_code(code);
        assert_eq!(tx.on_error(error).await, Ok(()), "{code}");
        assert_eq!(c.value(&*tx, "a").await, Ok(None), "the write is gone: {code}");
        tx.commit().await.unwrap();
    }
    Ran::Yes
}

async fn on_error_gives_back_the_rest(c: Context) -> Ran {
    for code in [1025, 1031, 1036, 1039, 1510, 2000, 2004, 2017, 2101, 2102, 2103] {
        let tx = c.begin();
        let error = StoreError::from_code(code);
        assert_eq!(tx.on_error(error.clone()).await, Err(error));
        assert_eq!(c.value(&*tx, "a").await, Err(StoreError::Cancelled), "{code}");
        tx.reset();
        assert_eq!(c.value(&*tx, "a").await, Ok(None));
    }
    Ran::Yes
}

async fn cancel_ends_everything_until_reset(c: Context) -> Ran {
    let tx = c.begin();
    tx.set(&c.key("a"), b"");
    let watch = tx.watch(&c.key("b"));
    tx.cancel();
    assert_eq!(watch.await, Err(StoreError::Cancelled));
    assert_eq!(c.value(&*tx, "a").await, Err(StoreError::Cancelled));
    assert_eq!(tx.commit().await, Err(StoreError::Cancelled));
    assert_eq!(tx.on_error(StoreError::Conflict).await, Err(StoreError::Cancelled));
    tx.reset();
    assert_eq!(c.value(&*tx, "a").await, Ok(None));
    Ran::Yes
}

async fn old_transactions_are_refused(c: Context) -> Ran {
    c.put(&[("a", "1")]).await;
    let (reader, writer, blind, looker) = (c.begin(), c.begin(), c.begin(), c.begin());
    for tx in [&reader, &writer, &looker] {
        tx.read_version().await.unwrap();
    }
    writer.set(&c.key("b"), b"");
    blind.set(&c.key("c"), b"");
    if !c.backend.advance(Duration::from_millis(TRANSACTION_MS_MAX - 1_000)).await {
        return Ran::No;
    }
    assert_eq!(c.value(&*reader, "a").await, Ok(Some("1".into())), "four seconds are allowed");
    c.backend.advance(Duration::from_millis(4_000)).await;
    c.put(&[("d", "1")]).await;
    assert_eq!(c.value(&*reader, "b").await, Err(StoreError::TooOld));
    assert_eq!(writer.commit().await, Err(StoreError::TooOld));
    blind.commit().await.expect("nothing was read");
    looker.commit().await.expect("nothing is written");
    reader.on_error(StoreError::TooOld).await.unwrap();
    assert_eq!(c.value(&*reader, "a").await, Ok(Some("1".into())));
    Ran::Yes
}

async fn future_versions_are_refused(c: Context) -> Ran {
    let now = c.begin().read_version().await.unwrap();
    let tx = c.begin();
    tx.set_read_version(now + 1_000_000_000);
    assert_eq!(c.value(&*tx, "a").await, Err(StoreError::FutureVersion));
    Ran::Yes
}
