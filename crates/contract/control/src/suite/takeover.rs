//! Taking over: the loser can write nothing from then on, whether it has heard of it or not.

use super::{Ends, World, begin_write, confirm, fence, kind, note, renew, stored, write, written};
use crate::{Fence, Ownership};
use base::Kind;
use std::sync::Arc;

pub(super) async fn only_the_last_owner_writes(world: Arc<dyn World>) {
    let mut nodes = vec![world.first().await];
    let slots = world.slots();
    let mut held = Vec::new();
    for _ in 0..3 {
        for slot in &slots {
            held.push(fence(&nodes[nodes.len() - 1], *slot).await.unwrap());
        }
        nodes.push(world.take_over().await);
    }
    let last = &nodes[nodes.len() - 1];
    for slot in slots {
        let current = fence(last, slot).await.unwrap();
        let earlier = held.iter().filter(|fence| fence.slot == slot);
        let epochs: Vec<_> = earlier.clone().map(|fence| fence.epoch).collect();
        assert!(epochs.is_sorted_by(|one, next| one < next), "{slot}: {epochs:?}");
        assert!(epochs.iter().all(|epoch| *epoch < current.epoch), "{slot}");
        for old in earlier {
            assert_ne!((old.node, old.boot), (current.node, current.boot));
            assert_eq!(kind(write(&world, old, "a loser's").await), Kind::Fenced, "{slot}");
        }
        assert_eq!(written(&world, slot).await, None);
        write(&world, &current, "the owner's").await.unwrap();
        confirm(last, &current).await.unwrap();
        let owner = Ownership { node: last.node(), epoch: current.epoch };
        assert_eq!(last.owner(slot), Some(owner));
    }
}

pub(super) async fn a_write_that_had_begun_before_the_takeover_cannot_land(world: Arc<dyn World>) {
    let node = world.first().await;
    let old = fence(&node, world.slots()[0]).await.unwrap();
    let begun = begin_write(&world, &old, "a loser's").await;
    world.take_over().await;
    assert!(begun.commit().await.is_err());
    assert_eq!(written(&world, old.slot).await, None);
}

pub(super) async fn a_loser_cannot_renew(world: Arc<dyn World>) {
    let loser = world.first().await;
    let slot = world.slots()[0];
    let old = fence(&loser, slot).await.unwrap();
    let winner = world.take_over().await;
    for _ in 0..2 {
        assert_eq!(kind(renew(&loser, &old).await), Kind::Fenced);
    }
    // It has found out by that.
    assert_eq!(kind(fence(&loser, slot).await), Kind::Fenced);
    assert_eq!(kind(confirm(&loser, &old).await), Kind::Fenced);
    write(&world, &fence(&winner, slot).await.unwrap(), "the owner's").await.unwrap();
}

pub(super) async fn a_loser_that_has_found_out_gives_no_fence(world: Arc<dyn World>) {
    let loser = world.first().await;
    let slots = world.slots();
    let mut held = Vec::new();
    for slot in &slots {
        held.push(fence(&loser, *slot).await.unwrap());
    }
    let winner = world.take_over().await;
    assert_eq!(kind(confirm(&loser, &held[0]).await), Kind::Fenced);
    for old in held {
        assert_eq!(kind(fence(&loser, old.slot).await), Kind::Fenced);
        assert_eq!(kind(renew(&loser, &old).await), Kind::Fenced);
        assert_eq!(kind(confirm(&loser, &old).await), Kind::Fenced);
        // What it says of the owner may be old, but not made up.
        let current = fence(&winner, old.slot).await.unwrap();
        let true_once = [(old.node, old.epoch), (current.node, current.epoch)];
        let told = loser.owner(old.slot).map(|owner| (owner.node, owner.epoch));
        assert!(told.is_none_or(|told| true_once.contains(&told)), "{told:?}");
        // Nor can the winner make anything of a fence that was never its own.
        assert_eq!(kind(renew(&winner, &old).await), Kind::Fenced);
        assert_eq!(kind(confirm(&winner, &old).await), Kind::Fenced);
        write(&world, &fence(&winner, old.slot).await.unwrap(), "the owner's").await.unwrap();
    }
}

pub(super) async fn a_late_renewal_of_the_loser_takes_nothing_back(world: Arc<dyn World>) {
    let loser = world.first().await;
    let slot = world.slots()[0];
    let old = fence(&loser, slot).await.unwrap();
    if !world.next_commit(Ends::Late) {
        return note("no late commits here");
    }
    let _unknown = loser.renew(slot, &old).await;
    let winner = world.take_over().await;
    let current = fence(&winner, slot).await.unwrap();
    world.land();
    let row = stored(&world, &Fence::key(slot)).await.expect("a fence row");
    assert_eq!(Fence::decode(&row).unwrap(), current);
    write(&world, &current, "the owner's").await.unwrap();
    confirm(&winner, &current).await.unwrap();
    assert_eq!(kind(confirm(&loser, &old).await), Kind::Fenced);
}
