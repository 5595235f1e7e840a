//! Many sessions of one mailbox on a node that does not serve it: what they want to know is asked
//! once for all of them.

use super::help::{handle_on, inbox, set, uids};
use super::takeover::Cluster;
use crate::support::{World, in_memory, run};
use base::{AccountId, Change, Uid};
use contract_mailbox::{MailboxHandle, ViewDelta};
use futures::future::join_all;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SESSIONS: usize = 170;

fn sessions(world: &World, account: AccountId) -> Vec<Arc<MailboxHandle>> {
    (0..SESSIONS).map(|_| Arc::new(world.handle(account))).collect()
}

async fn ask(sessions: &[Arc<MailboxHandle>], since: Change) -> Vec<ViewDelta> {
    let answers = sessions.iter().map(|session| session.delta(inbox(), since));
    join_all(answers).await.into_iter().map(|answer| answer.unwrap()).collect()
}

fn new_uids(delta: &ViewDelta) -> Vec<u32> {
    delta.changed.iter().map(|entry| entry.uid.0).collect()
}

#[test]
fn sessions_that_are_woken_together_ask_once() {
    run(1, async |world| {
        let cluster = Cluster::new(world, 2).await;
        let world = &cluster.world;
        let account = world.account("crowd").await;
        cluster.give_all(2).await;
        let (sessions, writer) = (sessions(world, account), world.handle(account));
        for number in 0..5 {
            let since = writer.view(inbox()).await.unwrap().info.highest_change;
            let (_, uids) =
                writer.append(inbox(), world.small(number..number + 1).await).await.unwrap();
            let asked = cluster.placement.asked.load(Ordering::Relaxed);
            for delta in ask(&sessions, since).await {
                assert_eq!(new_uids(&delta), [uids[0].0]);
            }
            let asked = cluster.placement.asked.load(Ordering::Relaxed) - asked;
            assert!(asked <= 2, "{asked} questions of {SESSIONS} sessions");
        }
    });
}

/// What all of them want to know is read once.
#[test]
fn sessions_that_are_woken_together_cost_one_read() {
    if !in_memory() {
        return;
    }
    run(2, async |world| {
        let account = world.account("crowd").await;
        let (sessions, writer) = (sessions(&world, account), world.handle(account));
        let since = writer.view(inbox()).await.unwrap().info.highest_change;
        writer.append(inbox(), world.small(0..1).await).await.unwrap();
        let before = world.memory().stats();
        ask(&sessions, since).await;
        let after = world.memory().stats();
        // Its changes and its index block; and the check that the slot is still owned, for each
        // of the two questions.
        assert_eq!(after.range_reads - before.range_reads, 2);
        assert!(after.begun - before.begun <= 4, "{}", after.begun - before.begun);
    });
}

#[test]
fn a_dead_owner_is_asked_for_by_one() {
    run(3, async |world| {
        let cluster = Cluster::new(world, 3).await;
        let world = &cluster.world;
        let account = world.account("crowd").await;
        cluster.give_all(2).await;
        let (sessions, writer) = (sessions(world, account), world.handle(account));
        let since = writer.view(inbox()).await.unwrap().info.highest_change;
        let (_, uids) = writer.append(inbox(), world.small(0..1).await).await.unwrap();
        cluster.placement.cut(2);
        let asked = cluster.placement.asked.load(Ordering::Relaxed);
        let next_owner = async {
            world.env.clock.sleep(Duration::from_secs(3)).await;
            cluster.give_all(3).await;
        };
        let begun = world.env.clock.monotonic();
        let (answers, ()) = futures::join!(ask(&sessions, since), next_owner);
        for delta in answers {
            assert_eq!(new_uids(&delta), [uids[0].0]);
        }
        assert!(world.env.clock.monotonic() - begun < Duration::from_millis(3_500));
        let asked = cluster.placement.asked.load(Ordering::Relaxed) - asked;
        assert!(asked <= 4, "{asked} questions of {SESSIONS} sessions");
    });
}

/// Sessions on two nodes that write and ask, while the mailbox goes from one to another: each knows
/// at once what it has done itself, and all of them know everything in the end.
#[test]
fn whoever_has_changed_something_is_told_of_it() {
    run(4, async |world| {
        let cluster = Arc::new(Cluster::new(world, 3).await);
        let world = &cluster.world;
        let account = world.account("crowd").await;
        let tasks = (0..16u64).map(|number| {
            let cluster = cluster.clone();
            tokio::spawn(async move {
                let world = &cluster.world;
                let handle = handle_on(world, &cluster.node(1 + number % 2), account);
                let view = handle.view(inbox()).await.unwrap();
                let mut known: BTreeSet<u32> = uids(&view).into_iter().collect();
                let mut since = view.info.highest_change;
                let mut follow = async |own: Option<Uid>, gone: Option<u32>| {
                    let delta = handle.delta(inbox(), since).await.unwrap();
                    assert!(delta.complete);
                    known.extend(new_uids(&delta));
                    for uid in &delta.vanished {
                        known.remove(&uid.0);
                    }
                    since = since.max(delta.info.highest_change);
                    assert!(own.is_none_or(|uid| known.contains(&uid.0)), "its own message");
                    assert!(gone.is_none_or(|uid| !known.contains(&uid)), "its own removal");
                    known.clone()
                };
                for step in 0..12 {
                    let first = number * 100 + step;
                    let messages = world.small(first..first + 1).await;
                    let (_, new) = handle.append(inbox(), messages).await.unwrap();
                    follow(Some(new[0]), None).await;
                    if step % 3 == 0 {
                        let (one, to) = (new[0].0, super::help::archive());
                        handle.move_messages(inbox(), set(one, one), to).await.unwrap();
                        follow(None, Some(one)).await;
                    }
                    world.env.clock.sleep(Duration::from_millis(number % 5)).await;
                }
                world.env.clock.sleep(Duration::from_secs(60)).await;
                follow(None, None).await
            })
        });
        let tasks: Vec<_> = tasks.collect();
        for round in 0..12 {
            world.env.clock.sleep(Duration::from_millis(40)).await;
            cluster.give_all(1 + round % 3).await;
        }
        let view = async || uids(&world.handle(account).view(inbox()).await.unwrap());
        for task in tasks {
            let known = task.await.unwrap();
            assert_eq!(known.into_iter().collect::<Vec<_>>(), view().await);
        }
    });
}
