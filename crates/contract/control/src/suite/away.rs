//! A store that is away: "not now", in the end or when the caller's time is over, and never
//! anything that is not true.

use super::{PATIENCE, Weather, World, confirm, fence, kind, patiently, renew, write, written};
use base::Kind;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;

/// By when somebody who asks a store that turns him away gives up by himself.
const GIVES_UP: Duration = Duration::from_secs(120);

pub(super) async fn a_store_that_turns_everything_away_is_told(world: Arc<dyn World>) {
    let node = world.first().await;
    let [slot, other, ..] = world.slots()[..] else { panic!("too few slots") };
    let (held, beside) = (fence(&node, slot).await.unwrap(), fence(&node, other).await.unwrap());
    world.weather(Weather::Busy);
    let asked = futures::future::join(node.confirm_reads(&held), node.renew(other, &beside));
    let (confirmed, renewed) = tokio::time::timeout(GIVES_UP, asked).await.expect("an answer");
    assert_eq!(kind(confirmed), Kind::Unavailable);
    assert_eq!(kind(renewed), Kind::Unavailable);

    world.weather(Weather::Fine);
    confirm(&node, &held).await.unwrap();
    write(&world, &held, "still the owner").await.unwrap();
    let beside = fence(&node, other).await.unwrap();
    confirm(&node, &beside).await.unwrap();
    write(&world, &beside, "still the owner").await.unwrap();
}

pub(super) async fn a_silent_store_is_waited_for_and_nothing_wrong_is_said(world: Arc<dyn World>) {
    let node = world.first().await;
    let slots = world.slots();
    let held = fence(&node, slots[0]).await.unwrap();
    let beside = fence(&node, slots[1]).await.unwrap();
    world.weather(Weather::Silent);
    for _ in 0..2 {
        // Commands come and go while it lasts.
        let all = join_all((0..50).map(|_| patiently(node.confirm_reads(&held))));
        let (confirmed, renewed) =
            futures::future::join(all, patiently(node.renew(beside.slot, &beside))).await;
        for confirmed in confirmed {
            let said = kind(confirmed);
            assert!(matches!(said, Kind::Timeout | Kind::Unavailable), "{said:?}");
        }
        let said = kind(renewed);
        assert!(matches!(said, Kind::Timeout | Kind::Unavailable), "{said:?}");
    }
    world.weather(Weather::Fine);
    // A client's time is enough from now on: nobody waits for what was cut off.
    patiently(confirm(&node, &held)).await.unwrap();
    for slot in [held.slot, beside.slot] {
        let now = patiently(fence(&node, slot)).await.unwrap();
        write(&world, &now, "still the owner").await.unwrap();
        confirm(&node, &now).await.unwrap();
    }
}

pub(super) async fn what_happened_during_the_silence_is_seen_after_it(world: Arc<dyn World>) {
    let loser = world.first().await;
    let held = fence(&loser, world.slots()[0]).await.unwrap();
    world.weather(Weather::Silent);
    let waits = tokio::time::timeout(PATIENCE, loser.confirm_reads(&held)).await;
    assert!(waits.is_err() || kind(waits.unwrap()) == Kind::Unavailable);
    world.weather(Weather::Fine);
    let winner = world.take_over().await;
    assert_eq!(kind(confirm(&loser, &held).await), Kind::Fenced);
    assert_eq!(kind(renew(&loser, &held).await), Kind::Fenced);
    assert_eq!(kind(write(&world, &held, "a loser's").await), Kind::Fenced);
    assert_eq!(written(&world, held.slot).await, None);
    confirm(&winner, &fence(&winner, held.slot).await.unwrap()).await.unwrap();
}
