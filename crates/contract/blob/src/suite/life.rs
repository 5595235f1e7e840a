//! Put, read, hold, release, collect: one at a time.

use super::{Dice, World, content};
use crate::{INLINE_BYTES_MAX, Place, Staged};
use base::Kind;

pub async fn bytes_come_back(world: &World) {
    let edges = [59_990usize, 59_994, 59_995, 60_000, 60_001, 120_000];
    let inline = [INLINE_BYTES_MAX - 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1];
    for size in [0, 1, 5_000].into_iter().chain(edges).chain(inline).chain([1_000_000]) {
        let bytes = content(size as u64, size);
        let staged = world.stage(&bytes).await;
        assert_eq!(staged.size_bytes, size as u64);
        let is_inline = matches!(staged.place, Place::Inline(_));
        assert_eq!(is_inline, size <= INLINE_BYTES_MAX, "{size} bytes");
        world.hold(&staged, "holder").await.unwrap();
        assert!(world.read(staged.id, 0..size as u64).await.unwrap() == bytes, "{size} bytes");
    }
}

pub async fn ranges_are_exact(world: &World) {
    let bytes = content(1, 300_000);
    let staged = world.stage(&bytes).await;
    world.hold(&staged, "holder").await.unwrap();
    let size = bytes.len() as u64;
    let mut dice = Dice(2);
    let mut ranges = vec![0..0, 0..1, size - 1..size, size..size, 0..size, 59_993..59_995];
    for _ in 0..60 {
        let start = dice.below(size);
        ranges.push(start..start + dice.below(size - start + 1));
    }
    for range in ranges {
        let expect = &bytes[range.start as usize..range.end as usize];
        let found = world.read(staged.id, range.clone()).await.unwrap();
        assert!(found == expect, "{range:?}");
    }
}

pub async fn a_range_outside_fails(world: &World) {
    let staged = world.stage(b"twelve bytes").await;
    world.hold(&staged, "holder").await.unwrap();
    for (start, end) in [(0, 13), (13, 13), (9, 3), (0, u64::MAX), (u64::MAX, u64::MAX)] {
        let found = world.read(staged.id, start..end).await;
        assert!(found.is_err(), "{start}..{end} gave {found:?}");
    }
}

pub async fn same_bytes_have_one_name(world: &World) {
    for size in [10, 300_000] {
        let bytes = content(3, size);
        let (one, two) = (world.stage(&bytes).await, world.stage(&bytes).await);
        assert_eq!(one.id, two.id);
        let other = world.stage(&content(4, size)).await;
        assert_ne!(one.id, other.id);
    }
}

pub async fn what_nobody_holds_is_not_there(world: &World) {
    for size in [10, 300_000] {
        let staged = world.stage(&content(5, size)).await;
        world.assert_gone(staged.id).await;
        let stored = Staged { place: Place::Stored, ..staged };
        let held = world.hold(&stored, "holder").await;
        assert_eq!(held.map_err(|e| e.kind), Err(Kind::NotFound));
    }
}

pub async fn references_keep_a_blob(world: &World) {
    for size in [0, 5_000, 300_000] {
        let bytes = content(6, size);
        let staged = world.stage(&bytes).await;
        world.hold(&staged, "queue").await.unwrap();
        world.hold_stored(staged.id, "item").await.unwrap();
        let stored = Staged { place: Place::Stored, ..staged.clone() };
        world.hold(&stored, "copy").await.unwrap();
        for holder in ["queue", "copy"] {
            world.release(staged.id, holder).await;
            world.pass_lease();
            assert_eq!(world.collect_all().await.removed, 0);
            assert!(world.read(staged.id, 0..size as u64).await.unwrap() == bytes);
        }
        world.release(staged.id, "item").await;
        // Whoever reads it now may finish.
        assert_eq!(world.collect_all().await.removed, 0);
        assert!(world.read(staged.id, 0..size as u64).await.unwrap() == bytes);
        world.pass_grace();
        assert_eq!(world.collect_all().await.removed, 1);
        world.assert_gone(staged.id).await;
        // And it may come again.
        world.hold(&world.stage(&bytes).await, "again").await.unwrap();
        assert!(world.read(staged.id, 0..size as u64).await.unwrap() == bytes);
    }
}

pub async fn holding_twice_is_holding_once(world: &World) {
    for size in [5_000, 300_000] {
        let staged = world.stage(&content(7, size)).await;
        world.hold(&staged, "same").await.unwrap();
        world.hold(&staged, "same").await.unwrap();
        world.hold_stored(staged.id, "same").await.unwrap();
        world.release(staged.id, "same").await;
        world.pass_grace();
        assert_eq!(world.collect_all().await.removed, 1);
        world.assert_gone(staged.id).await;
    }
}

pub async fn releasing_what_is_not_held_does_nothing(world: &World) {
    let bytes = content(8, 5_000);
    let staged = world.stage(&bytes).await;
    world.release(staged.id, "nobody").await;
    world.hold(&staged, "holder").await.unwrap();
    world.release(staged.id, "nobody").await;
    // A holder's name may be the beginning of another's.
    world.release(staged.id, "hold").await;
    world.release(staged.id, "").await;
    world.pass_grace();
    assert_eq!(world.collect_all().await.removed, 0);
    assert!(world.read(staged.id, 0..5_000).await.unwrap() == bytes);
}

pub async fn held_again_before_collection_it_stays(world: &World) {
    for size in [5_000, 300_000] {
        let bytes = content(9, size);
        let staged = world.stage(&bytes).await;
        world.hold(&staged, "first").await.unwrap();
        world.release(staged.id, "first").await;
        world.pass_grace();
        world.hold_stored(staged.id, "second").await.unwrap();
        assert_eq!(world.collect_all().await.removed, 0);
        assert!(world.read(staged.id, 0..size as u64).await.unwrap() == bytes);
    }
}

pub async fn an_upload_nobody_refers_to_runs_out(world: &World) {
    let large = world.stage(&content(10, 300_000)).await;
    let small_bytes = content(10, 5_000);
    let small = world.stage(&small_bytes).await;
    let mut dropped = world.blobs.upload();
    dropped.write(content(11, 1_000_000).into()).await.unwrap();
    drop(dropped);
    assert_eq!(world.collect_all().await.removed, 0, "a lease that runs is respected");
    world.pass_lease();
    assert_eq!(world.collect_all().await.removed, 2);
    let held = world.hold(&large, "holder").await;
    assert_eq!(held.map_err(|e| e.kind), Err(Kind::NotFound));
    world.hold(&small, "holder").await.unwrap();
    assert!(world.read(small.id, 0..5_000).await.unwrap() == small_bytes);
}

pub async fn an_abandoned_transaction_leaves_nothing(world: &World) {
    for size in [5_000, 300_000] {
        let staged = world.stage(&content(12, size)).await;
        let tx = world.store.begin();
        let deed = world.deed(super::Act::Hold(staged.clone()), "holder");
        deed.on(&*tx).await.unwrap();
        drop(tx);
        world.assert_gone(staged.id).await;
        world.hold(&staged, "holder").await.unwrap();
    }
}

pub async fn one_transaction_may_hold_twice(world: &World) {
    for size in [5_000, 300_000] {
        let bytes = content(13, size);
        let staged = world.stage(&bytes).await;
        let tx = world.store.begin();
        for holder in ["one", "two"] {
            world.deed(super::Act::Hold(staged.clone()), holder).on(&*tx).await.unwrap();
        }
        world.deed(super::Act::HoldStored(staged.id), "three").on(&*tx).await.unwrap();
        world.deed(super::Act::Release(staged.id), "one").on(&*tx).await.unwrap();
        tx.commit().await.unwrap();
        world.release(staged.id, "two").await;
        world.pass_grace();
        assert_eq!(world.collect_all().await.removed, 0);
        assert!(world.read(staged.id, 0..size as u64).await.unwrap() == bytes);
        world.release(staged.id, "three").await;
        world.pass_grace();
        assert_eq!(world.collect_all().await.removed, 1);
    }
}

pub async fn long_holders_are_refused(world: &World) {
    let staged = world.stage(b"x").await;
    world.hold(&staged, &"h".repeat(64)).await.unwrap();
    assert!(world.hold(&staged, &"h".repeat(65)).await.is_err());
}
