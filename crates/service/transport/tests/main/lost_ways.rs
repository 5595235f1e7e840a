//! Connectors that go while their messages are being sent, and messages that cannot go with the
//! others because they are damaged.

use crate::courier::{Does, Outside};
use crate::outgoing::{is_empty, outside};
use crate::world::{World, connector, run};
use bytes::Bytes;
use contract_directory::Actor;
use contract_transport::connector::{ConnectorChange, SendConnectors};
use contract_transport::relay::Hop;
use contract_transport::{QueueAdmin, Transport};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

async fn enable(world: &World, enabled: bool) {
    let change = ConnectorChange { enabled: Some(enabled), ..ConnectorChange::default() };
    let transport = &world.node.transport;
    transport.update_connector(&Actor::System, "out", change).await.unwrap();
}

async fn names(world: &World) -> Vec<String> {
    let hops = world.node.transport.hops().await.unwrap();
    hops.iter().filter(|one| one.messages > 0).map(|one| one.hop.to_string()).collect()
}

/// Two messages that wait for x.test; what the first one is made of is gone from the store.
async fn with_one_damaged(world: &World, outside: &Outside) {
    outside.set("x.test", Does::Away);
    let damaged = world.submission("alice", &["damaged@x.test"], "damaged").await;
    let blobs = damaged.content.blobs();
    world.node.transport.accept(damaged).await.unwrap();
    world.send("alice", &["good@x.test"], "good").await;
    world.env.clock.sleep(30 * SECOND).await;
    let tx = world.dynamic.begin();
    for id in blobs {
        tx.clear(&Bytes::from([b"BM", &id.0[..]].concat()));
    }
    tx.commit().await.unwrap();
}

#[test]
fn a_connector_that_goes_stops_what_is_sent_by_it() {
    run(141, async |mut world| {
        let outside = Outside::slow(20 * SECOND);
        world.relaying(&outside).await;
        for number in 0..200 {
            world.send("alice", &[&format!("m{number}@x.test")], &format!("m{number}")).await;
        }
        world.env.clock.sleep(30 * SECOND).await;
        enable(&world, false).await;
        world.env.clock.sleep(30 * SECOND).await;
        assert_eq!(names(&world).await, ["Unreachable/x.test"]);
        let sent = outside.taken().len();
        assert!(sent < 200, "{sent}");
        world.env.clock.sleep(60 * SECOND).await;
        assert_eq!(outside.taken().len(), sent, "nothing more is begun");
        enable(&world, true).await;
        is_empty(&world).await;
        for number in 0..200 {
            assert_eq!(outside.copies(&format!("m{number}@x.test")), 1, "m{number}");
        }
    });
}

#[test]
fn a_damaged_message_does_not_keep_a_hop_from_being_resubmitted() {
    outside(142, async |world, outside| {
        with_one_damaged(&world, &outside).await;
        let hop = Hop::parse("out/x.test").unwrap();
        world.node.transport.resubmit_hop(hop).await.unwrap();
        world.env.clock.sleep(30 * SECOND).await;
        outside.set("x.test", Does::Take { dsn: false });
        is_empty(&world).await;
        // These servers do not read what they take.
        assert_eq!((outside.copies("good@x.test"), outside.copies("damaged@x.test")), (1, 1));
    });
}

#[test]
fn a_damaged_message_whose_connector_is_gone_keeps_its_place_and_ages() {
    outside(143, async |world, outside| {
        with_one_damaged(&world, &outside).await;
        let transport = &world.node.transport;
        transport.create_connector(&Actor::System, connector("second", "x.test")).await.unwrap();
        outside.set("x.test", Does::Take { dsn: false });
        transport.remove_connector(&Actor::System, "out").await.unwrap();
        world.env.clock.sleep(30 * SECOND).await;
        assert_eq!((outside.copies("good@x.test"), outside.copies("damaged@x.test")), (1, 0));
        assert_eq!(names(&world).await, ["out/x.test"]);
        world.env.clock.sleep(5 * HOUR).await;
        let told = world.inbox("alice").await;
        assert!(told.len() == 1 && told[0].contains("Action: delayed"), "{told:?}");
    });
}
