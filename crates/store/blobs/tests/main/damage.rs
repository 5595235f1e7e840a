//! Damage is found and named; old knowledge is found out.

use crate::Bench;
use base::Kind;
use contract_blob::Blobs;
use contract_blob::suite::{World, content};
use contract_store::Store;
use proptest::prelude::*;

async fn put(bench: &Bench, key: &[u8], value: Option<&[u8]>) {
    let tx = bench.store.begin();
    match value {
        Some(value) => tx.set(key, value),
        None => tx.clear(key),
    }
    tx.commit().await.unwrap();
}

async fn held(world: &World, seed: u64, size: usize) -> contract_blob::BlobId {
    let staged = world.stage(&content(seed, size)).await;
    world.hold(&staged, "item").await.unwrap();
    staged.id
}

#[tokio::test]
async fn a_damaged_chunk_is_named() {
    let bench = Bench::new(1).await;
    let id = held(&bench.world, 1, 150_000).await;
    let healthy = held(&bench.world, 2, 5_000).await;
    let chunks = bench.rows(b"BD").await;
    let of_id: Vec<_> = chunks.iter().filter(|row| row.value.len() > 10_000).collect();
    assert_eq!(of_id.len(), 3);
    let mut broken = of_id[1].value.to_vec();
    broken[20_000] ^= 4;
    put(&bench, &of_id[1].key, Some(&broken)).await;

    let error = bench.world.read(id, 0..150_000).await.unwrap_err();
    assert_eq!(error.kind, Kind::Corrupt);
    assert!(error.detail.contains(&id.to_string()), "{error}");
    assert!(error.detail.contains("chunk 1: wrong checksum"), "{error}");
    assert!(!error.text.contains("chunk"), "clients are told no internals: {}", error.text);
    bench.world.read(id, 0..50_000).await.unwrap();

    let mut damaged = Vec::new();
    let (mut after, mut examined) = (None, 0);
    loop {
        let round = bench.blobs.scrub(after, 1).await.unwrap();
        examined += round.examined;
        damaged.extend(round.damaged);
        after = round.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(examined, 2);
    assert_eq!(damaged.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
    assert_eq!(bench.blobs.verify(healthy).await.unwrap(), 5_000);

    put(&bench, &of_id[1].key, None).await;
    let error = bench.world.read(id, 0..150_000).await.unwrap_err();
    assert_eq!(error.kind, Kind::Corrupt);
    assert!(error.detail.contains("missing"), "{error}");
}

#[tokio::test]
async fn sound_chunks_of_other_bytes_are_found_by_scrubbing() {
    let bench = Bench::new(1).await;
    let (one, two) = (held(&bench.world, 1, 5_000).await, held(&bench.world, 2, 5_000).await);
    let manifests = bench.rows(b"BM").await;
    put(&bench, &manifests[0].key, Some(&manifests[1].value)).await;
    let found = bench.blobs.scrub(None, 10).await.unwrap();
    assert_eq!(found.damaged.len(), 1);
    assert!(found.damaged[0].0 == one || found.damaged[0].0 == two);
    assert!(found.damaged[0].1.detail.contains("another hash"), "{:?}", found.damaged);
}

#[tokio::test]
async fn a_damaged_manifest_holds_up_nobody() {
    let bench = Bench::new(1).await;
    let (one, two) = (held(&bench.world, 1, 5_000).await, held(&bench.world, 2, 5_000).await);
    let key = [&b"BM"[..], &one.0].concat();
    put(&bench, &key, Some(b"\x01rubbish")).await;
    assert_eq!(bench.world.read(one, 0..10).await.map_err(|e| e.kind), Err(Kind::Corrupt));
    bench.world.release(one, "item").await;
    bench.world.release(two, "item").await;
    bench.world.pass_grace();
    assert_eq!(bench.world.collect_all().await.removed, 1);
    bench.world.assert_gone(two).await;
    assert_eq!(bench.rows(b"BM").await.len(), 1, "what cannot be read is left for an operator");
}

#[tokio::test]
async fn a_reader_with_an_old_manifest_looks_again() {
    for size in [5_000, 300_000] {
        let bench = Bench::new(1).await;
        let bytes = content(1, size);
        let other = bench.second().await;
        let id = held(&bench.world, 1, size).await;
        bench.world.read(id, 0..size as u64).await.unwrap();

        let apart = World {
            store: bench.world.store.clone(),
            blobs: std::sync::Arc::new(other),
            advance: Box::new(|_| {}),
        };
        apart.release(id, "item").await;
        bench.world.pass_grace();
        assert_eq!(apart.collect_all().await.removed, 1);
        let read = bench.world.read(id, 0..size as u64).await;
        assert_eq!(read.map_err(|e| e.kind), Err(Kind::NotFound));

        // Known again, collected again, and come again under another upload.
        held(&apart, 1, size).await;
        assert!(bench.world.read(id, 0..size as u64).await.unwrap() == bytes);
        apart.release(id, "item").await;
        bench.world.pass_grace();
        apart.collect_all().await;
        held(&apart, 1, size).await;
        assert!(bench.world.read(id, 0..size as u64).await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn every_process_names_alike_and_every_installation_differently() {
    let bench = Bench::new(1).await;
    let id = bench.world.stage(b"some bytes").await.id;
    let mut upload = bench.second().await.upload();
    upload.write("some bytes".into()).await.unwrap();
    assert_eq!(upload.finish().await.unwrap().id, id);
    let elsewhere = Bench::new(2).await;
    assert_ne!(elsewhere.world.stage(b"some bytes").await.id, id);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_range_of_any_blob_is_that_of_a_vector(
        size in 0usize..400_000,
        pieces in proptest::collection::vec(1usize..100_000, 1..6),
        ranges in proptest::collection::vec((0.0f64..1.0, 0.0f64..1.0), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new(1).await;
            let bytes = bytes::Bytes::from(content(size as u64, size));
            let mut upload = bench.blobs.upload();
            let (mut rest, mut lens) = (bytes.clone(), pieces.iter().cycle());
            while !rest.is_empty() {
                let len = rest.len().min(*lens.next().unwrap());
                upload.write(rest.split_to(len)).await.unwrap();
            }
            let staged = upload.finish().await.unwrap();
            bench.world.hold(&staged, "item").await.unwrap();
            for (from, part) in ranges {
                let start = (from * size as f64) as usize;
                let end = start + (part * (size - start) as f64) as usize;
                let found = bench.world.read(staged.id, start as u64..end as u64).await.unwrap();
                assert!(found == bytes[start..end], "{start}..{end} of {size}");
            }
        });
    }
}
