//! Mail for other servers: who gets it, who is told, and that nothing is left behind.

use crate::courier::{Does, Outside};
use crate::world::{World, address, connector, run};
use bytes::Bytes;
use contract_directory::Actor;
use contract_transport::connector::{ConnectorChange, Route, SendConnectors};
use contract_transport::courier::Host;
use contract_transport::{Notify, QueueAdmin, Recipient, Transport};
use std::time::Duration;

/// Runs a test on a node that speaks with other servers.
pub(crate) fn outside<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(World, Outside) -> F) {
    run(seed, async |mut world| {
        let outside = Outside::default();
        world.relaying(&outside).await;
        test(world, outside).await;
    });
}

/// Nothing stands in any queue for other servers.
pub(crate) async fn is_empty(world: &World) {
    world.settle().await;
    world.env.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(world.rows(b"R/").await, 0, "rows are left");
}

#[test]
fn what_is_for_others_goes_to_them_once() {
    outside(81, async |world, outside| {
        let to = ["alice", "x@one.test", "y@one.test", "z@two.test"];
        world.send("bob", &to, "out").await;
        is_empty(&world).await;
        for to in &to[1..] {
            assert_eq!(outside.copies(to), 1, "{to}");
        }
        let taken = outside.taken();
        assert_eq!(taken.len(), 2, "recipients of one hop travel together: {taken:?}");
        assert!(taken.iter().all(|taken| !taken.is_8bit && !taken.needs_smtputf8));
        assert_eq!(world.inbox("alice").await.len(), 1);
        assert!(world.inbox("bob").await.is_empty(), "there is nothing to tell");
    });
}

#[test]
fn what_senders_want_of_tls_goes_with_the_message() {
    outside(97, async |world, outside| {
        let send = async |to: &str, field: &'static str, require_tls: bool| {
            let mut submission = world.submission("alice", &[to], "safe").await;
            submission.envelope.require_tls = require_tls;
            submission.content =
                submission.content.with_prefix(Bytes::from_static(field.as_bytes()));
            world.node.transport.accept(submission).await.unwrap();
            is_empty(&world).await;
            let taken = outside.taken().pop().unwrap();
            (taken.require_tls, taken.ignores_policies)
        };
        let no = "TLS-Required: No\r\n";
        assert_eq!(send("a@x.test", "", false).await, (false, false));
        assert_eq!(send("b@x.test", "", true).await, (true, false));
        assert_eq!(send("c@x.test", no, false).await, (false, true));
        assert_eq!(send("d@x.test", no, true).await, (true, false), "who requires it, wants it");
    });
}

#[test]
fn members_of_a_group_may_be_anywhere() {
    outside(82, async |world, outside| {
        let members: Vec<String> = (0..250).map(|number| format!("m{number}@far.test")).collect();
        let mut listed = members.clone();
        listed.push("alice@rialto.test".into());
        world.group("all", &listed).await;
        world.send("bob", &["all", "m7@far.test"], "group").await;
        is_empty(&world).await;
        for member in &members {
            assert_eq!(outside.copies(member), 1, "{member}");
        }
        let largest = outside.taken().iter().map(|taken| taken.recipients.len()).max();
        assert_eq!(largest, Some(100));
        assert_eq!(world.inbox("alice").await.len(), 1);
    });
}

#[test]
fn each_recipient_has_a_fate_of_its_own() {
    outside(83, async |world, outside| {
        outside.set("x.test", Does::Judge);
        let mut submission =
            world.submission("alice", &["ok@x.test", "fails@x.test", "temp@x.test"], "mixed").await;
        submission.envelope.envelope_id = Some("env-7".into());
        submission.envelope.recipients[1].original = Some("rfc822;old@y.test".into());
        world.node.transport.accept(submission).await.unwrap();
        world.env.clock.sleep(Duration::from_secs(60)).await;
        let waiting = world.node.transport.list(None, 10).await.unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!(waiting[0].recipients.len(), 1);
        assert_eq!(waiting[0].recipients[0].0, address("temp@x.test"));
        let shown = format!("{waiting:?}");
        assert!(shown.contains("451 4.1.1 the answer is 451 (mx.x.test [192.0.2.1])"), "{shown}");
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1);
        for part in [
            "Return-Path: <>",
            "Original-Envelope-Id: env-7",
            "Original-Recipient: rfc822; old@y.test",
            "Final-Recipient: rfc822; fails@x.test",
            "Action: failed",
            "Status: 5.1.1",
            "Remote-MTA: dns; mx.x.test",
            "Diagnostic-Code: smtp; 550 5.1.1 the answer is 550",
        ] {
            assert!(told[0].contains(part), "{part:?} is not in {}", told[0]);
        }
        outside.set("x.test", Does::Take { dsn: true });
        is_empty(&world).await;
        assert_eq!((outside.copies("ok@x.test"), outside.copies("temp@x.test")), (1, 1));
        assert_eq!(outside.copies("fails@x.test"), 0);
        assert!(outside.taken().iter().all(|one| one.envelope_id.as_deref() == Some("env-7")));
    });
}

#[test]
fn success_is_told_where_the_next_hop_will_not() {
    for (dsn, expect) in [(true, 0), (false, 1)] {
        outside(84, async |world, outside| {
            outside.set("x.test", Does::Take { dsn });
            let mut submission = world.submission("alice", &["a@x.test", "b@x.test"], "told").await;
            let notify = Notify { success: true, ..Notify::default() };
            submission.envelope.recipients[0].notify = notify;
            world.node.transport.accept(submission).await.unwrap();
            is_empty(&world).await;
            let told = world.inbox("alice").await;
            assert_eq!(told.len(), expect, "{told:?}");
            for report in told {
                assert!(report.contains("Action: relayed") && report.contains("a@x.test"));
                assert!(!report.contains("rfc822; b@x.test"), "{report}");
            }
        });
    }
}

#[test]
fn a_domain_that_takes_no_mail_fails_at_once() {
    outside(85, async |world, outside| {
        outside.set("none.test", Does::Never);
        for number in 0..3 {
            world.send("alice", &["a@none.test"], &format!("m{number}")).await;
        }
        is_empty(&world).await;
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().all(|one| one.contains("Status: 5.1.2")), "{told:?}");
        assert!(!told[0].contains("Remote-MTA"), "nobody there said so: {}", told[0]);
    });
}

/// Nothing that is waited for makes it smaller.
#[test]
fn what_is_too_large_for_every_connector_fails_at_once() {
    outside(86, async |world, outside| {
        let transport = &world.node.transport;
        let small = contract_transport::connector::SendConnector {
            size_bytes_max: Some(10),
            ..connector("small", "*.small.test")
        };
        transport.create_connector(&Actor::System, small).await.unwrap();
        transport.remove_connector(&Actor::System, "out").await.unwrap();
        world.send("alice", &["a@b.small.test"], "large").await;
        is_empty(&world).await;
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1, "{told:?}");
        for part in ["Status: 5.3.4", "No more than 10 bytes are sent to that domain"] {
            assert!(told[0].contains(part), "{part:?} is not in {}", told[0]);
        }
        assert_eq!(outside.opened_in_all(), 0);
    });
}

#[test]
fn smart_hosts_take_everything_together() {
    outside(87, async |world, outside| {
        let hosts = vec![Host { name: "smart.test".into(), port: 2525 }];
        let change =
            ConnectorChange { route: Some(Route::SmartHosts(hosts)), ..ConnectorChange::default() };
        let transport = &world.node.transport;
        transport.update_connector(&Actor::System, "out", change).await.unwrap();
        world.send("alice", &["a@one.test", "b@two.test"], "smart").await;
        is_empty(&world).await;
        assert_eq!((outside.opened("smart.test"), outside.taken().len()), (1, 1));
        assert_eq!((outside.copies("a@one.test"), outside.copies("b@two.test")), (1, 1));
    });
}

#[test]
fn connections_are_used_again_and_limited() {
    run(88, async |mut world| {
        let outside = Outside::slow(Duration::from_millis(100));
        world.relaying(&outside).await;
        let mut sent = Vec::new();
        for number in 0..300 {
            let to = format!("m{number}@busy.test");
            world.send("alice", &[&to], &format!("n{number}")).await;
            sent.push(to);
        }
        is_empty(&world).await;
        for to in &sent {
            assert_eq!(outside.copies(to), 1, "{to}");
        }
        assert!(outside.open_max("busy.test") <= 20, "{}", outside.open_max("busy.test"));
        assert!(outside.messages_max() <= 20, "{}", outside.messages_max());
        assert!(outside.opened("busy.test") < 150, "{}", outside.opened("busy.test"));
    });
}

#[test]
fn attack_15_a_message_that_runs_in_circles_ends() {
    outside(89, async |world, outside| {
        for (received, expect) in [(60, 0), (61, 1)] {
            let mut submission = world.submission("alice", &["a@x.test"], "loop").await;
            let trace =
                "Received: from a by b; Thu, 1 Jan 1970 00:00:00 +0000\r\n".repeat(received);
            submission.content = submission.content.with_prefix(trace.into());
            world.node.transport.accept(submission).await.unwrap();
            is_empty(&world).await;
            let told = world.inbox("alice").await;
            assert_eq!(told.len(), expect, "{told:?}");
            assert!(told.iter().all(|one| one.contains("Status: 5.4.6")), "{told:?}");
        }
        assert_eq!(outside.copies("a@x.test"), 1);
    });
}

#[test]
fn what_is_8_bit_is_known_before_it_is_sent() {
    outside(90, async |world, outside| {
        for (prefix, is_8bit, needs_smtputf8) in
            [("", false, false), ("X-Note: b\u{fc}cher\r\n", true, true)]
        {
            let mut submission = world.submission("alice", &["a@x.test"], "bytes").await;
            submission.content = submission.content.with_prefix(prefix.to_owned().into());
            let utf8 = Recipient::plain(base::Address::new("b\u{fc}", "y.test"));
            submission.envelope.recipients.push(utf8);
            world.node.transport.accept(submission).await.unwrap();
            is_empty(&world).await;
            let taken = outside.taken();
            let last = &taken[taken.len() - 2..];
            let of = |domain: &str| last.iter().find(|one| one.recipients[0].ends_with(domain));
            let (plain, utf8) = (of("x.test").unwrap(), of("y.test").unwrap());
            assert_eq!((plain.is_8bit, plain.needs_smtputf8), (is_8bit, needs_smtputf8));
            assert!(utf8.needs_smtputf8);
        }
    });
}

/// The row of a message for a next hop has more to hold than the one that it comes from.
#[test]
fn what_is_too_much_for_a_row_comes_back() {
    outside(99, async |world, outside| {
        let members: Vec<String> = (0..100).map(|number| format!("m{number}@far.test")).collect();
        world.group("all", &members).await;
        let mut submission = world.submission("alice", &["all"], "large").await;
        let field = format!("X-Pad: {}\r\n", "x".repeat(70));
        submission.content = submission.content.with_prefix(Bytes::from(field.repeat(800)));
        let original = format!("rfc822;{}@rialto.test", "x".repeat(470));
        submission.envelope.recipients[0].original = Some(original);
        world.node.transport.accept(submission).await.unwrap();
        is_empty(&world).await;
        assert!(outside.taken().is_empty());
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("Status: 5.3.0") && told[0].contains("m99@far.test"));
    });
}
