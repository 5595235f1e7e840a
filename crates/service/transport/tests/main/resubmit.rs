//! Messages that are routed anew: because an administrator says so, because their connector has
//! gone, because there is one for them at last. None is lost, none is doubled.

use crate::courier::{Does, Outside};
use crate::outgoing::{is_empty, outside};
use crate::rules::{make, rule};
use crate::world::{World, address, connector, run_simulated};
use base::env::sim::test_seed;
use base::{Kind, QueueId};
use contract_directory::Actor;
use contract_transport::connector::{ConnectorChange, SendConnector, SendConnectors};
use contract_transport::relay::Hop;
use contract_transport::rule;
use contract_transport::tracking::MessageTracking;
use contract_transport::{Notify, QueueAdmin, Transport};
use std::time::Duration;
use store_memory::Faults;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn hop(text: &str) -> Hop {
    Hop::parse(text).unwrap()
}

async fn create(world: &World, new: SendConnector) {
    world.node.transport.create_connector(&Actor::System, new).await.unwrap();
}

async fn remove(world: &World, name: &str) {
    world.node.transport.remove_connector(&Actor::System, name).await.unwrap();
}

async fn enable(world: &World, name: &str, enabled: bool) {
    let change = ConnectorChange { enabled: Some(enabled), ..ConnectorChange::default() };
    let transport = &world.node.transport;
    transport.update_connector(&Actor::System, name, change).await.unwrap();
}

/// The queues, as `name messages`.
async fn hops(world: &World) -> Vec<String> {
    let hops = world.node.transport.hops().await.unwrap();
    hops.iter().map(|one| format!("{} {}", one.hop, one.messages)).collect()
}

async fn waiting(world: &World) -> QueueId {
    world.node.transport.list(None, 1).await.unwrap()[0].queue
}

#[test]
fn a_message_goes_another_way_with_its_past() {
    outside(131, async |world, outside| {
        outside.set("x.test", Does::Away);
        let mut submission = world.submission("alice", &["a@x.test", "b@x.test"], "past").await;
        submission.envelope.envelope_id = Some("env-9".into());
        submission.envelope.recipients[1].notify = Notify { success: true, ..Notify::default() };
        let (origin, accepted) = (submission.queue, world.env.clock.now());
        world.node.transport.accept(submission).await.unwrap();
        world.env.clock.sleep(5 * HOUR).await;
        assert_eq!(world.inbox("alice").await.len(), 1, "the delay is told");
        // The rules have seen it.
        let all = rule("all", vec![], vec![rule::Action::Delete]);
        make(&world, all).await;
        create(&world, connector("second", "x.test")).await;
        let transport = &world.node.transport;
        let queue = waiting(&world).await;
        transport.suspend(queue).await.unwrap();
        transport.resubmit(queue).await.unwrap();
        assert_eq!(transport.resubmit(queue).await.unwrap_err().kind, Kind::NotFound);
        world.env.clock.sleep(10 * SECOND).await;
        assert!(hops(&world).await.contains(&"second/x.test 1".to_owned()));
        let listed = transport.list(None, 10).await.unwrap();
        assert_eq!((listed.len(), listed[0].accepted), (1, accepted));
        assert_eq!(listed[0].recipients.len(), 2);
        world.env.clock.sleep(5 * HOUR).await;
        assert_eq!(world.inbox("alice").await.len(), 1, "the delay is told once");
        outside.set("x.test", Does::Take { dsn: false });
        is_empty(&world).await;
        assert_eq!((outside.copies("a@x.test"), outside.copies("b@x.test")), (1, 1));
        assert_eq!(outside.taken()[0].envelope_id.as_deref(), Some("env-9"));
        let told = world.inbox("alice").await;
        assert!(told.len() == 2 && told[1].contains("Action: relayed"), "{told:?}");
        let story = transport.story(origin).await.unwrap();
        let moved = story.iter().find(|one| one.reason.contains("administrator")).unwrap();
        let after = transport.story(moved.related.unwrap()).await.unwrap();
        assert!(after.iter().any(|one| one.related == Some(origin)), "{after:?}");
        assert!(after.iter().any(|one| one.event.name() == "SEND"), "{after:?}");
    });
}

#[test]
fn what_waits_for_a_mailbox_cannot_be_routed_anew() {
    outside(132, async |world, _outside| {
        let never = QueueId::new(world.env.clock.now(), 7);
        let transport = &world.node.transport;
        assert_eq!(transport.resubmit(never).await.unwrap_err().kind, Kind::NotFound);
        let unknown = transport.resubmit_hop(hop("out/y.test")).await;
        assert_eq!(unknown.unwrap_err().kind, Kind::NotFound);
    });
}

/// Those that wait with the hop and those that wait on their own; not those that are held back.
#[test]
fn a_hop_goes_another_way_as_a_whole() {
    outside(133, async |world, outside| {
        outside.set("x.test", Does::Judge);
        world.send("alice", &["temp@x.test"], "alone").await;
        world.env.clock.sleep(MINUTE).await;
        outside.set("x.test", Does::Away);
        for number in 0..120 {
            world.send("alice", &[&format!("m{number}@x.test")], &format!("m{number}")).await;
        }
        world.env.clock.sleep(MINUTE).await;
        let listed = world.node.transport.list(None, 200).await.unwrap();
        let held = listed.iter().find(|one| one.recipients[0].0 == address("m7@x.test")).unwrap();
        world.node.transport.suspend(held.queue).await.unwrap();
        world.node.transport.suspend_hop(hop("out/x.test")).await.unwrap();
        let hosts = vec![contract_transport::courier::Host { name: "smart.test".into(), port: 25 }];
        let route = contract_transport::connector::Route::SmartHosts(hosts);
        create(&world, SendConnector { route, ..connector("second", "x.test") }).await;
        let transport = &world.node.transport;
        assert_eq!(transport.resubmit_hop(hop("out/x.test")).await.unwrap(), 120);
        world.settle_to(1).await;
        world.env.clock.sleep(MINUTE).await;
        assert_eq!(outside.copies("temp@x.test"), 1);
        for number in 0..120 {
            let copies = outside.copies(&format!("m{number}@x.test"));
            assert_eq!(copies, usize::from(number != 7), "m{number}");
        }
        transport.resubmit(held.queue).await.unwrap();
        transport.resume_hop(hop("out/x.test")).await.unwrap();
        is_empty(&world).await;
        assert_eq!(outside.copies("m7@x.test"), 1);
    });
}

#[test]
fn what_no_connector_takes_waits_for_one() {
    outside(134, async |mut world, outside| {
        remove(&world, "out").await;
        let off = SendConnector { enabled: false, ..connector("small", "*.small.test") };
        create(&world, off).await;
        assert!(world.node.transport.can_relay(&address("a@far.test")).await.unwrap());
        world.send("alice", &["a@far.test", "b@far.test", "a@b.small.test"], "nowhere").await;
        world.env.clock.sleep(MINUTE).await;
        let unreachable = ["Unreachable/b.small.test 1", "Unreachable/far.test 1"];
        assert_eq!(hops(&world).await, unreachable);
        assert_eq!(world.inbox("alice").await.len(), 0);
        let shown = format!("{:?}", world.node.transport.hops().await.unwrap());
        assert!(shown.contains("no send connector that takes this for far.test"), "{shown}");
        // Whatever does not help costs nothing.
        create(&world, connector("other", "elsewhere.test")).await;
        world.restart().await;
        world.env.clock.sleep(HOUR).await;
        assert_eq!(hops(&world).await, unreachable);
        create(&world, connector("far", "far.test")).await;
        world.env.clock.sleep(10 * SECOND).await;
        assert_eq!((outside.copies("a@far.test"), outside.copies("b@far.test")), (1, 1));
        assert_eq!(hops(&world).await, unreachable[..1]);
        let change = ConnectorChange { enabled: Some(true), ..ConnectorChange::default() };
        let transport = &world.node.transport;
        transport.update_connector(&Actor::System, "small", change).await.unwrap();
        world.env.clock.sleep(10 * SECOND).await;
        assert_eq!(outside.copies("a@b.small.test"), 1);
        is_empty(&world).await;
        assert_eq!(world.inbox("alice").await.len(), 0);
    });
}

#[test]
fn what_is_too_large_for_the_connector_that_comes_is_told_at_once() {
    outside(137, async |world, outside| {
        remove(&world, "out").await;
        let large = "x".repeat(4000);
        world.send("alice", &["large@far.test"], &large).await;
        world.send("alice", &["small@far.test"], "small").await;
        world.env.clock.sleep(MINUTE).await;
        assert_eq!(hops(&world).await, ["Unreachable/far.test 2"]);
        let far = SendConnector { size_bytes_max: Some(2000), ..connector("far", "far.test") };
        create(&world, far).await;
        world.env.clock.sleep(10 * SECOND).await;
        is_empty(&world).await;
        assert_eq!((outside.copies("large@far.test"), outside.copies("small@far.test")), (0, 1));
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("Status: 5.3.4"), "{}", told[0]);
    });
}

#[test]
fn what_waits_for_a_connector_too_long_comes_back() {
    outside(135, async |world, outside| {
        remove(&world, "out").await;
        world.send("alice", &["a@far.test"], "late").await;
        world.env.clock.sleep(5 * HOUR).await;
        let told = world.inbox("alice").await;
        assert!(told.len() == 1 && told[0].contains("Action: delayed"), "{told:?}");
        world.later(44 * HOUR).await;
        world.env.clock.sleep(2 * HOUR).await;
        let known = world.node.transport.hops().await.unwrap();
        assert!(known.is_empty(), "nothing is remembered: {known:?}");
        is_empty(&world).await;
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 2, "{told:?}");
        for part in ["Action: failed", "Status: 5.4.4", "no send connector"] {
            assert!(told[1].contains(part), "{part:?} is not in {}", told[1]);
        }
        assert_eq!(outside.opened_in_all(), 0);
    });
}

/// Removed and disabled alike, for what waits with its hop and for what waits on its own.
#[test]
fn what_loses_its_connector_goes_another_way() {
    outside(136, async |world, outside| {
        outside.set("x.test", Does::Away);
        outside.set("y.test", Does::Judge);
        world.send("alice", &["a@x.test", "temp@y.test"], "lost").await;
        world.env.clock.sleep(MINUTE / 2).await;
        enable(&world, "out", false).await;
        world.env.clock.sleep(5 * SECOND).await;
        assert_eq!(hops(&world).await, ["Unreachable/x.test 1", "Unreachable/y.test 1"]);
        outside.set("y.test", Does::Take { dsn: true });
        create(&world, connector("second", "*")).await;
        world.env.clock.sleep(5 * SECOND).await;
        assert_eq!(outside.copies("temp@y.test"), 1);
        assert_eq!(hops(&world).await, ["second/x.test 1"]);
        enable(&world, "out", true).await;
        remove(&world, "second").await;
        world.env.clock.sleep(5 * SECOND).await;
        assert_eq!(hops(&world).await, ["out/x.test 1"]);
        outside.set("x.test", Does::Take { dsn: true });
        is_empty(&world).await;
        assert_eq!(outside.copies("a@x.test"), 1);
    });
}

#[test]
fn what_can_never_have_a_connector_is_told_at_once() {
    outside(137, async |world, _outside| {
        let mut submission = world.submission("alice", &["a@x.test"], "never").await;
        submission.envelope.recipients[0].address = base::Address::new("a", "[192.0.2.1]");
        world.node.transport.accept(submission).await.unwrap();
        is_empty(&world).await;
        let told = world.inbox("alice").await;
        assert!(told.len() == 1 && told[0].contains("Status: 5.4.4"), "{told:?}");
    });
}

/// Connectors come and go while messages wait, an administrator has all routed anew, the store
/// fails, the node dies: each recipient gets it once.
fn storm(seed: u64) {
    run_simulated(seed, async |mut world| {
        let outside = Outside::default();
        world.relaying(&outside).await;
        outside.set("x.test", Does::Away);
        let mut sent = Vec::new();
        for number in 0..40 {
            let to = format!("m{number}@x.test");
            world.send("alice", &[&to], &format!("m{number}.")).await;
            sent.push(to);
        }
        world.env.clock.sleep(MINUTE / 2).await;
        world.memory().inject(Faults {
            conflict: 0.05,
            commit_unknown_applied: 0.05,
            commit_unknown_not_applied: 0.05,
            late_commit: 0.02,
            short_pages: 0.1,
            interleave: 0.2,
            ..Faults::default()
        });
        for round in 0..6 {
            let transport = world.node.transport.clone();
            let _ = match round % 3 {
                0 => transport.resubmit_hop(hop("out/x.test")).await.map(|_| ()),
                1 => transport.remove_connector(&Actor::System, "out").await,
                _ => transport
                    .create_connector(&Actor::System, connector("out", "*"))
                    .await
                    .map(|_| ()),
            };
            if round % 2 == 1 {
                world.restart().await;
            }
            world.env.clock.sleep(3 * SECOND).await;
        }
        world.memory().inject(Faults::default());
        world.memory().land_late_commits();
        let _there =
            world.node.transport.create_connector(&Actor::System, connector("out", "*")).await;
        outside.set("x.test", Does::Take { dsn: true });
        world.settle().await;
        is_empty(&world).await;
        for to in &sent {
            assert_eq!(outside.copies(to), 1, "seed {seed}: {to}");
        }
        assert_eq!(world.inbox("alice").await.len(), 0, "seed {seed}");
    });
}

#[test]
fn nothing_is_lost_or_doubled_on_the_way_back() {
    let first = test_seed();
    for seed in first..first + 6 {
        storm(seed);
    }
}
