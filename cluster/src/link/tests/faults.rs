//! Links in a network that fails.

use super::world::*;
use crate::link::*;
use base::env::Random;
use base::env::sim::{SeededRandom, test_seed};
use base::{Kind, NodeId, Universe};
use futures::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

#[test]
fn a_line_cut_one_way_is_noticed_at_both_ends() {
    for direction in [0, 1] {
        Universe::simulate(test_seed(), async |world| {
            let settings = LinkSettings::default();
            let (one, two, switch) = pair(&world, settings).await;
            one.echo(2, 1).await.unwrap();
            let hanging = async {
                let calls = (one.ask(2, Ask::Hang, secs(60)), two.ask(1, Ask::Hang, secs(60)));
                let calls = futures::join!(calls.0, calls.1);
                (calls.0.unwrap_err(), calls.1.unwrap_err())
            };
            let env = world.env();
            let cutting = async {
                tokio::time::sleep(secs(1)).await;
                switch.lines[direction].cut();
                env.clock.monotonic()
            };
            let ((a, b), cut_at) = futures::join!(hanging, cutting);
            let took = env.clock.monotonic() - cut_at;
            assert!(took < settings.silence_max * 2 + settings.ping_every * 2, "{took:?}");
            for failed in [a, b] {
                assert_eq!(failed.error.kind, Kind::Unavailable);
                assert_eq!(failed.executed, Executed::Unknown);
            }
            let without = one.ask(2, Ask::Echo(5), secs(10)).await.unwrap_err();
            assert_eq!((without.error.kind, without.executed), (Kind::Unavailable, Executed::No));
            assert_eq!(two.desk.begun(&Ask::Echo(5)), 0);
            switch.lines[direction].mend();
            until("it is up again", || two.links.link(NodeId(1)).is_some()).await;
            assert_eq!(one.echo(2, 6).await, Ok(6));
            assert_eq!(two.echo(1, 7).await, Ok(7));
        });
    }
}

#[test]
fn a_reset_fails_what_was_sent_and_carries_what_was_not() {
    Universe::simulate(test_seed(), async |world| {
        let data = Window { requests: 3, bytes: 1 << 20 };
        let windows = Windows { data, ..LinkSettings::default().windows };
        let settings = LinkSettings { windows, ..LinkSettings::default() };
        let (one, two, switch) = pair(&world, settings).await;
        one.echo(2, 1).await.unwrap();
        // Three are sent, two wait for credit.
        let hanging = join_all((0..3).map(|_| one.ask(2, Ask::Hang, secs(60))));
        let waiting = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            join_all((10..12).map(|n| one.echo(2, n))).await
        };
        let resetting = async {
            tokio::time::sleep(secs(1)).await;
            world.network.cut(host(1), host(99));
        };
        let (hanging, waiting, ()) = futures::join!(hanging, waiting, resetting);
        for failed in hanging {
            assert_eq!(failed.unwrap_err().executed, Executed::Unknown);
        }
        // They went over the next link, once each.
        assert!(waiting.iter().all(Result::is_ok), "{waiting:?}");
        assert_eq!([10, 11].map(|n| two.desk.begun(&Ask::Echo(n))), [1, 1]);
        assert_eq!(switch.connections.load(SeqCst), 2);
        until("its requests are dropped", || two.desk.now() == 0).await;
    });
}

#[test]
fn a_peer_that_does_not_read_costs_no_memory() {
    Universe::simulate(test_seed(), async |world| {
        let data = Window { requests: 8, bytes: 1 << 20 };
        let windows = Windows { data, ..LinkSettings::default().windows };
        let patient = LinkSettings {
            windows,
            silence_max: secs(3600),
            frame_time: secs(3600),
            ..LinkSettings::default()
        };
        let (one, two, switch) = pair(&world, patient).await;
        one.echo(2, 1).await.unwrap();
        switch.lines[0].cut();
        let mut large = Ask::Echo(1).outbound();
        large.payload = vec![1; 100_000].into();
        let calls = join_all(
            (0..2000)
                .map(|_| one.links.call(NodeId(2), large.clone(), base::Deadline::after(secs(5)))),
        );
        let watching = async {
            tokio::time::sleep(secs(2)).await;
            assert_eq!(one.links.link(NodeId(2)).unwrap().status().asked, 8);
        };
        let (calls, ()) = futures::join!(calls, watching);
        let kinds = calls.into_iter().map(|call| call.unwrap_err());
        let (timeouts, overloads): (Vec<_>, Vec<_>) =
            kinds.partition(|failed| failed.error.kind == Kind::Timeout);
        assert!(timeouts.len() <= 8 && timeouts.iter().all(|e| e.executed == Executed::Unknown));
        assert!(overloads.iter().all(|e| e.executed == Executed::No));
        assert!(overloads.iter().all(|e| e.error.kind == Kind::Overloaded));
        // What was sent waits for its answers; the rest has left nothing behind.
        assert_eq!(one.links.link(NodeId(2)).unwrap().status().asked, timeouts.len());
        switch.lines[0].mend();
        until("the answers come", || one.links.link(NodeId(2)).unwrap().status().asked == 0).await;
        assert_eq!(one.echo(2, 2).await, Ok(2));
        assert_eq!(two.desk.begun(&Ask::Echo(2)), 1);
    });
}

#[test]
fn calls_wait_for_a_link_and_not_too_many_of_them() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings { waiting_max: 5, ..LinkSettings::default() };
        let one = start(&world, 1, settings).await;
        one.knows(&[(2, (host(2), 7000).into())]);
        let calls = join_all((0..8).map(|n| one.ask(2, Ask::Echo(n), secs(10))));
        let (calls, _two) = futures::join!(calls, comes_up_late(&world, settings));
        assert_eq!(calls.iter().filter(|call| call.is_ok()).count(), 5, "{calls:?}");
        let refused = calls.iter().filter_map(|call| call.as_ref().err());
        assert!(
            refused
                .into_iter()
                .all(|e| { (e.error.kind, e.executed) == (Kind::Overloaded, Executed::No) })
        );
    });
}

#[test]
fn a_dead_node_is_dialled_ever_more_slowly_and_found_again() {
    Universe::simulate(test_seed(), async |world| {
        let settings = LinkSettings::default();
        let (one, two, switch) = pair(&world, settings).await;
        one.echo(2, 1).await.unwrap();
        drop(two);
        until("it is gone", || one.links.link(NodeId(2)).is_none()).await;
        let before = switch.connections.load(SeqCst);
        tokio::time::sleep(secs(120)).await;
        let attempts = switch.connections.load(SeqCst) - before;
        // Between one every two seconds and one a second, and a few quick ones at the beginning.
        assert!((60..=130).contains(&attempts), "{attempts}");
        // Its next start has another boot id.
        let env = world.env_at(host(2), &world.disk);
        let (setup, desk) = setup(&env, unprotected(2), 0xb2, settings);
        let two = start_at(setup, desk, (host(2), 7000).into()).await;
        two.knows(&[(1, (host(1), 7000).into())]);
        until("it is found", || one.links.link(NodeId(2)).is_some()).await;
        assert_eq!(one.links.link(NodeId(2)).unwrap().peer.boot, base::BootId(0xb2));
        assert_eq!(two.echo(1, 1).await, Ok(1));
    });
}

#[test]
fn delay_is_measured_and_harmless() {
    Universe::simulate(test_seed(), async |world| {
        let (one, _two, switch) = pair(&world, LinkSettings::default()).await;
        switch.lines[0].delay(40);
        switch.lines[1].delay(60);
        let calls = join_all((0..50).map(|n| one.echo(2, n))).await;
        assert!(calls.iter().all(Result::is_ok));
        tokio::time::sleep(secs(10)).await;
        let round_trip = one.links.link(NodeId(2)).unwrap().status().round_trip.unwrap();
        let expected = Duration::from_millis(95)..Duration::from_millis(150);
        assert!(expected.contains(&round_trip), "{round_trip:?}");
    });
}

/// Calls under random faults. What must hold whatever happens: every call ends by its deadline;
/// an answer was given by one execution; what certainly was not executed was not; and nothing is
/// executed twice.
fn storm(seed: u64) -> usize {
    Universe::simulate(seed, async |world| {
        let data = Window { requests: 16, bytes: 64 << 10 };
        let windows = Windows { data, ..LinkSettings::default().windows };
        let settings = LinkSettings { windows, ..LinkSettings::default() };
        let (one, two, switch) = pair(&world, settings).await;
        let random = Arc::new(SeededRandom::new(seed));
        let (faults, network) = (random.clone(), world.network.clone());
        let trouble = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(faults.below(3000))).await;
                let line = &switch.lines[faults.below(2) as usize];
                match faults.below(5) {
                    0 => line.cut(),
                    1 => network.cut(host(1), host(99)),
                    2 => network.cut(host(2), host(99)),
                    3 => line.delay(faults.below(200) as usize),
                    _ => switch.lines.iter().for_each(|line| line.mend()),
                }
            }
        });
        let env = world.env();
        let calls = (0..600u64).map(|n| {
            let (one, two, random, env) = (&one, &two, random.clone(), &env);
            async move {
                tokio::time::sleep(Duration::from_millis(random.below(60_000))).await;
                let (from, to) = if n % 2 == 0 { (one, 2) } else { (two, 1) };
                let within = Duration::from_millis(100 + random.below(8000));
                let begun_at = env.clock.monotonic();
                let outcome = from.ask(to, Ask::Slow(random.below(500), n), within).await;
                assert!(env.clock.monotonic() - begun_at <= within + Duration::from_millis(2));
                (n, outcome)
            }
        });
        let outcomes = join_all(calls).await;
        trouble.abort();
        let mut begun: HashMap<u64, usize> = HashMap::new();
        for desk in [&one.desk, &two.desk] {
            for (ask, times) in &*desk.begun.lock() {
                let Ask::Slow(_, number) = ask else { continue };
                *begun.entry(*number).or_default() += times;
            }
        }
        let mut counts = HashMap::new();
        for (number, outcome) in outcomes {
            let times = begun.get(&number).copied().unwrap_or(0);
            let label = match &outcome {
                Ok(bytes) => {
                    assert_eq!(base::wire::decode::<u64>(bytes).unwrap(), number);
                    assert_eq!(times, 1, "{number}");
                    "answered"
                }
                Err(failed) if failed.executed == Executed::No => {
                    assert_eq!(times, 0, "{number}: {failed}");
                    "not executed"
                }
                Err(_) => {
                    assert!(times <= 1, "{number}");
                    "unknown"
                }
            };
            *counts.entry(label).or_insert(0) += 1;
        }
        counts.get("answered").copied().unwrap_or(0)
    })
}

#[test]
fn random_faults_never_lie_about_execution() {
    let first = test_seed();
    let answered: usize = (0..20).map(|n| storm(first.wrapping_add(n))).sum();
    // A world may be cut for most of its time; all of them together are not.
    assert!(answered > 1000, "{answered} of 12000 from seed {first}");
}
