//! Exactly once, whatever the store does.

use crate::world::run_simulated;
use base::env::sim::test_seed;
use contract_transport::Transport;
use std::time::Duration;
use store_memory::Faults;

/// How many messages each seed sends.
const MESSAGES: usize = 60;

fn storm(seed: u64) {
    run_simulated(seed, async |mut world| {
        world.group("both", &["alice@rialto.test".into(), "bob@rialto.test".into()]).await;
        world.memory().inject(Faults {
            conflict: 0.05,
            commit_unknown_applied: 0.03,
            commit_unknown_not_applied: 0.03,
            late_commit: 0.01,
            ..Faults::default()
        });
        let mut accepted = Vec::new();
        let mut maybe = Vec::new();
        for number in 0..MESSAGES {
            let text = format!("m{number}.");
            let to: &[&str] = match number % 3 {
                0 => &["alice"],
                1 => &["both"],
                _ => &["alice", "nobody", "bob"],
            };
            let submission = world.submission("x@peer.test", to, &text).await;
            let list = match world.node.transport.accept(submission).await {
                Ok(()) => &mut accepted,
                Err(_) => &mut maybe,
            };
            list.push((text, to.contains(&"bob") || to.contains(&"both")));
            if number == MESSAGES / 2 {
                world.restart().await;
            }
        }
        world.env.clock.sleep(Duration::from_secs(60)).await;
        world.memory().inject(Faults::default());
        world.memory().land_late_commits();
        world.restart().await;
        world.settle().await;
        let (alice, bob) = (world.inbox("alice").await, world.inbox("bob").await);
        let count = |inbox: &[String], text: &str| {
            let marker = format!("Message-ID: <{text}@test>");
            inbox.iter().filter(|message| message.contains(&marker)).count()
        };
        for (text, both) in &accepted {
            assert_eq!(count(&alice, text), 1, "seed {seed}: {text} for alice");
            assert_eq!(count(&bob, text), usize::from(*both), "seed {seed}: {text} for bob");
        }
        for (text, _) in &maybe {
            assert!(count(&alice, text) <= 1 && count(&bob, text) <= 1, "seed {seed}: {text}");
        }
        assert!(accepted.len() > MESSAGES / 2, "seed {seed}: too little was accepted to tell");
    });
}

#[test]
fn every_accepted_message_arrives_exactly_once() {
    let first = test_seed();
    for seed in first..first + 8 {
        storm(seed);
    }
}
