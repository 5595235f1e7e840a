//! Two at once, driven step by step: whichever commits second notices the first.

use super::{Act, World, content};
use crate::{Place, Staged};
use base::Kind;
use contract_store::StoreError;

const SIZES: [usize; 2] = [5_000, 300_000];

/// A reference is being added while the collection takes the blob away: the commit fails, and the
/// second try either brings the bytes again or says that they are gone.
pub async fn collection_beats_whoever_comes_too_late(world: &World) {
    for size in SIZES {
        for way in ["stored", "known", "staged"] {
            let bytes = content(size as u64, size);
            let staged = world.stage(&bytes).await;
            world.hold(&staged, "first").await.unwrap();
            world.release(staged.id, "first").await;
            world.pass_grace();
            let act = || match way {
                "stored" => Act::HoldStored(staged.id),
                "known" => Act::Hold(Staged { place: Place::Stored, ..staged.clone() }),
                _ => Act::Hold(staged.clone()),
            };
            let tx = world.store.begin();
            world.deed(act(), "late").on(&*tx).await.unwrap();
            assert_eq!(world.collect_all().await.removed, 1);
            assert_eq!(tx.commit().await.map(|_| ()), Err(StoreError::Conflict), "{size} {way}");

            let again = world.act(act(), "late").await;
            if way == "staged" && size == SIZES[0] {
                again.unwrap();
                assert!(world.read(staged.id, 0..size as u64).await.unwrap() == bytes);
                world.release(staged.id, "late").await;
                world.pass_grace();
                assert_eq!(world.collect_all().await.removed, 1);
            } else {
                assert_eq!(again.map_err(|e| e.kind), Err(Kind::NotFound), "{size} {way}");
            }
            world.assert_gone(staged.id).await;
        }
    }
}

/// The same bytes arrive twice and both get their first reference: one manifest wins.
pub async fn two_first_references_at_once(world: &World) {
    for size in SIZES {
        let bytes = content(14, size);
        let (one, two) = (world.stage(&bytes).await, world.stage(&bytes).await);
        let (tx1, tx2) = (world.store.begin(), world.store.begin());
        world.deed(Act::Hold(one.clone()), "one").on(&*tx1).await.unwrap();
        world.deed(Act::Hold(two.clone()), "two").on(&*tx2).await.unwrap();
        tx1.commit().await.unwrap();
        assert_eq!(tx2.commit().await.map(|_| ()), Err(StoreError::Conflict));
        world.hold(&two, "two").await.unwrap();
        world.release(one.id, "one").await;
        world.pass_lease();
        world.collect_all().await;
        assert!(world.read(one.id, 0..size as u64).await.unwrap() == bytes);
        world.release(one.id, "two").await;
        world.pass_grace();
        assert_eq!(world.collect_all().await.removed, 1);
        world.assert_gone(one.id).await;
    }
}

/// A lease runs out while its upload gets its first reference, in both orders.
pub async fn a_lease_runs_out_while_it_is_used(world: &World) {
    let staged = world.stage(&content(15, 300_000)).await;
    world.pass_lease();
    let tx = world.store.begin();
    world.deed(Act::Hold(staged.clone()), "late").on(&*tx).await.unwrap();
    assert_eq!(world.collect_all().await.removed, 1);
    assert_eq!(tx.commit().await.map(|_| ()), Err(StoreError::Conflict));
    world.assert_gone(staged.id).await;

    let bytes = content(16, 300_000);
    let staged = world.stage(&bytes).await;
    world.pass_lease();
    world.hold(&staged, "in time").await.unwrap();
    assert_eq!(world.collect_all().await.removed, 0);
    assert!(world.read(staged.id, 0..300_000).await.unwrap() == bytes);
}

/// The last reference goes while the collection looks at the blob: it is looked at again.
pub async fn a_release_during_collection_is_not_lost(world: &World) {
    for size in SIZES {
        let staged = world.stage(&content(17, size)).await;
        world.hold(&staged, "one").await.unwrap();
        world.hold_stored(staged.id, "two").await.unwrap();
        world.release(staged.id, "one").await;
        world.pass_grace();
        let tx = world.store.begin();
        // Fixes what the transaction sees, as a mailbox's own reads would.
        tx.read_version().await.unwrap();
        world.deed(Act::Release(staged.id), "two").on(&*tx).await.unwrap();
        assert_eq!(world.collect_all().await.removed, 0);
        tx.commit().await.unwrap();
        world.pass_grace();
        assert_eq!(world.collect_all().await.removed, 1);
        world.assert_gone(staged.id).await;
    }
}

/// A second upload of bytes that are there is given up with its first reference: there is no
/// lease to run out, and the bytes outlive both names for them.
pub async fn another_upload_of_the_same_bytes_is_given_up(world: &World) {
    let bytes = content(18, 300_000);
    let one = world.stage(&bytes).await;
    world.hold(&one, "one").await.unwrap();
    let two = world.stage(&bytes).await;
    world.hold(&two, "two").await.unwrap();
    world.release(one.id, "one").await;
    world.pass_lease();
    assert_eq!(world.collect_all().await.removed, 0);
    assert!(world.read(one.id, 0..300_000).await.unwrap() == bytes);
}
