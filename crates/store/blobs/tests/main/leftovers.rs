//! What nobody holds is counted when its time is over, and nothing else is.

use crate::Bench;
use contract_blob::suite::content;
use contract_blob::{Blobs, LEASE_MS};
use contract_store::{KeyRange, Store};
use std::time::Duration;
use store_blobs::Leftovers;

const HOUR: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_millis(LEASE_MS as u64);

#[tokio::test]
async fn only_what_is_overdue_is_counted() {
    let bench = Bench::new(1).await;
    let world = &bench.world;
    let check = async |blobs, uploads| {
        let expect = Leftovers { blobs, uploads };
        assert_eq!(bench.blobs.leftovers().await.unwrap(), expect);
    };
    check(0, 0).await;
    // Two that are held, small and large; one that is let go of; two uploads without a holder.
    let mut held = Vec::new();
    for (seed, size) in [(1, 5_000), (2, 1_500_000), (3, 5_000)] {
        let staged = world.stage(&content(seed, size)).await;
        world.hold(&staged, "item").await.unwrap();
        held.push(staged.id);
    }
    for seed in [4, 5] {
        world.stage(&content(seed, 1_500_000)).await;
    }
    check(0, 0).await;
    world.release(held[2], "item").await;
    check(0, 0).await;
    // Time to be collected, and not overdue yet: a reference's end is looked at sooner than a lease's.
    (world.advance)(HOUR);
    check(0, 0).await;
    (world.advance)(LEASE);
    check(1, 0).await;
    (world.advance)(LEASE);
    check(1, 2).await;
    while bench.blobs.collect(100).await.unwrap().more {}
    check(0, 0).await;

    // What has fallen off every list: a blob, and an upload.
    let tx = bench.store.begin();
    tx.clear_range(&KeyRange::prefix(&[b"BR", &held[0].0[..]].concat()));
    tx.clear(&[b"BM", &held[1].0[..]].concat());
    tx.commit().await.unwrap();
    check(1, 1).await;
}
