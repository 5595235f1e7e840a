//! Wake-ups of mailboxes that are served by another node than the one that watches them.

use super::help::{archive, handle_on, inbox};
use super::takeover::Cluster;
use crate::placement::slots;
use crate::support::{in_memory, run};
use base::{AccountId, Change};
use contract_mailbox::{MailboxHandle, Mailboxes};
use std::sync::atomic::Ordering;
use std::time::Duration;
use store_memory::CommitFault;
use tokio::sync::watch;

/// As long as nobody notices.
const SOON: Duration = Duration::from_millis(600);

/// How long a lost wake-up stays unnoticed, at most.
const REPAIRED: Duration = Duration::from_secs(21);

async fn woken(watch: &mut watch::Receiver<Change>, within: Duration) -> Option<Change> {
    tokio::time::timeout(within, watch.changed()).await.ok()?.unwrap();
    Some(*watch.borrow_and_update())
}

/// Lets everything that is due be done.
async fn settle(watch: &mut watch::Receiver<Change>) {
    tokio::time::sleep(Duration::from_secs(2)).await;
    watch.mark_unchanged();
}

async fn newest(handle: &MailboxHandle) -> Change {
    handle.view(inbox()).await.unwrap().info.highest_change
}

#[test]
fn a_change_wakes_whoever_watches_on_another_node() {
    run(1, async |world| {
        let cluster = Cluster::new(world, 3).await;
        let world = &cluster.world;
        let account = world.account("watched").await;
        cluster.give_all(2).await;
        let handle = world.handle(account);
        let mut watch = world.node.mailboxes.watch(account);
        let mut third = cluster.node(3).mailboxes.watch(account);
        settle(&mut watch).await;
        settle(&mut third).await;
        for number in 0..5 {
            let messages = world.small(number..number + 1).await;
            let begun = world.env.clock.monotonic();
            handle.append(inbox(), messages).await.unwrap();
            let change = newest(&handle).await;
            assert_eq!(woken(&mut watch, SOON).await, Some(change));
            assert_eq!(woken(&mut third, SOON).await, Some(change));
            let took = world.env.clock.monotonic() - begun;
            assert!(took < Duration::from_millis(100), "told, not found out");
        }
        assert_eq!(woken(&mut watch, REPAIRED).await, None, "nothing has happened");
    });
}

/// The first change comes before the owner knows that somebody watches.
#[test]
fn what_comes_before_the_owner_knows_is_found() {
    run(2, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        let account = world.account("watched").await;
        cluster.give_all(2).await;
        let handle = world.handle(account);
        let mut watch = world.node.mailboxes.watch(account);
        handle.append(inbox(), world.small(0..1).await).await.unwrap();
        assert_eq!(woken(&mut watch, SOON).await, Some(newest(&handle).await));
    });
}

/// The owner dies; the next one, which was told of nothing, changes the mailbox at once.
#[test]
fn watches_survive_the_owner() {
    run(3, async |world| {
        let cluster = Cluster::new(world, 3).await;
        let world = &cluster.world;
        let account = world.account("watched").await;
        let handle = world.handle(account);
        let mut watch = world.node.mailboxes.watch(account);
        for round in 0..6u64 {
            let (owner, next) = (2 + round % 2, 3 - round % 2);
            cluster.give_all(owner).await;
            settle(&mut watch).await;
            // The last change of the dying owner is told to nobody.
            cluster.placement.deaf.store(true, Ordering::Relaxed);
            handle.append(inbox(), world.small(round..round + 1).await).await.unwrap();
            cluster.placement.deaf.store(false, Ordering::Relaxed);
            cluster.placement.cut(owner);
            cluster.give_all(if round == 5 { 1 } else { next }).await;
            assert_eq!(woken(&mut watch, SOON).await, Some(newest(&handle).await), "{round}");
            let messages = world.small(100 + round..101 + round).await;
            handle.append(inbox(), messages).await.unwrap();
            assert_eq!(woken(&mut watch, SOON).await, Some(newest(&handle).await), "{round}");
            cluster.restart(owner);
        }
    });
}

#[test]
fn a_lost_wake_up_is_found_out() {
    run(4, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        let account = world.account("watched").await;
        cluster.give_all(2).await;
        let handle = world.handle(account);
        let mut watch = world.node.mailboxes.watch(account);
        settle(&mut watch).await;
        cluster.placement.deaf.store(true, Ordering::Relaxed);
        handle.append(inbox(), world.small(0..1).await).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        cluster.placement.deaf.store(false, Ordering::Relaxed);
        assert_eq!(woken(&mut watch, REPAIRED).await, Some(newest(&handle).await));
        // No way there for longer than an interest lasts.
        cluster.placement.deaf.store(true, Ordering::Relaxed);
        handle.append(inbox(), world.small(1..2).await).await.unwrap();
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(woken(&mut watch, Duration::from_millis(1)).await, None);
        cluster.placement.deaf.store(false, Ordering::Relaxed);
        let within = Duration::from_secs(3);
        assert_eq!(woken(&mut watch, within).await, Some(newest(&handle).await));
    });
}

/// The mailbox is to be this node's; the last change of its owner before is committed only then.
#[test]
fn what_the_last_owner_commits_before_the_fence_is_found() {
    if !in_memory() {
        return;
    }
    run(7, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        let account = world.account("watched").await;
        cluster.give_all(2).await;
        let handle = handle_on(world, &cluster.node(2), account);
        handle.append(inbox(), world.small(0..1).await).await.unwrap();
        let mut watch = world.node.mailboxes.watch(account);
        settle(&mut watch).await;
        let known = *watch.borrow();
        let message = world.small(1..2).await;
        world.memory().fail_next_commit(CommitFault::Late);
        let appending = handle.append(inbox(), message);
        let _unknown = tokio::time::timeout(Duration::from_millis(1), appending).await;
        cluster.placement.cut(2);
        // Until the fence can be taken nobody is out of the way.
        world.memory().set_silent(true);
        cluster.placement.promise(&slots(), 1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.memory().land_late_commits();
        world.memory().set_silent(false);
        let found = woken(&mut watch, SOON).await;
        assert!(found.is_some_and(|found| found > known), "{found:?} {known:?}");
    });
}

#[test]
fn thousands_of_watches_cost_a_handful_of_messages() {
    run(5, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        cluster.give_all(2).await;
        let told = &cluster.placement.told;
        let account = world.account("watched").await;
        let mut of_one =
            (0..2_000).map(|_| world.node.mailboxes.watch(account)).collect::<Vec<_>>();
        let of_many: Vec<_> =
            (10_000..12_000).map(|id| world.node.mailboxes.watch(AccountId(id))).collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(told.load(Ordering::Relaxed) <= 3 * 2, "{told:?}");
        let before = told.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let renewals = told.load(Ordering::Relaxed) - before;
        assert!((3..=4 * 3).contains(&renewals), "{renewals}");
        // All sessions of one mailbox are one interest.
        let before = told.load(Ordering::Relaxed);
        world.handle(account).append(inbox(), world.small(0..1).await).await.unwrap();
        for watch in &mut of_one {
            assert!(woken(watch, SOON).await.is_some());
        }
        assert_eq!(told.load(Ordering::Relaxed) - before, 1);
        // A burst that goes out faster than it is heard is few messages.
        let before = told.load(Ordering::Relaxed);
        let handle = world.handle(account);
        for number in 1..50 {
            handle.append(inbox(), world.small(number..number + 1).await).await.unwrap();
        }
        assert!(told.load(Ordering::Relaxed) - before <= 49);
        // Nobody watches any more: nobody is told.
        drop((of_one, of_many));
        tokio::time::sleep(Duration::from_secs(90)).await;
        let before = told.load(Ordering::Relaxed);
        handle.append(archive(), world.small(50..51).await).await.unwrap();
        tokio::time::sleep(Duration::from_secs(90)).await;
        assert_eq!(told.load(Ordering::Relaxed), before);
    });
}

#[test]
fn what_is_served_here_costs_nothing() {
    run(6, async |world| {
        let cluster = Cluster::new(world, 1).await;
        let world = &cluster.world;
        let account = world.account("here").await;
        let mut watch = world.node.mailboxes.watch(account);
        let handle = handle_on(world, &world.node, account);
        handle.append(inbox(), world.small(0..1).await).await.unwrap();
        assert_eq!(woken(&mut watch, Duration::ZERO).await, Some(newest(&handle).await));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(cluster.placement.told.load(Ordering::Relaxed), 0);
        assert!(world.node.control.owner(world.node.control.slot_of_account(account)).is_some());
    });
}
