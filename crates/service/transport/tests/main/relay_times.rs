//! When other servers are tried again, and when no more; what waiting costs.

use crate::courier::{Does, Outside};
use crate::outgoing::{is_empty, outside};
use crate::world::{address, run_simulated};
use contract_transport::relay::HopStatus;
use contract_transport::{QueueAdmin, RecipientState};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_hop_that_is_away_is_tried_as_a_whole() {
    outside(91, async |world, outside| {
        outside.set("away.test", Does::Away);
        for number in 0..5 {
            world.send("alice", &["a@away.test"], &format!("m{number}")).await;
        }
        let check = async |wait: Duration, expect: u32| {
            world.env.clock.sleep(wait).await;
            assert_eq!(outside.opened("away.test"), expect, "after {wait:?} more");
        };
        check(MINUTE / 2, 1).await;
        check(4 * MINUTE, 5).await;
        check(5 * MINUTE, 6).await;
        check(25 * MINUTE, 11).await;
        check(10 * MINUTE, 12).await;
        check(10 * MINUTE, 13).await;
        let hops = world.node.transport.hops().await.unwrap();
        assert_eq!(hops.len(), 1);
        assert_eq!((hops[0].hop.to_string(), hops[0].messages), ("out/away.test".to_owned(), 5));
        let HopStatus::Retry { attempts, next_attempt, last_error } = &hops[0].status else {
            panic!("{hops:?}")
        };
        assert_eq!((*attempts, last_error.as_str()), (13, "4.4.1 Nobody is at home"));
        assert!(*next_attempt > world.env.clock.now());
        // A new message does not change that.
        world.send("alice", &["b@away.test"], "late").await;
        check(MINUTE, 13).await;
        outside.set("away.test", Does::Take { dsn: true });
        world.env.clock.sleep(10 * MINUTE).await;
        is_empty(&world).await;
        assert!((14..=16).contains(&outside.opened("away.test")), "few are enough");
        assert_eq!((outside.copies("a@away.test"), outside.copies("b@away.test")), (5, 1));
    });
}

#[test]
fn delays_and_expiry_are_told_once() {
    outside(92, async |world, outside| {
        outside.set("away.test", Does::Away);
        world.send("alice", &["a@away.test"], "old").await;
        world.env.clock.sleep(4 * HOUR + 11 * MINUTE).await;
        let told = world.inbox("alice").await;
        assert_eq!(told.len(), 1, "{told:?}");
        for part in ["Action: delayed", "Final-Recipient: rfc822; a@away.test", "Will-Retry-Until"]
        {
            assert!(told[0].contains(part), "{part} is not in {}", told[0]);
        }
        world.send("alice", &["b@away.test"], "young").await;
        world.later(Duration::from_secs(44 * 3600)).await;
        world.env.clock.sleep(11 * MINUTE).await;
        // It is older than two days by now, but that was one attempt after a long pause.
        assert_eq!(world.node.transport.count().await.unwrap(), 2);
        world.env.clock.sleep(HOUR).await;
        world.settle_to(1).await;
        let told = world.inbox("alice").await;
        let of = |action: &str, to: &str| {
            let found = told.iter().filter(|one| one.contains(action) && one.contains(to));
            found.count()
        };
        assert_eq!(of("Action: failed", "a@away.test"), 1, "{told:?}");
        assert_eq!(of("Status: 4.4.7", "a@away.test"), 2, "the delay and the end");
        assert_eq!(of("Action: delayed", "a@away.test"), 1);
        assert_eq!(of("Action: delayed", "b@away.test"), 1);
        assert_eq!(of("Action: failed", "b@away.test"), 0);
        outside.set("away.test", Does::Take { dsn: true });
        is_empty(&world).await;
        assert_eq!((outside.copies("a@away.test"), outside.copies("b@away.test")), (0, 1));
    });
}

#[test]
fn a_message_that_is_put_off_waits_on_its_own() {
    for does in [Does::Judge, Does::Break] {
        outside(93, async |world, outside| {
            outside.set("x.test", does);
            world.send("alice", &["temp@x.test"], "put off").await;
            world.env.clock.sleep(MINUTE).await;
            let listed = world.node.transport.list(None, 10).await.unwrap();
            let (to, state) = &listed[0].recipients[0];
            assert_eq!(*to, address("temp@x.test"));
            let RecipientState::Waiting { attempts: 1, next_attempt, last_error: Some(_) } = state
            else {
                panic!("{state:?}")
            };
            let wait_ms = next_attempt.unix_ms - world.env.clock.now().unix_ms;
            assert!((13 * 60_000..15 * 60_000).contains(&wait_ms), "{wait_ms}");
            let hops = world.node.transport.hops().await.unwrap();
            assert_eq!((hops[0].status.clone(), hops[0].messages), (HopStatus::Ready, 1));
            outside.set("x.test", Does::Take { dsn: true });
            // Others do not wait for it.
            world.send("alice", &["other@x.test"], "other").await;
            world.env.clock.sleep(MINUTE).await;
            assert_eq!((outside.copies("other@x.test"), outside.copies("temp@x.test")), (1, 0));
            world.env.clock.sleep(14 * MINUTE).await;
            is_empty(&world).await;
            assert_eq!(outside.copies("temp@x.test"), 1);
        });
    }
}

#[test]
fn who_hangs_holds_up_nobody_else() {
    outside(94, async |world, outside| {
        outside.set("open.test", Does::HangOpen);
        outside.set("talk.test", Does::HangTransfer);
        world.send("alice", &["a@open.test", "a@talk.test", "a@fine.test"], "three").await;
        world.env.clock.sleep(MINUTE).await;
        assert_eq!(outside.copies("a@fine.test"), 1);
        world.send("alice", &["b@fine.test"], "four").await;
        world.env.clock.sleep(MINUTE).await;
        assert_eq!(outside.copies("b@fine.test"), 1);
        world.env.clock.sleep(4 * HOUR).await;
        assert!(outside.opened("open.test") > 5, "a connection that hangs is given up");
        assert!(outside.opened("talk.test") > 1, "a transfer that hangs is given up");
    });
}

#[test]
fn what_crashes_twice_is_set_aside() {
    outside(95, async |world, outside| {
        outside.set("x.test", Does::Panic);
        let queue = world.send("alice", &["a@x.test"], "poison").await;
        world.env.clock.sleep(10 * MINUTE).await;
        let listed = world.node.transport.list(None, 10).await.unwrap();
        assert!(listed.len() == 1 && listed[0].poison, "{listed:?}");
        assert_ne!(listed[0].queue, queue, "it has a name of its own by then");
        assert_eq!(outside.opened("x.test"), 2);
        outside.set("x.test", Does::Take { dsn: true });
        world.send("alice", &["b@x.test"], "fine").await;
        world.env.clock.sleep(MINUTE).await;
        assert_eq!((outside.copies("a@x.test"), outside.copies("b@x.test")), (0, 1));
        world.node.transport.retry(listed[0].queue).await.unwrap();
        is_empty(&world).await;
        assert_eq!(outside.copies("a@x.test"), 1);
    });
}

/// 10,000 messages wait for 1,000 hops that are away.
#[test]
fn what_is_not_due_costs_nothing() {
    run_simulated(96, async |mut world| {
        let outside = Outside::default();
        world.relaying(&outside).await;
        let domains: Vec<String> = (0..1_000).map(|number| format!("away{number}.test")).collect();
        domains.iter().for_each(|domain| outside.set(domain, Does::Away));
        for some in domains.chunks(100) {
            let to: Vec<String> = some.iter().map(|domain| format!("a@{domain}")).collect();
            let to: Vec<&str> = to.iter().map(String::as_str).collect();
            for number in 0..10 {
                world.send("alice", &to, &format!("m{number}")).await;
            }
        }
        // They have all been tried seven times at least, and are next in five minutes.
        world.env.clock.sleep(16 * MINUTE).await;
        assert_eq!(world.node.transport.count().await.unwrap(), 10_000);
        assert!(outside.opened_in_all() >= 6_000, "{}", outside.opened_in_all());
        let rows = world.memory().stats().rows_read;
        let (reads, opened) = (reads(&world), outside.opened_in_all());
        world.env.clock.sleep(5 * MINUTE).await;
        let tried = u64::from(outside.opened_in_all() - opened);
        let (reads, rows) = (self::reads(&world) - reads, world.memory().stats().rows_read - rows);
        // Each attempt looks at its slot, at the first messages of its hop, and writes down.
        assert!(tried <= 2_000, "{tried}");
        assert!(reads <= 20 * tried + 1_000, "{reads} reads for {tried} attempts");
        assert!(rows <= 40 * tried + 1_000, "{rows} rows for {tried} attempts");
        let (before, opened) = (self::reads(&world), outside.opened_in_all());
        world.env.clock.sleep(Duration::from_secs(1)).await;
        if outside.opened_in_all() == opened {
            let reads = self::reads(&world) - before;
            assert!(reads < 50, "{reads} reads in a second in which nothing was due");
        }
    });
}

fn reads(world: &crate::world::World) -> u64 {
    let stats = world.memory().stats();
    stats.point_reads + stats.range_reads
}
