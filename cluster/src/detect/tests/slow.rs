//! Nodes that are slow: who is drained for it, and when it has slots again.

use super::*;

/// Whom the leader (node 1) drains within 18 s, if anybody, and not within the first ten.
fn check_slow(count: u64, what: &str, hurt: impl Fn(&mut World), expected: Option<u64>) {
    let mut world = World::new(count);
    hurt(&mut world);
    world.run(10_000);
    assert_eq!(world.since(), vec![], "{what}: too soon");
    world.run(8000);
    let expected = expected.map(|node| Verdict::Slow(NodeId(node)));
    assert_eq!(world.since().first().copied(), expected, "{what} of {count}");
}

#[test]
fn a_slow_node_is_drained_if_the_rest_can_bear_it() {
    let slow = |nodes: &'static [u64], ms: u32| {
        move |world: &mut World| {
            world.pace.extend(nodes.iter().map(|node| (NodeId(*node), ms)));
        }
    };
    for count in [3, 4, 6] {
        check_slow(count, "a slow node", slow(&[3], 60), Some(3));
        check_slow(count, "a slow leader", slow(&[1], 60), Some(1));
        check_slow(count, "a bad link", |world| world.far = Some(NodeId(4)), Some(4));
        check_slow(count, "little slower", slow(&[3], 29), None);
        check_slow(count, "most are slow", slow(&[1, 3, 4, 5], 900), None);
    }
    check_slow(
        3,
        "all are slow, one is a bit slower",
        |world| {
            slow(&[1, 4], 100)(world);
            slow(&[3], 450)(world);
        },
        None,
    );
    check_slow(
        3,
        "others speak for it",
        |world| {
            slow(&[3], 900)(world);
            world.mute.insert(NodeId(3));
        },
        None,
    );
    check_slow(
        3,
        "one of two",
        |world| {
            slow(&[3], 900)(world);
            world.mute.insert(NodeId(4));
        },
        None,
    );
    let drained = |world: &mut World| {
        slow(&[3], 900)(world);
        world.state.apply(0, &Command::Drain { node: NodeId(4) }).unwrap();
    };
    check_slow(3, "another is drained", drained, None);
    check_slow(6, "another is drained", drained, Some(3));
    let begun = |world: &mut World| {
        slow(&[3], 900)(world);
        // It has all slots still, so it is draining for ever here.
        world.state.apply(0, &Command::Drain { node: NodeId(1) }).unwrap();
    };
    check_slow(6, "another is being drained", begun, None);
}

/// With a tenth of a processor the requests that are timed take some 20 ms, which a way to the store
/// may take as well; what tells them apart is that timers are late.
#[test]
fn a_node_without_a_processor_is_drained_by_less() {
    let starved = |nodes: &'static [u64], ms: u32| {
        move |world: &mut World| {
            world.starved.extend(nodes.iter().map(|node| NodeId(*node)));
            world.pace.extend(nodes.iter().map(|node| (NodeId(*node), ms)));
        }
    };
    for count in [3, 4, 6] {
        for ms in [12, 20, 29, 66] {
            check_slow(count, "no processor", starved(&[3], ms), Some(3));
            check_slow(count, "a leader without", starved(&[1], ms), Some(1));
        }
        check_slow(count, "hardly slower", starved(&[3], 9), None);
        check_slow(count, "far away", |world| world.pace.extend([(NodeId(3), 20)]), None);
        check_slow(count, "late timers alone", |world| world.starved.extend([NodeId(3)]), None);
        // Others have the processor that this one lacks, or nobody has one.
        let others = |world: &mut World| {
            world.starved.insert(NodeId(4));
            world.pace.insert(NodeId(3), 20);
        };
        check_slow(count, "another's timers are late", others, None);
        check_slow(count, "nobody has one", starved(&[1, 3, 4, 5, 6, 7], 20), None);
    }
    // A burst of work takes the processor for a while, again and again.
    let mut world = World::new(3);
    for _ in 0..5 {
        starved(&[3], 20)(&mut world);
        world.run(10_000);
        world.starved.clear();
        world.pace.clear();
        world.run(8000);
    }
    assert_eq!(world.since(), vec![]);
}

#[test]
fn a_moment_of_slowness_is_none() {
    let mut world = World::new(3);
    for _ in 0..5 {
        world.pace.insert(NodeId(3), 900);
        world.run(10_000);
        world.pace.clear();
        world.run(5000);
    }
    assert_eq!(world.since(), vec![]);
}

#[test]
fn a_node_that_was_slow_is_taken_back_and_rests_for_longer_the_next_time() {
    let mut world = World::new(3);
    world.drains = true;
    let mut rested = Vec::new();
    for round in 0..8 {
        if round == 5 {
            // Well for a while, but not for long enough to be forgiven while it rests.
            world.run(1_000_000);
        }
        if round == 6 {
            // Calm for longer than any of it counts.
            world.run(2_000_000);
            assert_eq!(world.since(), vec![]);
        }
        world.pace.insert(NodeId(3), 900);
        world.run(20_000);
        assert_eq!(world.since(), vec![Verdict::Slow(NodeId(3))]);
        assert_eq!(world.state_of(3), NodeState::Drained);
        let (begun, mut waited) = (world.now, 0);
        world.pace.clear();
        while world.state_of(3) == NodeState::Drained && waited < 2_000_000 {
            world.run(1000);
            waited += 1000;
        }
        assert_eq!(world.since(), vec![Verdict::Recovered(NodeId(3))]);
        rested.push((world.now - begun).as_secs());
    }
    let about = [60, 120, 240, 480, 960, 960, 60, 120];
    assert_eq!(rested.len(), about.len());
    assert!(rested.iter().zip(about).all(|(is, at)| *is + 10 > at && *is <= at), "{rested:?}");
}

#[test]
fn a_node_rests_until_it_is_well_and_for_as_long_as_an_operator_likes() {
    let rest = |world: &mut World, node: u64| {
        let life = Command::Leave { node: NodeId(node), boot: boot(node) };
        world.state.apply(0, &life).unwrap();
        assert_eq!(world.state_of(node), NodeState::Drained);
    };
    let mut world = World::new(3);
    world.run(100_000);
    rest(&mut world, 3);
    world.store_silence.insert(NodeId(3), 600);
    world.run(100_000);
    assert_eq!(world.since(), vec![], "the store is slow for it");
    world.store_silence.remove(&NodeId(3));
    world.run(55_000);
    assert_eq!(world.since(), vec![]);
    world.run(6000);
    assert_eq!(world.since(), vec![Verdict::Recovered(NodeId(3))]);
    world.state.apply(0, &Command::Drain { node: NodeId(4) }).unwrap();
    world.run(500_000);
    assert_eq!(world.since(), vec![], "an operator's wish");
    // Whoever leads next knows only that it rests.
    rest(&mut world, 3);
    world.run(30_000);
    let (now, state) = (world.now, world.state.clone());
    world.leader = NodeId(4);
    let next = world.detectors.get_mut(&NodeId(4)).unwrap();
    next.begin_to_lead(now, &state, Some(NodeId(1)));
    world.run(59_000);
    assert_eq!(world.since(), vec![]);
    world.run(3000);
    assert_eq!(world.since(), vec![Verdict::Recovered(NodeId(3))]);
}
