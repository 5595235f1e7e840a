//! Confirming what is answered from an owner's cache.

use super::{World, confirm, fence, kind, patiently};
use base::Kind;
use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many commands wait at once.
const MANY: usize = 1_000;

pub(super) async fn a_takeover_that_was_acknowledged_is_seen(world: Arc<dyn World>) {
    let loser = world.first().await;
    let mut held = Vec::new();
    for slot in world.slots() {
        held.push(fence(&loser, slot).await.unwrap());
    }
    for fence in &held {
        confirm(&loser, fence).await.unwrap();
    }
    let winner = world.take_over().await;
    let all = (0..MANY).map(|number| confirm(&loser, &held[number % held.len()]));
    for confirmed in join_all(all).await {
        assert_eq!(kind(confirmed), Kind::Fenced);
    }
    for old in held {
        confirm(&winner, &fence(&winner, old.slot).await.unwrap()).await.unwrap();
    }
}

pub(super) async fn confirmations_during_a_takeover_are_true(world: Arc<dyn World>) {
    let loser = world.first().await;
    let held = fence(&loser, world.slots()[0]).await.unwrap();
    let is_taken = AtomicBool::new(false);
    let takes = async {
        let winner = world.take_over().await;
        is_taken.store(true, Ordering::SeqCst);
        winner
    };
    let asks = async {
        let mut after = 0;
        while after < 20 {
            let began_after = is_taken.load(Ordering::SeqCst);
            let confirmed = confirm(&loser, &held).await;
            match confirmed {
                Ok(()) => assert!(!began_after, "confirmed after the takeover"),
                Err(error) => assert_eq!(error.kind, Kind::Fenced, "{error:?}"),
            }
            after += u32::from(began_after);
            // Whoever takes over may wait for the store, and time must go on.
            tokio::time::sleep(Duration::from_micros(10)).await;
        }
    };
    let (winner, ()) = futures::join!(takes, asks);
    confirm(&winner, &fence(&winner, held.slot).await.unwrap()).await.unwrap();
}

pub(super) async fn many_confirmations_share_a_read(world: Arc<dyn World>) {
    let node = world.first().await;
    let mut held = Vec::new();
    for slot in world.slots() {
        held.push(fence(&node, slot).await.unwrap());
    }
    let before = world.reads();
    let all = (0..MANY).map(|number| confirm(&node, &held[number % held.len()]));
    for confirmed in join_all(all).await {
        confirmed.unwrap();
    }
    if let (Some(before), Some(after)) = (before, world.reads()) {
        // One, and a few more where the store fails; never one for each.
        let reads = after - before;
        assert!((1..=20).contains(&reads), "{reads} reads for {MANY} confirmations");
    }
}

pub(super) async fn whoever_goes_away_takes_nobody_along(world: Arc<dyn World>) {
    let node = world.first().await;
    let held = fence(&node, world.slots()[0]).await.unwrap();
    for polls in 1..8 {
        let leaves = async {
            let mut leaver = Box::pin(node.confirm_reads(&held));
            for _ in 0..polls {
                if futures::poll!(leaver.as_mut()).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let ((), stayed) = futures::join!(leaves, patiently(confirm(&node, &held)));
        stayed.unwrap();
    }
}
