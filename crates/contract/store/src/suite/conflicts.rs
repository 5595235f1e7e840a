//! What makes a commit conflict, and what does not.

use super::{Context, Ran, list_cases, read_all};
use crate::{AtomicOp, Isolation, KeyRange, KeySelector, RangeRead, StoreError, Transaction};

list_cases!(
    reads_conflict_with_later_writes,
    limited_reads_conflict_only_with_what_they_read,
    selectors_conflict_with_what_they_passed,
    snapshot_reads_never_conflict,
    own_writes_are_not_read,
    blind_writes_never_conflict,
    explicit_conflicts,
    write_skew_is_prevented,
    a_read_version_of_before_conflicts,
    read_only_transactions_always_commit,
);

/// A transaction with a read version, over the rows b, d, f and h.
async fn reader(c: &Context) -> Box<dyn Transaction> {
    let tx = c.begin();
    tx.clear_range(&c.all());
    for key in ["b", "d", "f", "h"] {
        tx.set(&c.key(key), b"old");
    }
    tx.commit().await.unwrap();
    let reader = c.begin();
    reader.read_version().await.unwrap();
    reader
}

/// Lets somebody else write `key`, then commits the reader with a write elsewhere; says whether
/// it conflicts.
async fn conflicts_with(c: &Context, reader: Box<dyn Transaction>, key: &str) -> bool {
    c.put(&[(key, "other")]).await;
    reader.set(&c.key("~written"), b"");
    match reader.commit().await {
        Ok(_) => false,
        Err(StoreError::Conflict) => true,
        Err(other) => panic!("{other}"),
    }
}

async fn reads_conflict_with_later_writes(c: Context) -> Ran {
    for (read, written, expected) in [("b", "b", true), ("b", "c", false), ("c", "c", true)] {
        let tx = reader(&c).await;
        c.value(&*tx, read).await.unwrap();
        assert_eq!(
            conflicts_with(&c, tx, written).await,
            expected,
            "read {read}, written {written}"
        );
    }
    Ran::Yes
}

async fn limited_reads_conflict_only_with_what_they_read(c: Context) -> Ran {
    let two = RangeRead::all(&c.range("a", "z")).limit(2);
    // Forward it sees b and d, backward h and f.
    for (written, forward, backward) in [
        ("a", true, false),
        ("b", true, false),
        ("c", true, false),
        ("d", true, false),
        ("e", false, false),
        ("f", false, true),
        ("g", false, true),
        ("i", false, true),
        ("z", false, false),
    ] {
        for (read, expected) in [(two.clone(), forward), (two.clone().reverse(), backward)] {
            let tx = reader(&c).await;
            let page = tx.get_range(&read, Isolation::Serializable).await.unwrap();
            assert_eq!(page.rows.len(), 2);
            assert_eq!(
                conflicts_with(&c, tx, written).await,
                expected,
                "{read:?} written {written}"
            );
        }
    }
    Ran::Yes
}

async fn selectors_conflict_with_what_they_passed(c: Context) -> Ran {
    let forward = KeySelector::first_greater_or_equal(c.key("c"));
    let backward = KeySelector::last_less_than(c.key("e"));
    for (selector, written, expected) in [
        (&forward, "b", false),
        (&forward, "c", true),
        (&forward, "d", true),
        (&forward, "e", false),
        (&backward, "c", false),
        (&backward, "d", true),
        (&backward, "dd", true),
        (&backward, "e", false),
    ] {
        let tx = reader(&c).await;
        let key = tx.get_key(selector, Isolation::Serializable).await.unwrap();
        assert_eq!(key, c.key("d"));
        assert_eq!(
            conflicts_with(&c, tx, written).await,
            expected,
            "{selector:?} written {written}"
        );
    }
    Ran::Yes
}

async fn snapshot_reads_never_conflict(c: Context) -> Ran {
    let tx = reader(&c).await;
    tx.get(&c.key("b"), Isolation::Snapshot).await.unwrap();
    tx.get_range(&RangeRead::all(&c.all()), Isolation::Snapshot).await.unwrap();
    let selector = KeySelector::first_greater_than(c.key(""));
    tx.get_key(&selector, Isolation::Snapshot).await.unwrap();
    assert!(!conflicts_with(&c, tx, "b").await);
    Ran::Yes
}

async fn own_writes_are_not_read(c: Context) -> Ran {
    let tx = reader(&c).await;
    tx.set(&c.key("b"), b"own");
    c.value(&*tx, "b").await.unwrap();
    assert!(!conflicts_with(&c, tx, "b").await, "read after the own write");

    let tx = reader(&c).await;
    c.value(&*tx, "b").await.unwrap();
    tx.set(&c.key("b"), b"own");
    assert!(conflicts_with(&c, tx, "b").await, "read before the own write");

    let tx = reader(&c).await;
    tx.atomic(AtomicOp::Add, &c.key("b"), b"\x01");
    c.value(&*tx, "b").await.unwrap();
    assert!(conflicts_with(&c, tx, "b").await, "an operation needs what is below");

    let tx = reader(&c).await;
    tx.clear_range(&c.range("a", "e"));
    read_all(&*tx, RangeRead::all(&c.range("a", "e"))).await.unwrap();
    assert!(!conflicts_with(&c, tx, "c").await, "a cleared range is known");
    Ran::Yes
}

async fn blind_writes_never_conflict(c: Context) -> Ran {
    let tx = reader(&c).await;
    tx.set(&c.key("b"), b"1");
    tx.atomic(AtomicOp::Max, &c.key("b"), b"1");
    tx.clear_range(&c.range("a", "c"));
    assert!(!conflicts_with(&c, tx, "b").await);
    Ran::Yes
}

async fn explicit_conflicts(c: Context) -> Ran {
    let key = |name| KeyRange::single(&c.key(name));
    for (written, expected) in [("b", true), ("c", false)] {
        let tx = reader(&c).await;
        tx.add_read_conflict(&key("b")).unwrap();
        assert_eq!(conflicts_with(&c, tx, written).await, expected, "{written}");
    }
    let tx = reader(&c).await;
    tx.set(&c.key("b"), b"");
    tx.add_read_conflict(&key("b")).unwrap();
    assert!(!conflicts_with(&c, tx, "b").await, "on an own write it adds nothing");
    let inverted = c.begin().add_read_conflict(&c.range("b", "a"));
    assert_eq!(inverted, Err(StoreError::InvertedRange));

    let tx = reader(&c).await;
    c.value(&*tx, "x").await.unwrap();
    let writer = c.begin();
    writer.add_write_conflict(&key("x")).unwrap();
    assert!(writer.commit().await.unwrap().version > 0, "it takes a version");
    tx.set(&c.key("y"), b"");
    assert_eq!(tx.commit().await, Err(StoreError::Conflict));
    Ran::Yes
}

async fn write_skew_is_prevented(c: Context) -> Ran {
    c.put(&[("a", "1"), ("b", "1")]).await;
    let (one, two) = (c.begin(), c.begin());
    for tx in [&one, &two] {
        c.value(&**tx, "a").await.unwrap();
        c.value(&**tx, "b").await.unwrap();
    }
    one.set(&c.key("a"), b"0");
    two.set(&c.key("b"), b"0");
    one.commit().await.unwrap();
    assert_eq!(two.commit().await, Err(StoreError::Conflict));
    Ran::Yes
}

async fn a_read_version_of_before_conflicts(c: Context) -> Ran {
    c.put(&[("a", "1")]).await;
    let old = c.begin().read_version().await.unwrap();
    c.put(&[("a", "2")]).await;
    let tx = c.begin();
    tx.set_read_version(old);
    assert_eq!(c.value(&*tx, "a").await, Ok(Some("1".into())));
    tx.set(&c.key("b"), b"");
    assert_eq!(tx.commit().await, Err(StoreError::Conflict));
    Ran::Yes
}

async fn read_only_transactions_always_commit(c: Context) -> Ran {
    c.put(&[("a", "1")]).await;
    let tx = c.begin();
    c.value(&*tx, "a").await.unwrap();
    tx.add_read_conflict(&c.all()).unwrap();
    c.put(&[("a", "2")]).await;
    assert_eq!(tx.commit().await.unwrap().version, -1);
    Ran::Yes
}
