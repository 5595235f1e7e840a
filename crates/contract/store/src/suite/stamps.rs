//! Versionstamps in keys and values.

use super::{Context, Ran, list_cases};
use crate::{AtomicOp, Isolation, RangeRead, StoreError, Versionstamp};

list_cases!(
    keys_and_values_are_stamped,
    later_commits_have_greater_stamps,
    pending_stamps_cannot_be_read,
    clearing_heals,
    a_stamp_needs_a_commit,
    misplaced_stamps_are_refused,
);

/// A versionstamped key of the case: a name, then the stamp.
fn stamped_key(c: &Context, name: &str) -> Vec<u8> {
    let mut key = c.key(name).to_vec();
    let place = key.len() as u32;
    key.extend_from_slice(&[0; 10]);
    key.extend_from_slice(&place.to_le_bytes());
    key
}

fn with_stamp(c: &Context, name: &str, stamp: Versionstamp) -> Vec<u8> {
    [&c.key(name)[..], &stamp].concat()
}

async fn keys_and_values_are_stamped(c: Context) -> Ran {
    let tx = c.begin();
    tx.atomic(AtomicOp::SetVersionstampedKey, &stamped_key(&c, "k"), b"value");
    let param = [&b"pre"[..], &[0; 10], b"post", &3_u32.to_le_bytes()].concat();
    tx.atomic(AtomicOp::SetVersionstampedValue, &c.key("v"), &param);
    let stamp = tx.versionstamp();
    let committed = tx.commit().await.unwrap();
    let stamp = stamp.await.unwrap();
    assert_eq!(stamp[..8], committed.version.to_be_bytes());
    assert_eq!(tx.committed_version(), committed.version);
    let read = c.begin();
    let value = read.get(&with_stamp(&c, "k", stamp), Isolation::Serializable).await.unwrap();
    assert_eq!(value.as_deref(), Some(&b"value"[..]));
    let value = read.get(&c.key("v"), Isolation::Serializable).await.unwrap().unwrap();
    assert_eq!(value, [&b"pre"[..], &stamp, b"post"].concat());
    Ran::Yes
}

async fn later_commits_have_greater_stamps(c: Context) -> Ran {
    let mut last = None;
    for _ in 0..20 {
        let tx = c.begin();
        tx.atomic(AtomicOp::SetVersionstampedKey, &stamped_key(&c, "log"), b"");
        let stamp = tx.versionstamp();
        tx.commit().await.unwrap();
        let stamp = stamp.await.unwrap();
        assert!(last < Some(stamp), "{last:?} {stamp:?}");
        last = Some(stamp);
    }
    assert_eq!(c.rows().await.len(), 20);
    Ran::Yes
}

async fn pending_stamps_cannot_be_read(c: Context) -> Ran {
    c.put(&[("z", "after")]).await;
    let tx = c.begin();
    tx.atomic(AtomicOp::SetVersionstampedKey, &stamped_key(&c, "k"), b"");
    let read = RangeRead::all(&c.all());
    let outcome = tx.get_range(&read, Isolation::Snapshot).await;
    assert_eq!(outcome, Err(StoreError::Unreadable));
    assert_eq!(c.value(&*tx, "z").await, Ok(Some("after".into())), "others can be read");
    assert_eq!(tx.commit().await, Err(StoreError::Unreadable), "the commit is spoilt");
    assert_eq!(c.rows().await, ["z=after"]);
    Ran::Yes
}

async fn clearing_heals(c: Context) -> Ran {
    let tx = c.begin();
    tx.atomic(AtomicOp::SetVersionstampedValue, &c.key("v"), &[0; 14]);
    tx.clear(&c.key("v"));
    assert_eq!(c.value(&*tx, "v").await, Ok(None));
    tx.commit().await.unwrap();
    assert!(c.rows().await.is_empty());
    Ran::Yes
}

async fn a_stamp_needs_a_commit(c: Context) -> Ran {
    let tx = c.begin();
    let stamp = tx.versionstamp();
    tx.commit().await.unwrap();
    assert_eq!(stamp.await, Err(StoreError::NoCommitVersion));
    let tx = c.begin();
    c.value(&*tx, "a").await.unwrap();
    tx.set(&c.key("b"), b"");
    let stamp = tx.versionstamp();
    c.put(&[("a", "1")]).await;
    assert_eq!(tx.commit().await, Err(StoreError::Conflict));
    assert_eq!(stamp.await, Err(StoreError::NotCommitted));
    Ran::Yes
}

async fn misplaced_stamps_are_refused(c: Context) -> Ran {
    for param in
        [&b""[..], b"\0\0\0", &[0; 13], b"0123456789\x01\0\0\0", b"0123456789\xff\xff\xff\xff"]
    {
        let tx = c.begin();
        tx.atomic(AtomicOp::SetVersionstampedValue, &c.key("v"), param);
        assert!(tx.commit().await.is_err(), "{param:?}");
    }
    assert!(c.rows().await.is_empty());
    Ran::Yes
}
