//! Damage is found and named; old knowledge is found out.

use crate::Bench;
use base::Kind;
use base::env::Env;
use contract_blob::suite::{World, content};
use contract_blob::{BlobId, Blobs, Holder};
use contract_store::Store;
use proptest::prelude::*;
use std::sync::Arc;
use store_blobs::StoreBlobs;

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
async fn a_blob_counts_as_held_only_by_whoever_holds_it() {
    let bench = Bench::new(1).await;
    let id = held(&bench.world, 1, 100).await;
    let holder = |name: &'static str| Holder(name.into());
    assert!(bench.blobs.is_held(id, &holder("item")).await.unwrap());
    assert!(!bench.blobs.is_held(id, &holder("ite")).await.unwrap());
    assert!(!bench.blobs.is_held(BlobId([7; 32]), &holder("item")).await.unwrap());
    put(&bench, &[b"BM", &id.0[..]].concat(), None).await;
    assert!(!bench.blobs.is_held(id, &holder("item")).await.unwrap());
}

#[tokio::test]
async fn who_only_looks_draws_no_key() {
    let bench = Bench::new(1).await;
    let store: Arc<dyn Store> = Arc::new(bench.store.clone());
    let open = async || StoreBlobs::open_existing(store.clone(), &Env::simulated(2)).await;
    let id = held(&bench.world, 1, 100).await;
    assert_eq!(open().await.unwrap().unwrap().verify(id).await.unwrap(), 100);
    put(&bench, b"BK", None).await;
    assert!(open().await.unwrap().is_none());
    assert!(bench.rows(b"BK").await.is_empty());
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

/// The store itself says that rows are damaged: a scrub names the blobs and goes on, a collection
/// leaves what it cannot judge and removes everything else.
#[tokio::test]
async fn rows_that_the_store_cannot_read_hold_up_nobody() {
    let bench = Bench::new(1).await;
    let of_chunk = held(&bench.world, 0, 5_000).await;
    bench.store.damage(&bench.rows(b"BD").await[0].key);
    let mut others = Vec::new();
    for seed in 1..9 {
        others.push(held(&bench.world, seed, 5_000).await);
    }
    let (of_manifest, of_reference, of_candidate) = (&others[0..2], others[2], others[3]);
    for id in of_manifest {
        bench.store.damage(&[&b"BM"[..], &id.0].concat());
    }

    let (mut named, mut after, mut examined) = (Vec::new(), None, 0);
    loop {
        let round = bench.blobs.scrub(after, 2).await.unwrap();
        named.extend(round.damaged.iter().map(|(id, _)| *id));
        examined += round.examined;
        after = round.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((examined, named.len()), (9, 3), "{named:?}");
    assert!(named.contains(&of_chunk) && of_manifest.iter().all(|id| named.contains(id)));

    bench.world.hold_stored(of_reference, "again").await.unwrap();
    for id in others.iter().chain([&of_chunk]) {
        bench.world.release(*id, "item").await;
    }
    // A reference that cannot be read is a reference all the same.
    bench.store.damage(&[&b"BR"[..], &of_reference.0, b"again"].concat());
    let candidates = bench.rows(b"BC").await;
    let candidate = candidates.iter().find(|row| row.key.ends_with(&of_candidate.0)).unwrap();
    bench.store.damage(&candidate.key);
    bench.world.pass_grace();
    let collected = bench.world.collect_all().await;
    assert_eq!(collected.removed, 9 - 4, "{collected:?}");
    assert!(collected.damaged >= 4, "{collected:?}");
    for id in of_manifest {
        assert_eq!(bench.world.read(*id, 0..10).await.map_err(|e| e.kind), Err(Kind::Corrupt));
    }
    for id in [of_reference, of_candidate] {
        bench.world.read(id, 0..5_000).await.unwrap();
    }
    for id in others[4..].iter().chain([&of_chunk]) {
        bench.world.assert_gone(*id).await;
    }
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
        // Of the small one the bytes are in memory still; they are the right ones.
        match bench.world.read(id, 0..size as u64).await {
            Ok(found) => assert!(found == bytes && size == 5_000),
            Err(error) => assert!(error.kind == Kind::NotFound && size == 300_000, "{error}"),
        }
        assert_eq!(bench.blobs.verify(id).await.map_err(|e| e.kind), Err(Kind::NotFound));

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
        size in 0usize..1_000_000,
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
