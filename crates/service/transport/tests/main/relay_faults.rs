//! Exactly once, whatever the store does; and once for each recipient, whoever owns the slot.

use crate::courier::{Does, Outside};
use crate::placement::{Placement, slots};
use crate::takeover::life;
use crate::world::{World, connector, run_simulated};
use base::env::sim::test_seed;
use contract_directory::Actor;
use contract_store::Store;
use contract_transport::Transport;
use contract_transport::connector::SendConnectors;
use std::sync::Arc;
use std::time::Duration;
use store_memory::Faults;

const MESSAGES: usize = 40;

/// No recipient gets a message twice, and everyone whose message was accepted gets it, or is named
/// in a report.
fn storm(seed: u64) {
    run_simulated(seed, async |mut world| {
        let outside = Outside::slow(Duration::from_millis(20));
        world.relaying(&outside).await;
        outside.set("judge.test", Does::Judge);
        outside.set("away.test", Does::Away);
        world.memory().inject(Faults {
            conflict: 0.05,
            commit_unknown_applied: 0.03,
            commit_unknown_not_applied: 0.03,
            late_commit: 0.01,
            short_pages: 0.1,
            interleave: 0.2,
            ..Faults::default()
        });
        let (mut accepted, mut maybe) = (Vec::new(), Vec::new());
        for number in 0..MESSAGES {
            let to = [
                format!("m{number}@fine.test"),
                format!("f{number}@judge.test"),
                format!("t{number}@judge.test"),
                format!("m{number}@away.test"),
            ];
            let some: Vec<&str> = to[..1 + number % 4].iter().map(String::as_str).collect();
            let submission = world.submission("alice", &some, &format!("m{number}.")).await;
            let list = match world.node.transport.accept(submission).await {
                Ok(()) => &mut accepted,
                Err(_) => &mut maybe,
            };
            list.extend(some.into_iter().map(str::to_owned));
        }
        world.env.clock.sleep(Duration::from_secs(90)).await;
        world.memory().inject(Faults::default());
        world.memory().land_late_commits();
        outside.set("away.test", Does::Take { dsn: true });
        world.env.clock.sleep(Duration::from_secs(600)).await;
        outside.set("judge.test", Does::Take { dsn: true });
        world.settle().await;
        let told = world.inbox("alice").await;
        for to in &accepted {
            let reports = told.iter().filter(|one| one.contains(&format!("rfc822; {to}"))).count();
            let copies = outside.copies(to);
            assert_eq!(
                copies + reports,
                1,
                "seed {seed}: {to}: {copies} copies, {reports} reports"
            );
        }
        for to in &maybe {
            assert!(outside.copies(to) <= 1, "seed {seed}: {to}");
        }
        assert!(accepted.len() > MESSAGES, "seed {seed}: too little was accepted to tell");
    });
}

#[test]
fn every_message_goes_out_once() {
    let first = test_seed();
    for seed in first..first + 4 {
        storm(seed);
    }
}

/// Two nodes, the second of which has all slots; nothing is where the messages are accepted.
async fn two(world: &mut World, outside: &Outside) -> (Arc<Placement>, crate::world::Node) {
    let store: Arc<dyn Store> = Arc::new(world.memory().clone());
    let placement = Placement::new(&world.env, &store);
    world.node = life(world, &store, &placement, 1, Some(outside)).await;
    let other = life(world, &store, &placement, 2, Some(outside)).await;
    let new = connector("out", "*");
    world.node.transport.create_connector(&Actor::System, new).await.unwrap();
    placement.give(&slots(), 2).await;
    (placement, other)
}

async fn send_many(world: &World, domain: &str) -> Vec<String> {
    let mut sent = Vec::new();
    for number in 0..40 {
        let to = format!("m{number}@{domain}");
        world.send("alice", &[&to], &format!("m{number}.")).await;
        sent.push(to);
    }
    sent
}

#[test]
fn what_waits_goes_on_when_its_owner_is_gone() {
    run_simulated(121, async |mut world| {
        let outside = Outside::default();
        let (placement, _other) = two(&mut world, &outside).await;
        outside.set("x.test", Does::Away);
        let sent = send_many(&world, "x.test").await;
        world.env.clock.sleep(Duration::from_secs(30)).await;
        assert!(outside.opened("x.test") >= 1);
        placement.cut(2);
        outside.set("x.test", Does::Take { dsn: true });
        placement.give(&slots(), 1).await;
        world.env.clock.sleep(Duration::from_secs(90)).await;
        world.settle().await;
        for to in &sent {
            assert_eq!(outside.copies(to), 1, "{to}");
        }
    });
}

/// A planned move: what is being transferred comes to its end first.
#[test]
fn a_slot_that_is_handed_over_sends_nothing_twice() {
    run_simulated(122, async |mut world| {
        let outside = Outside::slow(Duration::from_millis(300));
        let (placement, _other) = two(&mut world, &outside).await;
        let sent = send_many(&world, "x.test").await;
        world.env.clock.sleep(Duration::from_secs(1)).await;
        for slot in slots() {
            placement.hand_over(slot, 1).await;
        }
        world.settle().await;
        for to in &sent {
            assert_eq!(outside.copies(to), 1, "{to}");
        }
    });
}

/// An owner that is cut off in the middle: only what it was sending at that moment may be sent
/// again, one for each connection.
#[test]
fn an_owner_that_is_cut_off_costs_no_more_than_what_it_was_sending() {
    run_simulated(123, async |mut world| {
        let outside = Outside::slow(Duration::from_millis(300));
        let (placement, _other) = two(&mut world, &outside).await;
        let sent = send_many(&world, "x.test").await;
        world.env.clock.sleep(Duration::from_secs(1)).await;
        placement.cut(2);
        placement.give(&slots(), 1).await;
        world.settle().await;
        world.env.clock.sleep(Duration::from_secs(30)).await;
        let copies: Vec<_> = sent.iter().map(|to| outside.copies(to)).collect();
        assert!(copies.iter().all(|copies| (1..=2).contains(copies)), "{copies:?}");
        let twice = copies.iter().filter(|copies| **copies > 1).count();
        assert!(twice <= 20, "{twice} of them twice");
    });
}
