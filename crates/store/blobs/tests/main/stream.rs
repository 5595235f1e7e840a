//! Large blobs: memory stays bounded, time does not matter.

use crate::Bench;
use bytes::Bytes;
use contract_blob::suite::content;
use contract_blob::{Blobs, UPLOAD_BYTES_MAX};
use contract_store::limits::{CHUNK_BYTES, TRANSACTION_BYTES_GOOD};
use futures::{StreamExt, TryStreamExt};
use std::time::Duration;
use store_memory::Faults;

const PIECE_BYTES: usize = 64 * 1024;
const PIECES: usize = 1600;

/// Each piece is different, so that a chunk in the wrong place would show.
fn piece(number: usize) -> Bytes {
    let mut piece = vec![number as u8; PIECE_BYTES];
    piece[..8].copy_from_slice(&number.to_be_bytes());
    piece.into()
}

#[tokio::test]
async fn a_hundred_megabytes_pass_through_a_few_chunks() {
    let bench = Bench::new(1).await;
    let mut upload = bench.blobs.upload();
    for number in 0..PIECES {
        upload.write(piece(number)).await.unwrap();
        if number % 100 == 99 {
            // What is not in the store is in memory.
            let stored = bench.rows(b"BD").await.len() * CHUNK_BYTES;
            let taken = upload.size_bytes() as usize;
            assert!(stored + UPLOAD_BYTES_MAX + CHUNK_BYTES >= taken, "{stored} of {taken}");
        }
    }
    let size = upload.size_bytes();
    assert!(size > 100_000_000);
    let staged = upload.finish().await.unwrap();
    let stats = bench.store.stats();
    let largest = stats.bytes_committed / stats.applied;
    assert!(largest < TRANSACTION_BYTES_GOOD as u64);
    assert!(
        stats.applied as usize <= size as usize / 700_000 + 2,
        "{} transactions",
        stats.applied
    );
    let before = stats.bytes_committed;
    bench.world.hold(&staged, "item").await.unwrap();
    assert!(bench.store.stats().bytes_committed - before < 1_000, "the reference is small");

    let start = bench.store.stats();
    let mut bytes = bench.blobs.read(staged.id, 0..size);
    let mut got = 0;
    let mut expect = piece(0);
    while let Some(part) = bytes.try_next().await.unwrap() {
        let mut part = &part[..];
        while !part.is_empty() {
            let at = got % PIECE_BYTES;
            if at == 0 {
                expect = piece(got / PIECE_BYTES);
            }
            let len = part.len().min(PIECE_BYTES - at);
            assert!(part[..len] == expect[at..at + len], "at {got}");
            part = &part[len..];
            got += len;
        }
        let read = bench.store.stats();
        let rows = read.rows_read - start.rows_read + read.point_reads - start.point_reads;
        let needed = got.div_ceil(CHUNK_BYTES) + 3;
        assert!(rows as usize <= needed, "{rows} chunks read when {needed} are needed");
    }
    assert_eq!(got as u64, size);
}

#[tokio::test]
async fn a_reader_may_take_longer_than_a_transaction() {
    let bench = Bench::new(1).await;
    let bytes = content(1, 1_000_000);
    let staged = bench.world.stage(&bytes).await;
    bench.world.hold(&staged, "item").await.unwrap();
    let mut parts = bench.blobs.read(staged.id, 0..1_000_000);
    let mut got = Vec::new();
    while let Some(part) = parts.next().await {
        got.extend_from_slice(&part.unwrap());
        bench.store_clock.advance(Duration::from_secs(20));
    }
    assert!(got == bytes);
}

#[tokio::test]
async fn readers_and_uploads_outlive_trouble() {
    let bench = Bench::new(7).await;
    bench.store.inject(Faults {
        conflict: 0.1,
        commit_unknown_applied: 0.1,
        commit_unknown_not_applied: 0.1,
        too_old: 0.1,
        busy: 0.1,
        short_pages: 0.3,
        ..Faults::default()
    });
    let bytes = content(1, 2_000_000);
    let staged = bench.world.stage(&bytes).await;
    bench.world.hold(&staged, "item").await.unwrap();
    for _ in 0..10 {
        assert!(bench.world.read(staged.id, 0..2_000_000).await.unwrap() == bytes);
    }
    assert_eq!(bench.blobs.verify(staged.id).await.unwrap(), 2_000_000);
    assert!(bench.store.stats().faults > 10);
}

#[tokio::test]
async fn an_upload_whose_lease_ran_out_fails_and_leaves_nothing() {
    let bench = Bench::new(1).await;
    let mut upload = bench.blobs.upload();
    upload.write(content(1, 1_000_000).into()).await.unwrap();
    bench.world.pass_lease();
    bench.world.collect_all().await;
    bench.assert_empty().await;
    let wrote = upload.write(content(2, 1_000_000).into()).await;
    assert_eq!(wrote.map_err(|e| e.kind), Err(base::Kind::Unavailable));
    assert!(upload.write(Bytes::from_static(b"more")).await.is_err());
    assert!(upload.finish().await.is_err());
    bench.assert_empty().await;
}

/// What scanners are shown: nobody refers to it yet, and perhaps nobody ever will.
#[tokio::test]
async fn what_nobody_refers_to_yet_can_be_read_by_who_staged_it() {
    let bench = Bench::new(1).await;
    for size in [0, 1, 5_000, 300_000, 1_000_000_usize] {
        let bytes = content(3, size);
        let staged = bench.world.stage(&bytes).await;
        let rows = bench.rows(b"BM").await.len();
        for range in [0..size, size / 2..size, 0..size / 3, size..size] {
            let asked = range.start as u64..range.end as u64;
            let read = bench.blobs.read_staged(&staged, asked);
            let read: Vec<Bytes> = read.try_collect().await.unwrap();
            assert!(read.concat() == bytes[range.clone()], "{range:?} of {size}");
        }
        let outside = bench.blobs.read_staged(&staged, 0..size as u64 + 1);
        assert!(outside.try_collect::<Vec<_>>().await.is_err(), "{size}");
        assert_eq!(bench.rows(b"BM").await.len(), rows, "reading refers to nothing");
        let name = size.to_string();
        bench.world.hold(&staged, &name).await.unwrap();
        assert!(bench.world.read(staged.id, 0..size as u64).await.unwrap() == bytes, "{size}");
    }
}
