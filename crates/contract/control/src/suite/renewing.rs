//! Renewing: the owner shuts out its own commits that may still land, and stays the owner.

use super::{Ends, World, begin_write, confirm, fence, kind, note, renew, write, written};
use crate::Fence;
use base::Kind;
use std::sync::Arc;

pub(super) async fn a_renewal_raises_the_renewal_and_shuts_the_old_fence_out(
    world: Arc<dyn World>,
) {
    let node = world.first().await;
    let [slot, other, ..] = world.slots()[..] else { panic!("too few slots") };
    let (old, beside) = (fence(&node, slot).await.unwrap(), fence(&node, other).await.unwrap());
    let new = renew(&node, &old).await.unwrap();
    assert!(new.renewal > old.renewal);
    assert_eq!(Fence { renewal: old.renewal, ..new }, old, "nothing else has changed");

    assert_eq!(kind(write(&world, &old, "old").await), Kind::Fenced);
    let current = fence(&node, slot).await.unwrap();
    assert!(current.renewal >= new.renewal);
    write(&world, &current, "new").await.unwrap();
    // What another actor of this node knows is still the old one: both end up with the same.
    assert_eq!(renew(&node, &old).await.unwrap(), current);
    write(&world, &current, "newer").await.unwrap();

    // The owner is the same, so what was read under the old fence is still good.
    confirm(&node, &old).await.unwrap();
    confirm(&node, &current).await.unwrap();
    write(&world, &beside, "untouched").await.unwrap();
    assert!(node.renew(other, &old).await.is_err(), "the fence of another slot");
    write(&world, &beside, "untouched").await.unwrap();
}

pub(super) async fn a_write_that_had_begun_before_the_renewal_cannot_land(world: Arc<dyn World>) {
    let node = world.first().await;
    let old = fence(&node, world.slots()[0]).await.unwrap();
    let begun = begin_write(&world, &old, "old").await;
    renew(&node, &old).await.unwrap();
    assert!(begun.commit().await.is_err());
    assert_eq!(written(&world, old.slot).await, None);
}

pub(super) async fn a_commit_on_its_way_never_lands_after_the_renewal(world: Arc<dyn World>) {
    let node = world.first().await;
    for slot in world.slots() {
        let old = fence(&node, slot).await.unwrap();
        let begun = begin_write(&world, &old, "old").await;
        if !world.next_commit(Ends::Late) {
            return note("no late commits here");
        }
        assert!(begun.commit().await.is_err(), "nobody hears of it");
        // It may land until the renewal is there, and not behind what is written after that.
        let new = renew(&node, &old).await.unwrap();
        write(&world, &new, "new").await.unwrap();
        world.land();
        assert_eq!(written(&world, slot).await.as_deref(), Some("new"), "{slot}");
    }
}

pub(super) async fn a_renewal_of_which_nobody_heard_locks_nobody_out(world: Arc<dyn World>) {
    let node = world.first().await;
    let slots = world.slots();
    let ends = [Ends::UnknownMade, Ends::UnknownNotMade, Ends::Late, Ends::Late];
    for (number, (ends, slot)) in ends.into_iter().zip(slots).enumerate() {
        let old = fence(&node, slot).await.unwrap();
        if !world.next_commit(ends) {
            return note("commits do not fail here");
        }
        // Once only: whoever asked may have gone for good.
        match node.renew(slot, &old).await {
            Ok(new) => assert!(new.renewal > old.renewal, "{ends:?}"),
            Err(error) => assert_eq!(error.kind, Kind::Unavailable, "{ends:?}: {error:?}"),
        }
        let lands_first = number % 2 == 0;
        if lands_first {
            world.land();
        }
        let now = fence(&node, slot).await.unwrap();
        world.land();
        write(&world, &now, "now").await.unwrap();
        assert!(now.renewal > old.renewal, "{ends:?}");
        assert_eq!(kind(write(&world, &old, "old").await), Kind::Fenced, "{ends:?}");
        confirm(&node, &now).await.unwrap();
    }
}

pub(super) async fn a_renewal_that_was_given_up_locks_nobody_out(world: Arc<dyn World>) {
    let node = world.first().await;
    let slot = world.slots()[0];
    let begin = fence(&node, slot).await.unwrap();
    for polls in 1..12 {
        let old = fence(&node, slot).await.unwrap();
        {
            let mut renewal = std::pin::pin!(node.renew(slot, &old));
            for _ in 0..polls {
                if futures::poll!(renewal.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        tokio::task::yield_now().await;
        let now = fence(&node, slot).await.unwrap();
        write(&world, &now, "now").await.unwrap();
    }
    assert!(fence(&node, slot).await.unwrap().renewal > begin.renewal, "nothing was renewed");
}
