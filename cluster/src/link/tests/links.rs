//! What links do while the network works: both ways, bounded, cancelled, negotiated, closed.

use super::world::*;
use crate::link::*;
use base::env::sim::test_seed;
use base::{Deadline, Epoch, Kind, NodeId, Universe};
use bytes::Bytes;
use futures::future::join_all;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[test]
fn one_link_serves_both_directions() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, switch) = pair(&world, LinkSettings::default()).await;
        assert_eq!(one.echo(2, 7).await, Ok(7));
        assert_eq!(two.echo(1, 8).await, Ok(8));
        assert_eq!(switch.connections.load(SeqCst), 1);
        assert_eq!(*two.desk.from.lock(), [(NodeId(1), Epoch(3), 0)]);
        let status = one.links.status();
        let link = status[0].link.as_ref().unwrap();
        assert_eq!((status[0].node, link.peer.node, link.schema), (NodeId(2), NodeId(2), 1));
        assert_eq!((link.asked, link.served), (0, 0));
    });
}

#[test]
fn failures_say_whether_the_request_was_executed() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, _switch) = pair(&world, LinkSettings::default()).await;
        let failed = async |ask: Ask, time| one.ask(2, ask, time).await.unwrap_err();
        let answered = failed(Ask::Fail, secs(5)).await;
        assert_eq!(answered.executed, Executed::Answered);
        assert_eq!(answered.error, base::Error::not_found("it").detail("asked to fail"));
        let late = failed(Ask::Hang, secs(5)).await;
        assert_eq!((late.error.kind, late.executed), (Kind::Timeout, Executed::Unknown));
        let broke = failed(Ask::Panic, secs(5)).await;
        assert_eq!((broke.error.kind, broke.executed), (Kind::Internal, Executed::Unknown));
        let stranger = one.ask(3, Ask::Echo(1), secs(5)).await.unwrap_err();
        assert_eq!((stranger.error.kind, stranger.executed), (Kind::Unavailable, Executed::No));
        let mut outbound = Ask::Echo(1).outbound();
        outbound.payload = Bytes::from(vec![0; frame::PAYLOAD_BYTES_MAX + 1]);
        let large = one.links.call(NodeId(2), outbound, Deadline::after(secs(5))).await;
        let large = large.unwrap_err();
        assert_eq!((large.error.kind, large.executed), (Kind::Limit, Executed::No));
        let large = failed(Ask::Large(frame::PAYLOAD_BYTES_MAX + 1), secs(5)).await;
        assert_eq!((large.error.kind, large.executed), (Kind::Limit, Executed::Answered));
        // None of this has hurt the link, and nothing is left behind.
        assert_eq!(one.echo(2, 7).await, Ok(7));
        until("all is answered", || two.desk.now() == 0).await;
        let link = one.links.link(NodeId(2)).unwrap().status();
        assert_eq!((link.asked, link.served), (0, 0));
    });
}

#[test]
fn the_largest_reply_passes() {
    Universe::simulate(test_seed(), async |world| {
        let (one, _two, _switch) = pair(&world, LinkSettings::default()).await;
        let large = one.ask(2, Ask::Large(frame::PAYLOAD_BYTES_MAX), secs(20)).await.unwrap();
        assert_eq!(large.len(), frame::PAYLOAD_BYTES_MAX);
    });
}

fn narrow(requests: u32, bytes: u64) -> LinkSettings {
    let data = Window { requests, bytes };
    let windows = Windows { data, ..LinkSettings::default().windows };
    LinkSettings { windows, ..LinkSettings::default() }
}

#[test]
fn no_more_is_asked_at_once_than_was_granted() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, _switch) = pair(&world, narrow(4, 1 << 20)).await;
        let calls = (0..20).map(|n| one.ask(2, Ask::Slow(1000, n), secs(60)));
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(two.desk.most.load(SeqCst), 4);
        // Who cannot be sent within its time is told that nothing was done.
        let calls = join_all((0..6).map(|_| one.ask(2, Ask::Hang, secs(2)))).await;
        let executed: Vec<_> = calls.into_iter().map(|call| call.unwrap_err()).collect();
        let not = executed.iter().filter(|e| e.executed == Executed::No).count();
        assert_eq!(not, 2, "{executed:?}");
        assert!(executed.iter().all(|e| match e.executed {
            Executed::No => e.error.kind == Kind::Overloaded,
            _ => e.error.kind == Kind::Timeout,
        }));
        assert_eq!(one.echo(2, 1).await, Ok(1));
        // The control lane has a window of its own.
        let hanging = join_all((0..4).map(|_| one.ask(2, Ask::Hang, secs(5))));
        let control = async {
            tokio::time::sleep(secs(1)).await;
            let outbound = Outbound { lane: Lane::Control, ..Ask::Echo(5).outbound() };
            one.links.call(NodeId(2), outbound, Deadline::after(secs(1))).await
        };
        assert!(futures::join!(hanging, control).1.is_ok());
    });
}

#[test]
fn bytes_are_granted_too() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, _switch) = pair(&world, narrow(100, 2048)).await;
        // Each takes 512 bytes: a short payload and the overhead, in whole units.
        let calls = (0..12).map(|n| one.ask(2, Ask::Slow(1000, n), secs(60)));
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(two.desk.most.load(SeqCst), 4);
        let mut outbound = Ask::Echo(1).outbound();
        outbound.payload = Bytes::from(vec![0; 4096]);
        let never = one.links.call(NodeId(2), outbound, Deadline::after(secs(5))).await;
        assert_eq!(never.unwrap_err().error.kind, Kind::Limit);
    });
}

#[test]
fn a_caller_that_goes_away_cancels_its_request() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, _switch) = pair(&world, narrow(2, 1 << 20)).await;
        for _ in 0..5 {
            let gone = tokio::time::timeout(secs(1), one.ask(2, Ask::Hang, secs(600)));
            assert!(gone.await.is_err());
        }
        until("cancelled", || two.desk.now() == 0).await;
        assert_eq!(two.desk.begun(&Ask::Hang), 5);
        // All credits are back: both places can be used.
        let both = join_all((0..2).map(|n| one.ask(2, Ask::Slow(100, n), secs(5)))).await;
        assert!(both.iter().all(Result::is_ok));
        assert_eq!(two.desk.most.load(SeqCst), 2);
    });
}

#[test]
fn hints_arrive_until_there_are_too_many() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, _switch) = pair(&world, narrow(40, 1 << 20)).await;
        one.links.hint(NodeId(2), Ask::Echo(0).outbound());
        assert_eq!(one.echo(2, 99).await, Ok(99));
        assert_eq!(two.desk.begun(&Ask::Echo(0)), 0, "there was no link");
        for _ in 0..30 {
            for n in 1..=10 {
                one.links.hint(NodeId(2), Ask::Echo(n).outbound());
            }
            tokio::time::sleep(secs(1)).await;
        }
        assert_eq!(two.desk.begun(&Ask::Echo(1)), 30);
        assert_eq!(two.desk.begun(&Ask::Echo(10)), 30);
        // A quarter of the window is for hints; what exceeds it is dropped, requests still pass.
        for _ in 0..100 {
            one.links.hint(NodeId(2), Ask::Hang.outbound());
        }
        assert_eq!(one.echo(2, 1).await, Ok(1));
        assert_eq!(two.desk.begun(&Ask::Hang), 10);
        // Hints that hang are given up, and their places come back.
        tokio::time::sleep(base::router::HINT_TIME * 2).await;
        one.links.hint(NodeId(2), Ask::Echo(77).outbound());
        until("the hint", || two.desk.begun(&Ask::Echo(77)) == 1).await;
        assert_eq!(one.links.link(NodeId(2)).unwrap().status().asked, 0);
    });
}

#[test]
fn replies_that_nobody_takes_are_bounded() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings { reply_bytes_max: 100_000, ..LinkSettings::default() };
        let (one, two, switch) = pair(&world, settings).await;
        one.echo(2, 1).await.unwrap();
        switch.lines[1].cut();
        let calls = (0..50).map(|_| one.ask(2, Ask::Large(60_000), secs(2)));
        let ended = join_all(calls).await;
        assert!(
            ended.iter().all(|call| call.as_ref().is_err_and(|e| e.executed == Executed::Unknown))
        );
        switch.lines[1].mend();
        until("the link works", || two.desk.now() == 0).await;
        // Two at once do not fit where they wait to be written, nor where they wait to be taken,
        // but take their turns.
        let large = || one.ask(2, Ask::Large(60_000), secs(5));
        let turns = join_all((0..10).map(|_| large())).await;
        assert!(turns.iter().all(Result::is_ok));
        // Somebody who asks and does not take the answer costs others theirs, not the link.
        let mut sleeper = Box::pin(large());
        assert!(futures::poll!(sleeper.as_mut()).is_pending());
        tokio::time::sleep(Duration::from_millis(500)).await;
        let other = large().await.unwrap_err();
        assert_eq!((other.error.kind, other.executed), (Kind::Overloaded, Executed::Unknown));
        assert!(sleeper.await.is_ok() && large().await.is_ok());
    });
}

#[test]
fn neighbouring_versions_agree_and_distant_ones_do_not() {
    for (ours, works) in [(1..=2, true), (2..=3, false)] {
        Universe::simulate(test_seed(), async |world| {
            let settings = LinkSettings::default();
            let env = world.env_at(host(1), &world.disk);
            let (setup, desk) = setup(&env, unprotected(1), 1, settings);
            let setup = LinksSetup { schemas: ours.clone(), feature_level: 9, ..setup };
            let one = start_at(setup, desk, (host(1), 7000).into()).await;
            let two = start(&world, 2, settings).await;
            one.knows(&[(2, (host(2), 7000).into())]);
            two.knows(&[(1, (host(1), 7000).into())]);
            assert_eq!(one.echo(2, 1).await.is_ok(), works);
            assert_eq!(two.echo(1, 1).await.is_ok(), works);
            if works {
                let link = two.links.link(NodeId(1)).unwrap();
                assert_eq!((link.schema, link.peer.feature_level), (1, 9));
            }
        });
    }
}

#[test]
fn a_link_that_is_closed_answers_what_was_asked() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, _switch) = pair(&world, LinkSettings::default()).await;
        one.echo(2, 1).await.unwrap();
        let slow = one.ask(2, Ask::Slow(1000, 5), secs(10));
        let closing = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            two.links.shut_down(Deadline::after(secs(5))).await;
        };
        let new = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            one.ask(2, Ask::Echo(2), secs(1)).await
        };
        let (slow, (), new) = futures::join!(slow, closing, new);
        assert!(slow.is_ok(), "{slow:?}");
        if let Err(refused) = new {
            assert_eq!(refused.executed, Executed::No);
        }
        until("the link ends", || one.links.link(NodeId(2)).is_none()).await;
        let gone = one.ask(2, Ask::Echo(3), secs(10)).await.unwrap_err();
        assert_eq!((gone.error.kind, gone.executed), (Kind::Unavailable, Executed::No));
    });
}

#[test]
fn members_come_and_go() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, switch) = pair(&world, LinkSettings::default()).await;
        one.echo(2, 1).await.unwrap();
        let hanging = one.ask(2, Ask::Hang, secs(60));
        let removing = async {
            tokio::time::sleep(secs(1)).await;
            one.knows(&[]);
        };
        let (broken, ()) = futures::join!(hanging, removing);
        assert_eq!(broken.unwrap_err().executed, Executed::Unknown);
        assert_eq!(one.echo(2, 1).await.unwrap_err().executed, Executed::No);
        // The other end sees the link go, and nobody dials it.
        until("the other end", || two.links.link(NodeId(1)).is_none()).await;
        let before = switch.connections.load(SeqCst);
        tokio::time::sleep(secs(60)).await;
        assert_eq!(switch.connections.load(SeqCst), before);
        one.knows(&[(2, switch.address)]);
        assert_eq!(two.echo(1, 3).await, Ok(3));
    });
}

#[test]
fn a_node_apart_for_a_drill_is_linked_to_nobody_until_it_is_over() {
    Universe::simulate(test_seed(), async |world| {
        let (one, two, _switch) = pair(&world, LinkSettings::default()).await;
        assert_eq!(one.echo(2, 7).await, Ok(7));
        for apart in [&one, &two] {
            apart.links.isolate(secs(5));
            tokio::time::sleep(secs(1)).await;
            assert!(one.links.link(NodeId(2)).is_none() && two.links.link(NodeId(1)).is_none());
            let refused = two.ask(1, Ask::Echo(1), Duration::from_millis(500)).await.unwrap_err();
            assert_eq!(refused.executed, Executed::No);
            tokio::time::sleep(secs(8)).await;
            assert_eq!(two.echo(1, 8).await, Ok(8));
        }
    });
}

#[test]
fn both_sides_hear_that_nobody_listens_any_more() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings::default();
        for dies in [1, 2] {
            let mut nodes =
                [start(&world, 1, settings).await, start(&world, 2, settings).await].map(Some);
            let told = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
            for (node, other) in nodes.iter().flatten().zip([2, 1]) {
                let (told, me) = (told.clone(), 3 - other);
                node.links.on_refusal(move |node| told.lock().push((me, node.0)));
                node.knows(&[(other, (host(other), 7000).into())]);
            }
            let one = nodes[0].as_ref().unwrap();
            assert_eq!(one.echo(2, 7).await, Ok(7));
            // A connection that breaks is not yet a death.
            world.network.cut(host(1), host(2));
            until("linked again", || {
                nodes[1].as_ref().unwrap().links.link(NodeId(1)).is_some_and(|l| l.is_usable())
            })
            .await;
            assert_eq!(*told.lock(), []);
            nodes[dies as usize - 1] = None;
            let found = (3 - dies, dies);
            until("the other is told", || told.lock().contains(&found)).await;
            drop(nodes);
            tokio::time::sleep(secs(1)).await;
        }
    });
}
