//! Random histories: the invariants, one state for one log, and rest in the end.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Add,
    Kill(usize),
    Return(usize),
    Reboot(usize),
    Drain(usize),
    Undrain(usize),
    Leave(usize),
    Remove(usize),
    Weigh(usize, u32),
    Plan,
    Step(usize, u8),
    Settle,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let n = 0usize..12;
    let event = prop_oneof![
        3 => Just(Event::Add),
        2 => n.clone().prop_map(Event::Kill),
        2 => n.clone().prop_map(Event::Return),
        1 => n.clone().prop_map(Event::Reboot),
        1 => n.clone().prop_map(Event::Drain),
        1 => n.clone().prop_map(Event::Undrain),
        1 => n.clone().prop_map(Event::Leave),
        1 => n.clone().prop_map(Event::Remove),
        1 => (n, 50u32..300).prop_map(|(n, w)| Event::Weigh(n, w)),
        3 => Just(Event::Plan),
        4 => (0usize..40, 0u8..5).prop_map(|(n, a)| Event::Step(n, a)),
        1 => Just(Event::Settle),
    ];
    proptest::collection::vec(event, 1..40)
}

fn play(world: &mut World, event: &Event, log: &mut Vec<(u64, Command)>) {
    let nth = |n: &usize| {
        let nodes: Vec<&Node> = world.state.nodes().collect();
        let node = nodes[n % nodes.len()];
        (node.id, node.boot.unwrap_or(boot(0)), node.profile.clone())
    };
    let fresh = boot(world.index * 1000);
    let command = match event {
        Event::Add => {
            let token = u128::from(world.index) + 1;
            let node = world.add(token);
            log.push((world.index - 1, Command::Join { token, profile: profile(token as u64) }));
            let profile = profile(token as u64);
            log.push((world.index, Command::Alive { node, boot: boot(node.0), profile }));
            return;
        }
        Event::Kill(n) => {
            let (node, boot, _) = nth(n);
            let spread = plan::takeover(&world.state, node, &Loads::unknown());
            Command::Dead { node, boot, spread }
        }
        Event::Return(n) => {
            let (node, boot, profile) = nth(n);
            Command::Alive { node, boot, profile }
        }
        Event::Reboot(n) => {
            let (node, _, profile) = nth(n);
            Command::Alive { node, boot: fresh, profile }
        }
        Event::Drain(n) => Command::Drain { node: nth(n).0 },
        Event::Undrain(n) => Command::Undrain { node: nth(n).0 },
        Event::Leave(n) => Command::Leave { node: nth(n).0, boot: nth(n).1 },
        Event::Remove(n) => Command::Remove { node: nth(n).0 },
        Event::Weigh(n, weight) => Command::SetWeight { node: nth(n).0, weight: *weight },
        Event::Plan => {
            let limits = Limits::default();
            let plan = plan::rebalance(&world.state, &Loads::unknown(), &limits, true, |_| true);
            assert!(plan.steps.len() <= limits.total);
            Command::Moves { steps: plan.steps }
        }
        Event::Step(n, action) => {
            let moves: Vec<(Slot, Move)> = world.state.moves().collect();
            let Some((slot, found)) = moves.get(n % moves.len().max(1)) else { return };
            let to = found.from;
            let action = match action {
                0 => MoveAction::Begin { to },
                1 => MoveAction::Seal,
                2 => MoveAction::Bump,
                3 => MoveAction::Finish,
                _ => MoveAction::Abort,
            };
            let at = SlotAt { slot: *slot, epoch: world.state.slot(*slot).epoch };
            Command::Moves { steps: vec![MoveStep { at, action }] }
        }
        Event::Settle => {
            let spread = plan::orphans(&world.state, &Loads::unknown());
            Command::Assign { spread }
        }
    };
    let _ = world.apply(&command);
    log.push((world.index, command));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// `World::apply` checks after each command that epochs only grow, that owners are nodes that
    /// may own, and that what is refused changes nothing.
    #[test]
    fn whatever_happens_the_invariants_hold(events in events()) {
        let mut world = World::new();
        let mut log = vec![(world.index, founding())];
        let mut ids = BTreeSet::from([NodeId(1)]);
        let mut last = NodeId(1);
        for event in &events {
            play(&mut world, event, &mut log);
            for node in world.state.nodes() {
                if ids.insert(node.id) {
                    prop_assert!(node.id > last, "{} came after {}", node.id, last);
                    last = node.id;
                }
            }
        }
        // The same log gives the same state, and so does a snapshot.
        let mut replayed = ClusterState::default();
        for (index, command) in &log {
            let bytes = command.encode().unwrap();
            let _ = replayed.apply(*index, &Command::decode(&bytes).unwrap());
        }
        prop_assert_eq!(&replayed, &world.state);
        prop_assert_eq!(&ClusterState::decode(&replayed.encode().unwrap()).unwrap(), &replayed);
        // Left alone, it comes to rest: every slot has an owner, in proportion to the weights.
        let spread = plan::orphans(&world.state, &Loads::unknown());
        world.apply(&Command::Assign { spread }).unwrap();
        world.finish_moves_tolerant();
        world.settle(&Loads::unknown());
        let living = world.state.nodes().any(|n| n.state == NodeState::Active);
        if living {
            prop_assert!(world.state.slots().all(|(_, owner)| owner.node().is_some()));
            world.assert_even(0.06);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    /// Whoever joins gets its share by weight and whoever leaves gives its own away; all end within
    /// 5 % of what they should have, and hardly more moves than must.
    #[test]
    fn joins_and_leaves_leave_it_even(
        weights in proptest::collection::vec(50u32..300, 2..5),
        joining in 50u32..300,
        leaving in 0usize..6,
    ) {
        let mut world = World::new();
        let mut nodes = vec![NodeId(1)];
        nodes.extend((1..weights.len()).map(|n| world.add(n as u128 + 100)));
        for (node, weight) in nodes.iter().zip(&weights) {
            world.apply(&Command::SetWeight { node: *node, weight: *weight }).unwrap();
        }
        world.settle(&Loads::unknown());
        world.assert_even(0.05);
        let new = world.add(999);
        world.apply(&Command::SetWeight { node: new, weight: joining }).unwrap();
        let moved = world.settle(&Loads::unknown());
        world.assert_even(0.05);
        let all: u32 = weights.iter().sum::<u32>() + joining;
        let share = f64::from(joining) / f64::from(all) * 4096.0;
        prop_assert!(moved as f64 <= share + 4096.0 * 0.08, "{moved} moves for {share}");
        let node = nodes[leaving % nodes.len()];
        let had = usize::from(world.counts()[&node]);
        world.apply(&Command::Drain { node }).unwrap();
        let moved = world.settle(&Loads::unknown());
        prop_assert_eq!(world.counts()[&node], 0);
        world.assert_even(0.05);
        prop_assert!(moved <= had + 330, "{moved} moves for {had}");
    }
}

impl World {
    /// Takes moves that stand at different phases to their end.
    fn finish_moves_tolerant(&mut self) {
        for action in [MoveAction::Seal, MoveAction::Bump, MoveAction::Finish] {
            let at = |(slot, _)| SlotAt { slot, epoch: self.state.slot(slot).epoch };
            let steps = self.state.moves().map(at).map(|at| MoveStep { at, action }).collect();
            self.apply(&Command::Moves { steps }).unwrap();
        }
    }
}
