//! What the common operations cost: these numbers are promises.

use crate::Bench;
use contract_blob::Blobs;
use contract_blob::suite::content;

#[tokio::test]
async fn a_small_message_is_one_commit_and_one_read() {
    let bench = Bench::new(1).await;
    let bytes = content(1, 5_000);
    let before = bench.store.stats();
    let staged = bench.world.stage(&bytes).await;
    assert_eq!(bench.store.stats(), before, "staging 5 kB touches no store");
    bench.world.hold(&staged, "queue").await.unwrap();
    let held = bench.store.stats();
    assert_eq!(held.commits - before.commits, 1);
    assert_eq!(held.begun - before.begun, 1);
    assert_eq!(held.point_reads - before.point_reads, 1, "the manifest");
    let written = held.bytes_committed - before.bytes_committed;
    assert!(written < 4_500, "half of it can be compressed, but it took {written} bytes");

    bench.world.read(staged.id, 0..5_000).await.unwrap();
    let read = bench.store.stats();
    assert_eq!(read.begun - held.begun, 1);
    assert_eq!(read.point_reads - held.point_reads, 2, "manifest and chunk");
    assert_eq!(read.range_reads, held.range_reads);

    bench.world.read(staged.id, 100..200).await.unwrap();
    bench.world.read(staged.id, 0..5_000).await.unwrap();
    let again = bench.store.stats();
    assert_eq!(again, read, "manifest and chunk are remembered");

    // The same bytes once more, and a known reference: one small commit each.
    let twin = bench.world.stage(&bytes).await;
    bench.world.hold(&twin, "item").await.unwrap();
    bench.world.hold_stored(staged.id, "copy").await.unwrap();
    let held_again = bench.store.stats();
    assert_eq!(held_again.commits - again.commits, 2);
    assert_eq!(bench.rows(b"BD").await.len(), 1);
    let written = held_again.bytes_committed - again.bytes_committed;
    assert!(written < 1_000, "two references took {written} bytes");
}

/// What is read again and again must not be driven out by one large message, nor grow for ever.
#[tokio::test]
async fn what_is_remembered_is_bounded() {
    const LARGE: u64 = 40_000_000;
    let bench = Bench::new(1).await;
    let small = bench.world.stage(&content(1, 5_000)).await;
    bench.world.hold(&small, "item").await.unwrap();
    bench.world.read(small.id, 0..5_000).await.unwrap();
    let mut upload = bench.blobs.upload();
    for n in 0..LARGE / 50_000 {
        upload.write(vec![n as u8; 50_000].into()).await.unwrap();
    }
    let large = upload.finish().await.unwrap();
    bench.world.hold(&large, "item").await.unwrap();
    bench.world.read(large.id, 0..LARGE).await.unwrap();
    let before = bench.store.stats();
    bench.world.read(small.id, 0..5_000).await.unwrap();
    assert_eq!(bench.store.stats(), before);
    // Others of its size do drive it out.
    for seed in 0..200 {
        let other = bench.world.stage(&content(seed + 2, 200_000)).await;
        bench.world.hold(&other, "item").await.unwrap();
        bench.world.read(other.id, 0..200_000).await.unwrap();
    }
    let before = bench.store.stats().begun;
    bench.world.read(small.id, 0..5_000).await.unwrap();
    assert_eq!(bench.store.stats().begun - before, 1);
}

#[tokio::test]
async fn collecting_many_small_blobs_takes_few_commits() {
    let bench = Bench::new(1).await;
    for seed in 0..64 {
        let staged = bench.world.stage(&content(seed, 1_000)).await;
        bench.world.hold(&staged, "item").await.unwrap();
        bench.world.release(staged.id, "item").await;
    }
    bench.world.pass_grace();
    let before = bench.store.stats();
    let done = bench.blobs.collect(64).await.unwrap();
    assert_eq!((done.examined, done.removed), (64, 64));
    let commits = bench.store.stats().commits - before.commits;
    assert!(commits <= 4, "{commits} commits");
    bench.world.collect_all().await;
    bench.assert_empty().await;
}

#[tokio::test]
async fn a_range_touches_only_its_chunks() {
    let bench = Bench::new(1).await;
    let staged = bench.world.stage(&content(1, 3_000_000)).await;
    bench.world.hold(&staged, "item").await.unwrap();
    bench.world.read(staged.id, 0..1).await.unwrap();
    let before = bench.store.stats();
    bench.world.read(staged.id, 0..50_000).await.unwrap();
    assert_eq!(bench.store.stats(), before, "the first chunk, with the header, is remembered");
    bench.world.read(staged.id, 1_500_000..1_500_100).await.unwrap();
    let after = bench.store.stats();
    assert_eq!((after.point_reads - before.point_reads, after.rows_read), (1, before.rows_read));
    bench.world.read(staged.id, 1_490_000..1_650_000).await.unwrap();
    let chunks = bench.store.stats().rows_read - after.rows_read;
    let points = bench.store.stats().point_reads - after.point_reads;
    assert!(chunks + points <= 4, "{chunks} + {points} chunks for 160 kB");
}
