//! Where slots are, and whose.

use super::{World, fence, stored, write};
use crate::{Fence, Ownership};
use base::env::sim::Simulation;
use base::{AccountId, QueueId, Slot, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) async fn a_fence_is_in_the_store_before_it_is_given(world: Arc<dyn World>) {
    let node = world.first().await;
    for slot in world.slots() {
        let given = fence(&node, slot).await.unwrap();
        let row = stored(&world, &Fence::key(slot)).await.expect("a fence row");
        assert_eq!(Fence::decode(&row).unwrap(), given);
        assert_eq!((given.slot, given.node, given.boot), (slot, node.node(), node.boot()));
        let owner = Ownership { node: node.node(), epoch: given.epoch };
        assert_eq!(node.owner(slot), Some(owner));
        assert_eq!(fence(&node, slot).await.unwrap(), given, "it stays as it is");
        write(&world, &given, "mine").await.unwrap();
    }
}

pub(super) async fn everybody_finds_the_same_slot(world: Arc<dyn World>) {
    let first = world.first().await;
    let second = world.take_over().await;
    let random = Simulation::new(1).env().random;
    let mut found = BTreeSet::new();
    for number in 0..500 {
        let account = AccountId(number + 1);
        let queue = QueueId::new(Timestamp { unix_ms: 1_700_000_000_000 }, random.u128());
        let slots = (first.slot_of_account(account), first.slot_of_queue(queue));
        assert_eq!(slots.0, Slot::of_account(account, first.cluster_key()));
        assert_eq!(slots.1, Slot::of_queue(queue, first.cluster_key()));
        assert_eq!((second.slot_of_account(account), second.slot_of_queue(queue)), slots);
        found.extend([slots.0, slots.1]);
    }
    assert!(found.len() > 500, "1,000 names share {} slots", found.len());
    assert!(first.feature_level() >= 1 && first.feature_level() == second.feature_level());
}
