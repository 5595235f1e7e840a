//! Calls that find no link, or no credit on it, wait: in bounds, in order, and in nobody's way.

use super::world::*;
use crate::link::*;
use base::env::sim::test_seed;
use base::{Deadline, Kind, NodeId, Universe};
use futures::future::join_all;
use std::time::Duration;

fn data(requests: u32) -> LinkSettings {
    let data = Window { requests, bytes: 1 << 20 };
    let windows = Windows { data, ..LinkSettings::default().windows };
    LinkSettings { windows, ..LinkSettings::default() }
}

#[test]
fn a_thousand_sessions_that_come_at_once_are_all_served() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings::default();
        let one = start(&world, 1, settings).await;
        one.knows(&[(2, (host(2), 7000).into())]);
        let calls = join_all((0..3000).map(|n| one.echo(2, n)));
        let (calls, _two) = futures::join!(calls, comes_up_late(&world, settings));
        let refused: Vec<_> = calls.iter().filter_map(|call| call.as_ref().err()).collect();
        assert!(refused.is_empty(), "{} refused, as {:?}", refused.len(), refused[0]);
    });
}

#[test]
fn who_waits_for_credit_is_counted() {
    let (calls, bytes) = ((5, 1 << 20), (1000, 5 * 512));
    for (waiting_max, waiting_bytes_max) in [calls, bytes] {
        Universe::simulate(test_seed(), async |world| {
            let settings = LinkSettings { waiting_max, waiting_bytes_max, ..data(4) };
            let (one, _two, _switch) = pair(&world, settings).await;
            one.echo(2, 1).await.unwrap();
            let env = world.env();
            let asked = (0..20).map(|n| {
                let (one, env) = (&one, &env);
                async move {
                    let begun = env.clock.monotonic();
                    let outcome = one.ask(2, Ask::Slow(1000, n), secs(60)).await;
                    (outcome, env.clock.monotonic() - begun)
                }
            });
            let asked = join_all(asked).await;
            assert_eq!(asked.iter().filter(|(outcome, _)| outcome.is_ok()).count(), 9);
            for (outcome, took) in &asked {
                let Err(failed) = outcome else { continue };
                let found = (failed.error.kind, failed.executed);
                assert_eq!(found, (Kind::Overloaded, Executed::No));
                assert!(*took < Duration::from_millis(100), "{took:?}");
            }
            // All places are given back.
            let again = join_all((0..9).map(|n| one.ask(2, Ask::Slow(10, n), secs(60)))).await;
            assert!(again.iter().all(Result::is_ok), "{again:?}");
        });
    }
}

#[test]
fn waiting_is_in_order_of_arrival() {
    Universe::simulate(test_seed(), async |world| {
        let (one, _two, _switch) = pair(&world, data(1)).await;
        one.echo(2, 1).await.unwrap();
        let (env, first) = (world.env(), world.env().clock.monotonic());
        let calls = (0..10).map(|n| {
            let (one, env) = (&one, &env);
            async move {
                one.ask(2, Ask::Slow(1000, n), secs(60)).await.unwrap();
                (env.clock.monotonic() - first).as_secs()
            }
        });
        let ended = join_all(calls).await;
        assert!(ended.is_sorted() && ended[9] >= 10, "{ended:?}");
    });
}

#[test]
fn what_the_cluster_says_does_not_wait_behind_mail() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings { waiting_max: 2, ..data(1) };
        let one = start(&world, 1, settings).await;
        one.knows(&[(2, (host(2), 7000).into())]);
        let control = |n| {
            let outbound = Outbound { lane: Lane::Control, ..Ask::Echo(n).outbound() };
            one.links.call(NodeId(2), outbound, Deadline::after(secs(1)))
        };
        // The places for mail are taken: while there is no link, and then while there is no credit.
        let mail = join_all((0..8).map(|_| one.ask(2, Ask::Hang, secs(10))));
        let cluster = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let early = control(1);
            let starting = async {
                let two = start(&world, 2, settings).await;
                two.knows(&[(1, (host(1), 7000).into())]);
                two
            };
            let (early, two) = futures::join!(early, starting);
            tokio::time::sleep(secs(1)).await;
            let refused = one.ask(2, Ask::Echo(7), secs(1)).await.unwrap_err();
            assert_eq!((refused.error.kind, refused.executed), (Kind::Overloaded, Executed::No));
            (early, control(2).await, two)
        };
        let (_mail, (early, late, _two)) = futures::join!(mail, cluster);
        assert!(early.is_ok() && late.is_ok(), "{early:?} {late:?}");
    });
}

#[test]
fn a_link_that_closes_or_breaks_lets_everybody_go_at_once() {
    for breaks in [false, true] {
        Universe::simulate(test_seed(), async |world| {
            let (one, _two, _switch) = pair(&world, data(1)).await;
            one.echo(2, 1).await.unwrap();
            let link = one.links.link(NodeId(2)).unwrap();
            let busy = one.ask(2, Ask::Slow(5000, 1), secs(60));
            let env = world.env();
            let waiting = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                let calls =
                    (0..50).map(|n| link.call(Ask::Echo(n).outbound(), Deadline::after(secs(60))));
                (join_all(calls).await, env.clock.monotonic())
            };
            let closing = async {
                tokio::time::sleep(secs(1)).await;
                match breaks {
                    true => world.network.cut(host(1), host(99)),
                    false => link.retire("for a test"),
                }
                env.clock.monotonic()
            };
            let (busy, (waited, woken_at), closed_at) = futures::join!(busy, waiting, closing);
            assert_eq!(busy.is_ok(), !breaks);
            assert!(woken_at - closed_at < Duration::from_millis(500));
            for call in waited {
                let failed = call.unwrap_err();
                assert_eq!((failed.error.kind, failed.executed), (Kind::Unavailable, Executed::No));
            }
        });
    }
}

#[test]
fn a_node_that_does_not_answer_is_in_nobodys_way() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings { waiting_max: 3, ..data(1) };
        let (one, _two, _switch) = pair(&world, settings).await;
        let three = start(&world, 3, settings).await;
        let to = |node| (node, (host(node), 7000).into());
        one.knows(&[to(2), to(3)]);
        three.knows(&[to(1)]);
        one.echo(2, 1).await.unwrap();
        let stuck = join_all((0..9).map(|_| one.ask(2, Ask::Hang, secs(5))));
        let fine = async {
            tokio::time::sleep(secs(1)).await;
            join_all((0..4).map(|n| one.echo(3, n))).await
        };
        let (_stuck, fine) = futures::join!(stuck, fine);
        assert!(fine.iter().all(Result::is_ok), "{fine:?}");
    });
}
