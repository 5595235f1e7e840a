//! Starting, fencing, renewing, confirming.

use crate::{slot, start, write};
use base::env::Env;
use base::{BootId, Epoch, Kind, NodeId, Slot};
use cluster::{Installation, SingleNode};
use contract_control::{Control, Fence};
use contract_store::limits::TRANSACTION_BYTES_GOOD;
use contract_store::{Isolation, Store};
use std::sync::Arc;
use store_memory::{CommitFault, Faults, MemoryStore};

async fn row(store: &MemoryStore, key: &[u8]) -> Option<bytes::Bytes> {
    store.begin().get(key, Isolation::Snapshot).await.unwrap()
}

/// Confirms the reads of a slot whose fence this node holds, or held.
async fn confirm(node: &SingleNode) -> base::Result<()> {
    let epoch = node.owner(slot(0)).map_or(Epoch(0), |owner| owner.epoch);
    let (id, boot) = (node.node(), node.boot());
    node.confirm_reads(&Fence { slot: slot(0), epoch, renewal: 0, node: id, boot }).await
}

#[tokio::test]
async fn a_start_founds_the_installation_in_one_small_transaction() {
    let store = MemoryStore::default();
    let node = start(&store, 1).await;
    let stats = store.stats();
    assert_eq!((stats.applied, stats.commits), (1, 1));
    assert!(stats.bytes_committed < TRANSACTION_BYTES_GOOD as u64, "{}", stats.bytes_committed);
    for number in Slot::all() {
        let fence = node.fence(number).await.unwrap();
        assert_eq!(fence.epoch, Epoch(1));
        let stored = row(&store, &Fence::key(number)).await.unwrap();
        assert_eq!(Fence::decode(&stored).unwrap(), fence);
        assert_eq!(node.owner(number).unwrap().node, node.node());
    }
    assert_eq!(store.stats().commits, 1, "fences are answered from memory");
    write(&store, &node.fence(slot(7)).await.unwrap()).await.unwrap();
    confirm(&node).await.unwrap();
}

#[tokio::test]
async fn a_second_start_finds_the_installation_and_fences_the_first() {
    let store = MemoryStore::default();
    let first = start(&store, 1).await;
    let old = first.fence(slot(9)).await.unwrap();
    let second = start(&store, 2).await;
    assert_eq!(first.installation(), second.installation());
    assert_eq!(first.cluster_key(), second.cluster_key());
    assert_ne!(first.boot(), second.boot());

    assert_eq!(write(&store, &old).await.map_err(|e| e.kind), Err(Kind::Fenced));
    let new = second.fence(slot(9)).await.unwrap();
    assert_eq!(new.epoch, Epoch(2));
    write(&store, &new).await.unwrap();
    confirm(&second).await.unwrap();
    // The first does not know until it asks; then it knows for good, without asking.
    assert_eq!(first.fence(slot(9)).await.unwrap(), old);
    assert_eq!(confirm(&first).await.map_err(|e| e.kind), Err(Kind::Fenced));
    let reads = store.stats().point_reads;
    assert_eq!(confirm(&first).await.map_err(|e| e.kind), Err(Kind::Fenced));
    assert_eq!(first.fence(slot(9)).await.map_err(|e| e.kind), Err(Kind::Fenced));
    assert_eq!(first.owner(slot(9)), None);
    assert_eq!(store.stats().point_reads, reads);
}

#[tokio::test]
async fn a_fence_taken_over_cannot_be_renewed() {
    let store = MemoryStore::default();
    let first = start(&store, 1).await;
    let old = first.fence(slot(9)).await.unwrap();
    start(&store, 2).await;
    let renewed = first.renew(slot(9), &old).await;
    assert_eq!(renewed.map_err(|e| e.kind), Err(Kind::Fenced));
    assert_eq!(first.owner(slot(10)), None, "all slots of a boot are lost together");
}

#[tokio::test]
async fn a_renewal_shuts_out_a_commit_that_is_still_on_its_way() {
    let store = MemoryStore::default();
    let node = start(&store, 1).await;
    let old = node.fence(slot(3)).await.unwrap();
    store.fail_next_commit(CommitFault::Late);
    assert_eq!(write(&store, &old).await.map_err(|e| e.kind), Err(Kind::Unavailable));

    let new = node.renew(slot(3), &old).await.unwrap();
    assert!(new.renewal > old.renewal);
    assert_eq!(Fence { renewal: old.renewal, ..new }, old);
    store.land_late_commits();
    assert_eq!(row(&store, b"a row").await, None, "the old commit landed");
    assert_eq!(write(&store, &old).await.map_err(|e| e.kind), Err(Kind::Fenced));
    write(&store, &new).await.unwrap();

    assert_eq!(node.fence(slot(3)).await.unwrap(), new);
    // Two actors that renew the same old fence end up with the same new one.
    assert_eq!(node.renew(slot(3), &old).await.unwrap(), new);
    // Ownership did not change hands: cached reads stay good.
    confirm(&node).await.unwrap();
    assert!(node.renew(slot(4), &old).await.is_err(), "a fence of another slot");
}

#[tokio::test]
async fn another_node_that_loses_slots_is_told_so_once() {
    let store = MemoryStore::default();
    let tx = store.begin();
    let other = |number: u16, node| Fence {
        slot: slot(number),
        epoch: Epoch(40),
        renewal: 3,
        node: NodeId(node),
        boot: BootId(5),
    };
    for fence in [other(1, 7), other(2, 7), other(3, 8)] {
        tx.set(&Fence::key(fence.slot), &fence.encode().unwrap());
    }
    tx.commit().await.unwrap();
    let node = start(&store, 1).await;
    let count = async |node| {
        let row = row(&store, &Fence::takeovers_key(NodeId(node))).await;
        row.map(|row| u64::from_le_bytes(row[..].try_into().unwrap()))
    };
    assert_eq!((count(7).await, count(8).await), (Some(1), Some(1)));
    assert_eq!(count(node.node().0).await, None);
    assert_eq!(node.fence(slot(1)).await.unwrap().epoch, Epoch(41));
    assert_eq!(node.fence(slot(1)).await.unwrap().renewal, 0);
    assert_eq!(node.fence(slot(4)).await.unwrap().epoch, Epoch(1));
    confirm(&node).await.unwrap();
}

#[tokio::test]
async fn an_unknown_commit_of_the_start_is_taken_up() {
    for (fault, commits) in [(CommitFault::UnknownApplied, 1), (CommitFault::UnknownNotApplied, 1)]
    {
        let store = MemoryStore::default();
        start(&store, 1).await;
        let before = store.stats();
        store.fail_next_commit(fault);
        let node = start(&store, 2).await;
        assert_eq!(store.stats().applied - before.applied, commits, "{fault:?}");
        let fence = node.fence(slot(5)).await.unwrap();
        assert_eq!(fence.epoch, Epoch(2), "{fault:?}: the takeover ran twice");
        write(&store, &fence).await.unwrap();
        confirm(&node).await.unwrap();
    }
}

#[tokio::test]
async fn an_unknown_commit_of_a_renewal_is_taken_up() {
    for fault in [CommitFault::UnknownApplied, CommitFault::UnknownNotApplied] {
        let store = MemoryStore::default();
        let node = start(&store, 1).await;
        let old = node.fence(slot(5)).await.unwrap();
        store.fail_next_commit(fault);
        let new = node.renew(slot(5), &old).await.unwrap();
        assert_eq!(new.renewal, old.renewal + 1, "{fault:?}");
        write(&store, &new).await.unwrap();
    }
}

/// A renewal of which nobody heard must not shut its own slot out, whenever its commit lands.
#[tokio::test]
async fn a_failed_renewal_does_not_fence_its_own_slot() {
    for lands_first in [true, false] {
        let store = MemoryStore::default();
        let node = start(&store, 1).await;
        let old = node.fence(slot(5)).await.unwrap();
        store.fail_next_commit(CommitFault::Late);
        let failed = node.renew(slot(5), &old).await;
        assert_eq!(failed.map_err(|e| e.kind), Err(Kind::Unavailable));
        if lands_first {
            store.land_late_commits();
        }
        let fence = node.fence(slot(5)).await.unwrap();
        store.land_late_commits();
        write(&store, &fence).await.unwrap();
        assert_eq!(write(&store, &old).await.map_err(|e| e.kind), Err(Kind::Fenced));
        // From now on it is answered from memory again.
        let commits = store.stats().commits;
        assert_eq!(node.fence(slot(5)).await.unwrap(), fence);
        assert_eq!(store.stats().commits, commits);
        assert_eq!(node.renew(slot(5), &old).await.unwrap(), fence, "old ones lead to it");
    }
}

#[tokio::test]
async fn a_renewal_that_was_abandoned_does_not_fence_its_own_slot() {
    let store = MemoryStore::default();
    let node = start(&store, 1).await;
    let old = node.fence(slot(5)).await.unwrap();
    store.inject(Faults { interleave: 1.0, ..Faults::default() });
    for polls in 1..12 {
        let old = node.fence(slot(5)).await.unwrap();
        {
            let mut renewal = std::pin::pin!(node.renew(slot(5), &old));
            for _ in 0..polls {
                if futures::poll!(renewal.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        tokio::task::yield_now().await;
        write(&store, &node.fence(slot(5)).await.unwrap()).await.unwrap();
    }
    assert!(node.fence(slot(5)).await.unwrap().renewal > old.renewal, "nothing was renewed");
}

/// Starts race and the store fails at random: exactly one of them owns everything in the end.
#[tokio::test]
async fn of_two_starts_at_once_one_owns_all_slots() {
    for seed in 0..8 {
        let store = MemoryStore::default();
        store.inject(Faults {
            conflict: 0.1,
            commit_unknown_applied: 0.15,
            commit_unknown_not_applied: 0.1,
            short_pages: 0.02,
            interleave: 0.5,
            ..Faults::default()
        });
        let (one, two) = futures::join!(start(&store, 2 * seed), start(&store, 2 * seed + 1));
        store.inject(Faults::default());
        assert_eq!(one.installation(), two.installation(), "seed {seed}");
        let mut winners = 0;
        for node in [&one, &two] {
            let confirmed = confirm(node).await.is_ok();
            for number in Slot::all() {
                let stored = Fence::decode(&row(&store, &Fence::key(number)).await.unwrap());
                let mine = stored.unwrap().boot == node.boot();
                assert_eq!(mine, confirmed, "seed {seed}, {number}");
                if mine {
                    let fence = node.fence(number).await.unwrap();
                    write(&store, &fence).await.unwrap();
                }
            }
            winners += u32::from(confirmed);
        }
        assert_eq!(winners, 1, "seed {seed}");
    }
}

#[tokio::test]
async fn many_confirmations_share_one_read() {
    let store = MemoryStore::default();
    let node = start(&store, 1).await;
    store.inject(Faults { interleave: 1.0, ..Faults::default() });
    let before = store.stats();
    let waiting = (0..1000).map(|_| confirm(&node));
    for confirmed in futures::future::join_all(waiting).await {
        confirmed.unwrap();
    }
    let reads = store.stats().point_reads - before.point_reads;
    assert!((1..=2).contains(&reads), "{reads} reads");
    assert_eq!(store.stats().commits, before.commits);
}

#[tokio::test]
async fn confirmations_try_again_when_the_store_is_busy() {
    let store = MemoryStore::default();
    let node = start(&store, 1).await;
    store.inject(Faults { busy: 0.5, too_old: 0.2, ..Faults::default() });
    for _ in 0..20 {
        confirm(&node).await.unwrap();
    }
    assert!(store.stats().faults > 0);
    store.inject(Faults { busy: 1.0, ..Faults::default() });
    let refused = confirm(&node).await;
    assert_eq!(refused.map_err(|e| e.kind), Err(Kind::Unavailable));
    store.inject(Faults::default());
    confirm(&node).await.unwrap();
}

#[tokio::test]
async fn the_store_of_a_newer_rialto_is_not_touched() {
    let store = MemoryStore::default();
    let node = start(&store, 1).await;
    let newer = Installation { format_version: 2, ..node.installation().clone() };
    let tx = store.begin();
    tx.set(&Installation::key(), &newer.encode().unwrap());
    tx.commit().await.unwrap();
    let applied = store.stats().applied;
    let refused = SingleNode::start(Arc::new(store.clone()), &Env::simulated(2)).await;
    assert_eq!(refused.err().map(|e| e.kind), Some(Kind::Unavailable));
    assert_eq!(store.stats().applied, applied);
    confirm(&node).await.unwrap();
}

#[tokio::test]
async fn a_damaged_row_stops_the_start() {
    let damages = [
        (Installation::key(), &b"\x07"[..]),
        (Fence::key(slot(5)), b"\x01\x02"),
        (Fence::takeovers_key(NodeId(1)), b"abc"),
    ];
    for (key, value) in damages {
        let store = MemoryStore::default();
        let tx = store.begin();
        tx.set(&key, value);
        tx.commit().await.unwrap();
        let refused = SingleNode::start(Arc::new(store.clone()), &Env::simulated(2)).await;
        assert_eq!(refused.err().map(|e| e.kind), Some(Kind::Corrupt), "{key:?}");
    }
}
