//! Taking, losing, renewing, confirming.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "paused time is measured")]

mod contract;
pub(crate) mod model;

use super::*;
use crate::installation::Installation;
use base::env::Env;
use contract_control::{Control, Ownership};
use contract_store::{Attempt, Body, BodyError, Isolation, Transaction};
use model::{Model, NOBODY, slot};
use store_memory::{CommitFault, Faults, MemoryStore};

const A: NodeId = NodeId(1);
const B: NodeId = NodeId(2);

fn boot(n: u64) -> BootId {
    BootId(1000 + u128::from(n))
}

fn fences(store: &MemoryStore, node: NodeId) -> Arc<Fences> {
    Fences::new(Arc::new(store.clone()), node, boot(node.0))
}

async fn row(store: &MemoryStore, key: &[u8]) -> Option<bytes::Bytes> {
    store.begin().get(key, Isolation::Snapshot).await.unwrap()
}

async fn stored(store: &MemoryStore, number: u16) -> Option<Fence> {
    row(store, &Fence::key(slot(number))).await.map(|row| Fence::decode(&row).unwrap())
}

async fn count(store: &MemoryStore, node: NodeId) -> u64 {
    let row = row(store, &Fence::takeovers_key(node)).await;
    crate::takeover::takeover_count(row.as_deref()).unwrap()
}

async fn put(store: &MemoryStore, fence: Fence) {
    let tx = store.begin();
    tx.set(&Fence::key(fence.slot), &fence.encode().unwrap());
    tx.commit().await.unwrap();
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> Kind {
    result.unwrap_err().kind
}

struct Write(Fence);

impl Body<()> for Write {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            self.0.check(tx).await?;
            tx.set(b"a row", b"of a mailbox");
            Ok(())
        })
    }
}

async fn write(store: &MemoryStore, fence: Fence) -> Result<()> {
    let store: Arc<dyn Store> = Arc::new(store.clone());
    transact(&store, Write(fence)).await
}

fn followed(gained: &[u16], lost: &[u16]) -> Followed {
    let slots = |numbers: &[u16]| numbers.iter().map(|n| slot(*n)).collect();
    Followed { gained: slots(gained), lost: slots(lost) }
}

#[tokio::test(start_paused = true)]
async fn a_takeover_fences_the_loser_and_tells_it_once() {
    let store = MemoryStore::default();
    let (a, b, mut model) = (fences(&store, A), fences(&store, B), Model::new(2));
    for number in [3, 5, 9] {
        model.give(slot(number), A);
    }
    assert_eq!(a.follow(&model.applied().state).await, followed(&[3, 5, 9], &[]));
    assert_eq!(a.serves(slot(3)), Some(Epoch(1)));
    assert_eq!((count(&store, A).await, count(&store, B).await), (0, 0));
    let old = a.fence(slot(3)).await.unwrap();
    assert_eq!(stored(&store, 3).await, Some(old));
    write(&store, old).await.unwrap();
    a.confirm_reads(&old).await.unwrap();

    model.give(slot(3), B);
    model.give(slot(5), B);
    let state = model.applied().state;
    assert_eq!(b.follow(&state).await, followed(&[3, 5], &[]));
    assert_eq!(count(&store, A).await, 1, "once for both");
    // A has not heard of it. Its writes fail, its cached reads are not confirmed.
    assert_eq!(a.serves(slot(3)), Some(Epoch(1)));
    assert_eq!(kind(write(&store, old).await), Kind::Fenced);
    let kept = a.fence(slot(9)).await.unwrap();
    a.confirm_reads(&kept).await.unwrap();
    assert_eq!((a.serves(slot(3)), a.serves(slot(9))), (None, Some(Epoch(1))));
    assert_eq!(kind(a.confirm_reads(&old).await), Kind::Fenced);
    let reads = store.stats().point_reads;
    a.confirm_reads(&kept).await.unwrap();
    assert_eq!(store.stats().point_reads, reads + 1, "the rows are read only when N changes");
    assert_eq!(kind(a.fence(slot(5)).await), Kind::Fenced);
    assert_eq!(a.follow(&state).await, followed(&[], &[3, 5]));
    write(&store, b.fence(slot(3)).await.unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_state_takes_away_is_dropped_at_once() {
    let store = MemoryStore::default();
    let (a, mut model) = (fences(&store, A), Model::new(2));
    model.give(slot(3), A);
    model.give(slot(4), A);
    let old_state = model.applied().state;
    a.follow(&old_state).await;
    let old = a.fence(slot(4)).await.unwrap();
    model.give(slot(3), NOBODY);
    // Lost and got back within one state.
    model.give(slot(4), B);
    model.give(slot(4), A);
    assert_eq!(a.follow(&model.applied().state).await, followed(&[4], &[3, 4]));
    assert_eq!((a.serves(slot(3)), a.serves(slot(4))), (None, Some(Epoch(3))));
    assert_eq!(kind(a.confirm_reads(&old).await), Kind::Fenced);
    assert_eq!(kind(a.renew(slot(4), &old).await), Kind::Fenced);
    assert_eq!(a.serves(slot(4)), Some(Epoch(3)), "the old fence's fate is not the new one's");
    assert_eq!(count(&store, A).await, 0, "nobody else has lost anything");
    // An older state is not heard.
    assert_eq!(a.follow(&old_state).await, followed(&[], &[]));
    assert_eq!(a.serves(slot(4)), Some(Epoch(3)));
}

/// Cases 67 of the attacks: a writer of an older epoch, and one that forges it.
#[tokio::test(start_paused = true)]
async fn attack_67_a_stale_epoch_or_another_boot_takes_nothing() {
    let store = MemoryStore::default();
    let (a, mut model) = (fences(&store, A), Model::new(2));
    let theirs = |number, epoch, node, boot| Fence {
        slot: slot(number),
        epoch: Epoch(epoch),
        renewal: 4,
        node,
        boot,
    };
    // Newer; as new and another node's; as new and an earlier boot's; older boot's; ours already.
    put(&store, theirs(1, 2, B, boot(2))).await;
    put(&store, theirs(2, 1, B, boot(2))).await;
    put(&store, theirs(3, 1, A, boot(77))).await;
    put(&store, theirs(4, 0, A, boot(77))).await;
    put(&store, theirs(5, 1, A, boot(1))).await;
    for number in 1..=5 {
        model.give(slot(number), A);
    }
    assert_eq!(a.follow(&model.applied().state).await, followed(&[4, 5], &[]));
    assert_eq!(stored(&store, 1).await, Some(theirs(1, 2, B, boot(2))));
    assert_eq!(stored(&store, 3).await, Some(theirs(3, 1, A, boot(77))));
    assert_eq!(kind(a.fence(slot(1)).await), Kind::Fenced);
    assert_eq!(a.fence(slot(5)).await.unwrap(), theirs(5, 1, A, boot(1)));
    assert_eq!(count(&store, A).await, 1, "the earlier boot is told");
    assert_eq!(count(&store, B).await, 0);
    let reads = store.stats().point_reads;
    a.confirm_reads(&a.fence(slot(4)).await.unwrap()).await.unwrap();
    assert_eq!(store.stats().point_reads, reads + 1, "its own count is no news to the new boot");
    // The state names another life of this node: nothing is taken, what was held is dropped.
    model.nodes.insert(A, (boot(9), true));
    assert_eq!(a.follow(&model.applied().state).await, followed(&[], &[4, 5]));
}

/// The commit of a takeover may be unknown or land late; whatever happens, it is taken once.
#[tokio::test(start_paused = true)]
async fn a_takeover_whose_outcome_is_unknown_is_tried_again() {
    for fault in [
        CommitFault::UnknownApplied,
        CommitFault::UnknownNotApplied,
        CommitFault::Late,
        CommitFault::Conflict,
        CommitFault::OutOfSpace,
    ] {
        let store = MemoryStore::default();
        let (a, b, mut model) = (fences(&store, A), fences(&store, B), Model::new(2));
        model.give(slot(3), A);
        a.follow(&model.applied().state).await;
        model.give(slot(3), B);
        store.fail_next_commit(fault);
        assert_eq!(b.follow(&model.applied().state).await, followed(&[3], &[]), "{fault:?}");
        store.land_late_commits();
        assert_eq!(count(&store, A).await, 1, "{fault:?}");
        let fence = b.fence(slot(3)).await.unwrap();
        assert_eq!(stored(&store, 3).await, Some(fence), "{fault:?}");
        b.confirm_reads(&fence).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_fence_keeps_nobody_from_the_other_slots() {
    let store = MemoryStore::default();
    let (a, b, mut model) = (fences(&store, A), fences(&store, B), Model::new(2));
    for number in [3, 4, 5] {
        model.give(slot(number), A);
    }
    let other = Fence { slot: slot(9), epoch: Epoch(0), renewal: 0, node: B, boot: boot(2) };
    put(&store, other).await;
    let tx = store.begin();
    tx.set(&Fence::key(slot(3)), b"no fence");
    tx.set(&Fence::key(slot(4)), &stored(&store, 9).await.unwrap().encode().unwrap());
    tx.commit().await.unwrap();
    assert_eq!(a.follow(&model.applied().state).await, followed(&[5], &[]));
    let held = a.fence(slot(5)).await.unwrap();
    // A check that must read a damaged row gives up that slot only.
    model.give(slot(9), A);
    a.follow(&model.applied().state).await;
    let other = a.fence(slot(9)).await.unwrap();
    store.damage(&Fence::key(slot(9)));
    model.give(slot(5), B);
    b.follow(&model.applied().state).await;
    assert_eq!(kind(a.confirm_reads(&other).await), Kind::Fenced);
    assert_eq!(kind(a.confirm_reads(&held).await), Kind::Fenced);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_of_which_nobody_heard_is_made_up_for() {
    let store = MemoryStore::default();
    let (a, b, mut model) = (fences(&store, A), fences(&store, B), Model::new(2));
    model.give(slot(3), A);
    a.follow(&model.applied().state).await;
    let old = a.fence(slot(3)).await.unwrap();
    store.fail_next_commit(CommitFault::Late);
    assert_eq!(kind(a.renew(slot(3), &old).await), Kind::Unavailable);
    let new = a.fence(slot(3)).await.unwrap();
    store.land_late_commits();
    assert_eq!(stored(&store, 3).await, Some(new));
    assert!(new.renewal > old.renewal);
    assert_eq!(a.renew(slot(3), &old).await.unwrap(), new);
    a.confirm_reads(&old).await.unwrap();
    assert!(a.renew(slot(4), &old).await.is_err(), "a fence of another slot");

    model.give(slot(3), B);
    let state = model.applied().state;
    b.follow(&state).await;
    assert_eq!(kind(a.renew(slot(3), &new).await), Kind::Fenced);
    assert_eq!(a.serves(slot(3)), None);
    assert_eq!(a.follow(&state).await, followed(&[], &[3]));
}

#[tokio::test(start_paused = true)]
async fn a_seal_stops_requests_and_nothing_else() {
    let store = MemoryStore::default();
    let (a, mut model) = (fences(&store, A), Model::new(1));
    let epoch = model.give(slot(3), A);
    a.follow(&model.applied().state).await;
    let mut changes = a.changed();
    a.seal(slot(3), Epoch(epoch.0 + 1));
    assert_eq!(a.serves(slot(3)), Some(epoch), "a seal of another epoch");
    assert!(!changes.has_changed().unwrap());
    a.seal(slot(3), epoch);
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert_eq!((a.serves(slot(3)), a.holds(slot(3))), (None, Some(epoch)));
    let fence = a.fence(slot(3)).await.unwrap();
    a.confirm_reads(&fence).await.unwrap();
    write(&store, fence).await.unwrap();
    a.unseal(slot(3), epoch);
    assert!(changes.has_changed().unwrap());
    assert_eq!(a.serves(slot(3)), Some(epoch));
}

/// All that Raft gives, in a few transactions; told as soon as it is taken.
#[tokio::test(start_paused = true)]
async fn a_founder_takes_everything_and_follows_from_then_on() {
    let store = MemoryStore::default();
    let (a, mut model) = (fences(&store, A), Model::new(2));
    for number in Slot::all() {
        model.give(number, A);
    }
    let (send, applied) = watch::channel(model.applied());
    let told = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let tell = {
        let told = told.clone();
        move |news| told.lock().push(news)
    };
    let control = ClusterControl::new(a.clone(), applied.clone(), installation());
    // Raft has said so, and nobody has followed yet: an actor waits.
    let waits = {
        let control = control.clone();
        async move { control.fence(slot(7)).await }
    };
    let waits = tokio::spawn(waits);
    tokio::task::yield_now().await;
    let task = tokio::spawn(a.clone().keep_following(applied, tell));
    assert_eq!(waits.await.unwrap().unwrap().epoch, Epoch(1));
    for number in Slot::all() {
        assert_eq!(control.fence(number).await.unwrap().slot, number);
    }
    assert_eq!(store.stats().applied, 5);
    assert!(store.stats().bytes_committed / 5 < 200_000, "{}", store.stats().bytes_committed);
    assert_eq!(control.owner(slot(1)), Some(Ownership { node: A, epoch: Epoch(1) }));
    model.give(slot(1), B);
    send.send_replace(model.applied());
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(told.lock().pop(), Some(followed(&[], &[1])));
    assert_eq!(kind(control.fence(slot(1)).await), Kind::Fenced);
    assert_eq!(control.owner(slot(1)), Some(Ownership { node: B, epoch: Epoch(2) }));
    // The store shows it before Raft does: told without a newer state.
    let before = control.fence(slot(2)).await.unwrap();
    model.give(slot(2), B);
    let b = fences(&store, B);
    b.follow(&model.applied().state).await;
    assert_eq!(kind(control.confirm_reads(&before).await), Kind::Fenced);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(told.lock().pop(), Some(followed(&[], &[2])));
    drop(send);
    task.await.unwrap();
}

fn installation() -> Installation {
    Installation::draw(&*Env::simulated(1).random)
}

/// Each state of a stream of them, as planned moves make, must not begin the takeover anew.
#[tokio::test(start_paused = true)]
async fn a_stream_of_states_keeps_nothing_from_being_taken() {
    let store = MemoryStore::default();
    let (a, mut model) = (fences(&store, A), Model::new(2));
    for number in 0..200 {
        model.give(slot(number), A);
    }
    let (send, applied) = watch::channel(model.applied());
    store.inject(Faults { stall: 1.0, ..Faults::default() });
    let task = tokio::spawn(a.clone().keep_following(applied, |_| {}));
    for number in 0..1000 {
        model.give(slot(1000 + number % 500), B);
        send.send_replace(model.applied());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let taken = (0..200).filter(|number| a.serves(slot(*number)).is_some()).count();
    assert_eq!(taken, 200);
    task.abort();
}

/// While the store is in trouble the newest state is followed all the same.
#[tokio::test(start_paused = true)]
async fn a_newer_state_is_heard_while_the_store_fails() {
    let store = MemoryStore::default();
    let (a, mut model) = (fences(&store, A), Model::new(2));
    model.give(slot(1), A);
    model.give(slot(2), A);
    for _ in 0..6 {
        store.fail_next_commit(CommitFault::OutOfSpace);
    }
    let (send, applied) = watch::channel(model.applied());
    let task = tokio::spawn(a.clone().keep_following(applied, |_| {}));
    let early = a.fence(slot(1));
    tokio::time::sleep(Duration::from_millis(250)).await;
    model.give(slot(2), B);
    send.send_replace(model.applied());
    let fence = early.await;
    // Either it was not wanted yet, or it came within the wait.
    assert!(fence.is_ok() || kind(fence) == Kind::Fenced);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((a.serves(slot(1)), a.serves(slot(2))), (Some(Epoch(1)), None));
    assert_eq!(stored(&store, 2).await, None, "not taken after it was given away");
    // A slot that cannot be taken is waited for only so long.
    for _ in 0..100 {
        store.fail_next_commit(CommitFault::OutOfSpace);
    }
    model.give(slot(6), A);
    send.send_replace(model.applied());
    tokio::time::sleep(Duration::from_millis(1)).await;
    let began = tokio::time::Instant::now();
    assert_eq!(kind(a.fence(slot(6)).await), Kind::Unavailable);
    assert_eq!(began.elapsed().as_secs(), FENCE_WAIT.as_secs());
    task.abort();
}
