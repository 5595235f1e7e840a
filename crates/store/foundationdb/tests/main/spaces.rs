//! Several stores in one database, each within its prefix.

use crate::world::World;
use contract_store::{
    AtomicOp, Isolation, KeyRange, KeySelector, RangeRead, Store, StoreError, Transaction,
};
use std::sync::Arc;
use store_foundationdb::FoundationDb;

async fn rows(store: &FoundationDb) -> Vec<(Vec<u8>, Vec<u8>)> {
    let tx = store.begin();
    let mut next = Some(RangeRead::all(&KeyRange::new(&b""[..], &b"\xff"[..])));
    let mut rows = Vec::new();
    while let Some(read) = next {
        let page = tx.get_range(&read, Isolation::Serializable).await.unwrap();
        next = read.after(&page);
        rows.extend(page.rows.into_iter().map(|row| (row.key.to_vec(), row.value.to_vec())));
    }
    rows
}

/// Neighbours whose prefixes stand around the one in the middle.
const PREFIXES: [&[u8]; 5] = [b"org/6", b"org/7", b"org/7/", b"org/70", b"org/8"];

#[tokio::test]
async fn neighbours_do_not_see_each_other() {
    World::whole().run(check_neighbours).await;
}

async fn check_neighbours(world: Arc<World>) {
    // "org/7" contains two others; it is written by nobody.
    let stores: Vec<_> = PREFIXES.iter().map(|prefix| world.store_within(prefix)).collect();
    for (number, store) in stores.iter().enumerate().filter(|(number, _)| *number != 1) {
        let tx = store.begin();
        for key in [&b""[..], b"\0", b"a", b"z\xff"] {
            tx.set(key, &[number as u8]);
        }
        tx.commit().await.unwrap();
    }
    for (number, store) in stores.iter().enumerate().filter(|(number, _)| *number != 1) {
        let expected: Vec<_> = [&b""[..], b"\0", b"a", b"z\xff"]
            .iter()
            .map(|key| (key.to_vec(), vec![number as u8]))
            .collect();
        assert_eq!(rows(store).await, expected, "{number}");
    }
    assert_eq!(rows(&stores[1]).await.len(), 8, "a shorter prefix contains the longer ones");
    check_ends(&*stores[2].begin()).await;
    let tx = stores[2].begin();
    tx.clear_range(&KeyRange::new(&b""[..], &b"\xff"[..]));
    tx.commit().await.unwrap();
    let left: Vec<_> =
        futures::future::join_all(stores.iter().map(|store| async { rows(store).await.len() }))
            .await;
    assert_eq!(left, [4, 4, 0, 4, 4]);
}

/// Selectors of all kinds end at the ends of the space.
async fn check_ends(tx: &dyn Transaction) {
    let resolve = async |key: &'static [u8], or_equal, offset| {
        let selector = KeySelector { key: key.into(), or_equal, offset };
        tx.get_key(&selector, Isolation::Serializable).await.unwrap().to_vec()
    };
    for or_equal in [false, true] {
        assert_eq!(resolve(b"\xff", or_equal, 1).await, b"\xff");
        assert_eq!(resolve(b"\xff", or_equal, 0).await, b"z\xff");
        assert_eq!(resolve(b"\xff", or_equal, -1).await, b"a");
        assert_eq!(resolve(b"a", or_equal, 7).await, b"\xff");
        assert_eq!(resolve(b"a", or_equal, -7).await, b"");
        assert_eq!(resolve(b"a", or_equal, i32::MAX).await, b"\xff");
        assert_eq!(resolve(b"a", or_equal, i32::MIN).await, b"");
    }
    assert_eq!(resolve(b"", false, 0).await, b"");
    assert_eq!(resolve(b"", false, 3).await, b"a");
    assert_eq!(resolve(b"z\xff", false, -1).await, b"\0");
    let read = RangeRead {
        begin: KeySelector { key: b"".as_slice().into(), or_equal: false, offset: -5 },
        end: KeySelector { key: b"a".as_slice().into(), or_equal: true, offset: 9 },
        limit: 0,
        target_bytes: 0,
        reverse: true,
    };
    let page = tx.get_range(&read, Isolation::Serializable).await.unwrap();
    assert_eq!(page.rows.len(), 4, "no stranger's row");
}

#[tokio::test]
async fn the_systems_keys_stay_out_of_reach() {
    World::whole().run(check_system_keys).await;
}

async fn check_system_keys(world: Arc<World>) {
    let store = world.store_within(b"p/");
    let outside = Err(StoreError::KeyOutsideLegalRange);
    let tx = store.begin();
    assert_eq!(tx.get(b"\xff/x", Isolation::Snapshot).await, outside.clone().map(|()| None));
    tx.set(b"\xff/x", b"");
    assert_eq!(tx.commit().await.map(drop), outside);
    let tx = store.begin();
    tx.watch(b"\xff").await.expect_err("no such key");
    let key = [&[b'k'; 9_990][..], &[0; 10], &9_990_u32.to_le_bytes()].concat();
    tx.atomic(AtomicOp::SetVersionstampedKey, &key, b"");
    assert_eq!(tx.commit().await.map(drop), Err(StoreError::KeyTooLarge), "the offset counts");
}
