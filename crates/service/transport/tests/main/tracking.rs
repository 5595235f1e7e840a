//! What is told of messages that other servers get, and what telling costs.

use crate::courier::Does;
use crate::outgoing::{is_empty, outside};
use crate::world::{World, address, run_simulated};
use base::QueueId;
use contract_transport::relay;
use contract_transport::tracking::{Event, MessageTracking, Origin, Search, Tracked};
use contract_transport::{QueueAdmin, Transport};
use std::time::Duration;

async fn story(world: &World, queue: QueueId) -> Vec<Tracked> {
    world.node.transport.story(queue).await.unwrap()
}

/// The events with their sources and recipients, as `SEND SMTP a@x.test b@x.test`.
fn shown(story: &[Tracked]) -> Vec<String> {
    let one = |event: &Tracked| {
        let mut words = vec![event.event.name().to_owned(), event.origin.name().to_owned()];
        words.extend(event.recipients.iter().map(|one| one.address.to_string()));
        words.join(" ")
    };
    story.iter().map(one).collect()
}

#[test]
fn the_way_to_other_servers_is_told_with_their_answers() {
    outside(301, async |world, outside| {
        outside.set("x.test", Does::Judge);
        let to = ["ok@x.test", "fails@x.test", "temp@x.test"];
        let submission = world.submission("alice", &to, "told").await;
        let queue = submission.queue;
        world.node.transport.accept(submission).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(60)).await;
        let before = story(&world, queue).await;
        let all = to.join(" ");
        let mut expect = vec![
            format!("RECEIVE SMTP {all}"),
            format!("TRANSFER ROUTING {all}"),
            "SEND SMTP ok@x.test".to_owned(),
            "DEFER SMTP temp@x.test".to_owned(),
            "FAIL SMTP fails@x.test".to_owned(),
            "DSN DSN alice@rialto.test".to_owned(),
        ];
        let mut told = shown(&before);
        told[2..].sort_unstable();
        expect[2..].sort_unstable();
        assert_eq!(told, expect);
        let find = |event| before.iter().find(|one| one.event == event).unwrap();
        for event in [Event::Send, Event::Fail] {
            assert_eq!(find(event).server.as_deref(), Some("mx.x.test [192.0.2.1]"));
        }
        assert!(find(Event::Fail).recipients[0].status.starts_with("5.1.1"));
        assert!(find(Event::Defer).recipients[0].reason.contains("the answer is 451"));
        assert!(find(Event::Transfer).connector.as_deref().unwrap().contains("x.test"));
        // Its name in the queue of the next hop finds the same.
        let waiting = world.node.transport.list(None, 10).await.unwrap();
        assert!(relay::slot_of(waiting[0].queue).is_some() && waiting[0].queue != queue);
        assert_eq!(shown(&story(&world, waiting[0].queue).await), shown(&before));
        world.node.transport.suspend(waiting[0].queue).await.unwrap();
        world.node.transport.retry(waiting[0].queue).await.unwrap();
        outside.set("x.test", Does::Take { dsn: false });
        is_empty(&world).await;
        let after = story(&world, queue).await;
        let told = shown(&after[before.len()..]);
        for expect in ["SUSPEND ADMIN", "RETRY ADMIN", "SEND SMTP temp@x.test"] {
            assert!(told.iter().any(|told| told == expect), "{expect} in {told:?}");
        }
    });
}

#[test]
fn a_hop_that_is_away_leaves_its_messages_alone() {
    outside(302, async |world, outside| {
        outside.set("away.test", Does::Away);
        let submission = world.submission("alice", &["a@away.test"], "waits").await;
        let queue = submission.queue;
        world.node.transport.accept(submission).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(3 * 3_600)).await;
        let told = shown(&story(&world, queue).await);
        assert_eq!(told, ["RECEIVE SMTP a@away.test", "TRANSFER ROUTING a@away.test"]);
        outside.set("away.test", Does::Never);
        is_empty(&world).await;
        let story = story(&world, queue).await;
        let failed = story.iter().find(|event| event.event == Event::Fail).unwrap();
        assert_eq!(failed.recipients[0].address, address("a@away.test"));
        assert_eq!(failed.origin, Origin::Smtp);
    });
}

/// Telling adds rows to the transactions that are made anyhow, and no transaction.
#[test]
fn telling_costs_rows_and_no_transaction() {
    run_simulated(303, async |world| {
        world.send("bob", &["alice"], "warm").await;
        world.settle().await;
        let rows = world.rows(b"H/").await;
        let before = world.memory().stats();
        for number in 0..10 {
            world.send("bob", &["alice"], &format!("m{number}")).await;
            world.settle().await;
        }
        let after = world.memory().stats();
        assert!(after.commits - before.commits <= 20, "{}", after.commits - before.commits);
        // Two events, and where to find them: by sender, recipient and Message-ID.
        assert_eq!(world.rows(b"H/").await - rows, 10 * 5);
        let found = world.node.transport.search(&Search::default()).await.unwrap();
        assert_eq!(found.stories.len(), 11);
        assert!(found.stories.iter().all(|story| story.len() == 2), "{found:#?}");
    });
}

/// More events than one transaction reads, so that some story stands at its end.
#[test]
fn looking_through_everything_finds_each_story_whole() {
    run_simulated(304, async |world| {
        let members = ["alice@rialto.test", "bob@rialto.test"].map(String::from);
        world.group("many", &members).await;
        let mut sent = Vec::new();
        for number in 0..450 {
            let submission = world.submission("bob", &["many"], &format!("m{number}")).await;
            sent.push(submission.queue);
            world.node.transport.accept(submission).await.unwrap();
        }
        world.settle().await;
        let found = world.node.transport.search(&Search::default()).await.unwrap();
        let mut queues: Vec<_> = found.stories.iter().map(|story| story[0].queue).collect();
        queues.reverse();
        sent.sort_unstable();
        assert_eq!(queues, sent);
        let is_whole = |story: &Vec<Tracked>| {
            let mut names: Vec<_> = story.iter().map(|event| event.event.name()).collect();
            names.sort_unstable();
            names == ["DELIVER", "DELIVER", "EXPAND", "RECEIVE"]
        };
        assert!(found.stories.iter().all(is_whole));
    });
}
