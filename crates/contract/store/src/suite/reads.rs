//! Reading keys: own writes, one version, snapshots.

use super::{Context, Ran, list_cases};
use crate::Isolation;

list_cases!(
    own_writes_are_seen,
    one_version_for_all_reads,
    nothing_is_read_before_the_first_read,
    empty_value_is_not_a_missing_key,
    snapshot_reads_see_own_writes,
    order_of_mutations_counts,
    binary_keys_keep_their_order,
);

async fn own_writes_are_seen(c: Context) -> Ran {
    c.put(&[("a", "1"), ("b", "2")]).await;
    let tx = c.begin();
    tx.set(&c.key("a"), b"own");
    tx.clear(&c.key("b"));
    tx.set(&c.key("c"), b"new");
    assert_eq!(c.value(&*tx, "a").await, Ok(Some("own".into())));
    assert_eq!(c.value(&*tx, "b").await, Ok(None));
    assert_eq!(c.value(&*tx, "c").await, Ok(Some("new".into())));
    tx.clear_range(&c.all());
    assert_eq!(c.value(&*tx, "c").await, Ok(None));
    assert_eq!(c.committed("a").await.as_deref(), Some("1"), "nobody else sees it");
    tx.commit().await.unwrap();
    assert!(c.rows().await.is_empty());
    Ran::Yes
}

async fn one_version_for_all_reads(c: Context) -> Ran {
    c.put(&[("a", "1"), ("b", "1")]).await;
    let tx = c.begin();
    assert_eq!(c.value(&*tx, "a").await, Ok(Some("1".into())));
    c.put(&[("a", "2"), ("b", "2")]).await;
    assert_eq!(c.value(&*tx, "b").await, Ok(Some("1".into())), "the version is fixed");
    assert_eq!(c.value(&*c.begin(), "b").await, Ok(Some("2".into())));
    Ran::Yes
}

async fn nothing_is_read_before_the_first_read(c: Context) -> Ran {
    let tx = c.begin();
    tx.set(&c.key("other"), b"");
    c.put(&[("a", "1")]).await;
    assert_eq!(c.value(&*tx, "a").await, Ok(Some("1".into())));
    let version = tx.read_version().await.unwrap();
    assert_eq!(tx.read_version().await, Ok(version));
    Ran::Yes
}

async fn empty_value_is_not_a_missing_key(c: Context) -> Ran {
    c.put(&[("empty", "")]).await;
    assert_eq!(c.committed("empty").await.as_deref(), Some(""));
    assert_eq!(c.committed("missing").await, None);
    Ran::Yes
}

async fn snapshot_reads_see_own_writes(c: Context) -> Ran {
    let tx = c.begin();
    tx.set(&c.key("a"), b"own");
    let value = tx.get(&c.key("a"), Isolation::Snapshot).await.unwrap();
    assert_eq!(value.as_deref(), Some(&b"own"[..]));
    Ran::Yes
}

async fn order_of_mutations_counts(c: Context) -> Ran {
    c.put(&[("a", "1"), ("b", "1"), ("d", "1")]).await;
    let tx = c.begin();
    tx.set(&c.key("a"), b"2");
    tx.clear(&c.key("a"));
    tx.clear_range(&c.range("b", "e"));
    tx.set(&c.key("d"), b"3");
    tx.clear(&c.key("c"));
    tx.set(&c.key("c"), b"4");
    tx.commit().await.unwrap();
    assert_eq!(c.rows().await, ["c=4", "d=3"]);
    Ran::Yes
}

async fn binary_keys_keep_their_order(c: Context) -> Ran {
    let names: [&[u8]; 5] = [b"", b"\x00", b"\x00\x00", b"a\xff", b"\xff"];
    let tx = c.begin();
    for (number, name) in names.iter().enumerate().rev() {
        let key = [&c.prefix[..], name].concat();
        tx.set(&key, &[number as u8]);
    }
    tx.commit().await.unwrap();
    let tx = c.begin();
    let rows = super::read_all(&*tx, crate::RangeRead::all(&c.all())).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.value[0]).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    Ran::Yes
}
