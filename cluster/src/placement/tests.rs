//! The state machine and its planner: tables, properties, golden vectors, cost.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod properties;

use super::plan::{self, Limits, Loads, MembershipStep, Plan};
use super::*;
use base::{BootId, Epoch, NodeId, Slot};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn profile(n: u64) -> NodeProfile {
    NodeProfile {
        address: format!("10.0.0.{n}:7000"),
        weight: 100,
        feature_level: 1,
        version: "0.1".into(),
        name: format!("n{n}"),
    }
}

pub(crate) fn boot(n: u64) -> BootId {
    BootId(u128::from(n) + 1000)
}

pub(crate) fn founding() -> Command {
    let (node, epoch) = (NodeId(1), Epoch(7));
    Command::Found { node, boot: boot(1), profile: profile(1), epoch, feature_level: 1 }
}

/// A cluster under test: applies and checks, and counts the log.
#[derive(Clone)]
struct World {
    state: ClusterState,
    index: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self { state: ClusterState::default(), index: 1 };
        assert_eq!(world.apply(&founding()), Ok(Outcome::Done));
        world
    }

    /// With `count` active nodes and their slots where a rebalance leaves them.
    fn even(count: u64) -> Self {
        let mut world = Self::new();
        for n in 1..count {
            world.add(u128::from(n));
        }
        world.settle(&Loads::unknown());
        world
    }

    fn apply(&mut self, command: &Command) -> Reply {
        self.index += 1;
        let before = self.state.clone();
        let reply = self.state.apply(self.index, command);
        self.state.check().unwrap();
        for ((slot, old), (_, new)) in before.slots().zip(self.state.slots()) {
            assert!(new.epoch >= old.epoch, "{slot} went back");
            assert!(new.node() == old.node() || new.epoch > old.epoch, "{slot} changed hands");
        }
        if reply.is_err() {
            assert_eq!(before, self.state, "{command:?} was refused and changed something");
        }
        reply
    }

    fn add(&mut self, token: u128) -> NodeId {
        let joined = self.apply(&Command::Join { token, profile: profile(token as u64) });
        let Ok(Outcome::Joined(node)) = joined else { panic!("{joined:?}") };
        let alive = Command::Alive { node, boot: boot(node.0), profile: profile(token as u64) };
        assert_eq!(self.apply(&alive), Ok(Outcome::Done));
        node
    }

    fn act(&mut self, slot: Slot, action: MoveAction) -> bool {
        let at = SlotAt { slot, epoch: self.state.slot(slot).epoch };
        let done = self.apply(&Command::Moves { steps: vec![MoveStep { at, action }] });
        matches!(done, Ok(Outcome::Moves { taken: 1, .. }))
    }

    /// Takes all moves to their end.
    fn finish_moves(&mut self) {
        for action in [MoveAction::Seal, MoveAction::Bump, MoveAction::Finish] {
            let at = |(slot, _)| SlotAt { slot, epoch: self.state.slot(slot).epoch };
            let steps = self.state.moves().map(at).map(|at| MoveStep { at, action }).collect();
            self.apply(&Command::Moves { steps }).unwrap();
        }
        assert_eq!(self.state.moves().count(), 0);
    }

    /// Rebalances until nothing is left to do; gives the number of moves.
    fn settle(&mut self, loads: &Loads) -> usize {
        let (mut moves, mut ongoing) = (0, false);
        let limits = Limits { per_pair: 256, total: 2048, ..Limits::default() };
        for _ in 0..200 {
            let Plan { steps, ongoing: more } =
                plan::rebalance(&self.state, loads, &limits, ongoing, |_| true);
            ongoing = more;
            if steps.is_empty() {
                return moves;
            }
            moves += steps.len();
            let meant = steps.len() as u16;
            let done = self.apply(&Command::Moves { steps });
            assert_eq!(done, Ok(Outcome::Moves { taken: meant, refused: vec![] }));
            self.finish_moves();
        }
        panic!("the rebalance does not end");
    }

    fn kill(&mut self, node: NodeId) -> Reply {
        let boot = self.state.node(node).unwrap().boot.unwrap();
        let spread = plan::takeover(&self.state, node, &Loads::unknown());
        self.apply(&Command::Dead { node, boot, spread })
    }

    fn counts(&self) -> BTreeMap<NodeId, u16> {
        self.state.nodes().map(|node| (node.id, node.slots)).collect()
    }

    fn state_of(&self, node: NodeId) -> NodeState {
        self.state.node(node).unwrap().state
    }

    /// Each node that may own has its share by weight, within a part of it and one slot.
    fn assert_even(&self, within: f64) {
        let active = || self.state.nodes().filter(|n| n.state == NodeState::Active);
        let all: u32 = active().map(|n| n.profile.weight).sum();
        for node in active() {
            let share = f64::from(node.profile.weight) / f64::from(all) * 4096.0;
            let off = (f64::from(node.slots) - share).abs();
            assert!(
                off <= share * within + 1.0,
                "{:?} of {share}: {:?}",
                node.slots,
                self.counts()
            );
        }
    }
}

fn slot(n: u16) -> Slot {
    Slot::new(n).unwrap()
}

#[test]
fn the_founder_owns_everything_above_the_stores_epochs() {
    let mut world = World::new();
    assert!(world.state.slots().all(|(_, o)| o.node() == Some(NodeId(1)) && o.epoch == Epoch(7)));
    assert_eq!(world.apply(&founding()), Ok(Outcome::Unchanged));
    let Command::Found { profile, epoch, feature_level, .. } = founding() else { unreachable!() };
    let other = Command::Found { node: NodeId(2), boot: boot(2), profile, epoch, feature_level };
    assert_eq!(world.apply(&other), Err(Refusal::AlreadyFounded));
    let drain = Command::Drain { node: NodeId(1) };
    assert_eq!(world.apply(&drain), Err(Refusal::LastNode(NodeId(1))));
}

#[test]
fn ids_are_log_indexes_and_asking_again_gives_the_same() {
    let mut world = World::new();
    let node = world.add(5);
    assert_eq!(node, NodeId(3));
    let again = Command::Join { token: 5, profile: profile(5) };
    assert_eq!(world.apply(&again), Ok(Outcome::Joined(node)));
    world.kill(node).unwrap();
    assert_eq!(world.apply(&Command::Remove { node }), Ok(Outcome::Done));
    assert_eq!(world.apply(&again), Err(Refusal::NoSuchNode(node)));
    let alive = Command::Alive { node, boot: boot(9), profile: profile(5) };
    assert_eq!(world.apply(&alive), Err(Refusal::NoSuchNode(node)));
    assert!(world.add(6) > node);
    // Hundreds of removed ones are forgotten, and their ids stay used.
    for token in 100..500 {
        let joined = world.apply(&Command::Join { token, profile: profile(1) });
        let Ok(Outcome::Joined(node)) = joined else { panic!("{joined:?}") };
        world.apply(&Command::Remove { node }).unwrap();
    }
    assert!(world.state.nodes().count() < 300);
    let mut replayed = world.state.clone();
    let join = Command::Join { token: 100, profile: profile(1) };
    assert_eq!(replayed.apply(50, &join), Err(Refusal::IdNotNew));
}

#[test]
fn a_takeover_is_one_command_and_bumps_every_epoch() {
    let mut world = World::even(4);
    let dead = NodeId(1);
    let lost: Vec<_> = world.state.slots_of(dead).collect();
    let assigned = lost.len() as u16;
    assert!((950..1100).contains(&assigned), "{assigned}");
    let done = world.kill(dead);
    assert_eq!(done, Ok(Outcome::Spread { assigned, left: 0 }));
    for (slot, epoch) in lost {
        let now = world.state.slot(slot);
        assert!(now.node().is_some_and(|node| node != dead) && now.epoch.0 == epoch.0 + 1);
    }
    world.assert_even(0.05);
    // What the dead life is told again changes nothing; a newer life is not meant.
    assert_eq!(world.kill(dead), Ok(Outcome::Unchanged));
    let back = Command::Alive { node: dead, boot: boot(77), profile: profile(1) };
    assert_eq!(world.apply(&back), Ok(Outcome::Done));
    let late = Command::Dead { node: dead, boot: boot(1), spread: vec![] };
    assert_eq!(world.apply(&late), Err(Refusal::StaleBoot(dead)));
}

#[test]
fn a_takeover_that_is_out_of_date_leaves_orphans_that_are_assigned() {
    let mut world = World::even(3);
    let (dead, heir) = (NodeId(1), NodeId(3));
    let boot_of = |node: NodeId| boot(node.0);
    let spread = plan::takeover(&world.state, dead, &Loads::unknown());
    // An heir dies before the takeover of the first is applied.
    world.kill(heir).unwrap();
    let done = world.apply(&Command::Dead { node: dead, boot: boot_of(dead), spread });
    let Ok(Outcome::Spread { assigned, left }) = done else { panic!("{done:?}") };
    assert!(assigned > 500 && left > 1000, "{done:?}");
    let spread = plan::orphans(&world.state, &Loads::unknown());
    let done = world.apply(&Command::Assign { spread: spread.clone() });
    assert_eq!(done, Ok(Outcome::Spread { assigned: left, left: 0 }));
    assert!(plan::orphans(&world.state, &Loads::unknown()).is_empty());
    // The same once more: all epochs are others by now.
    let done = world.apply(&Command::Assign { spread });
    assert_eq!(done, Ok(Outcome::Spread { assigned: 0, left }));
}

#[test]
fn a_restart_keeps_the_slots_under_new_epochs() {
    let mut world = World::even(3);
    let node = NodeId(1);
    let before = world.state.slot(world.state.slots_of(node).next().unwrap().0);
    let again = Command::Alive { node, boot: boot(1), profile: profile(1) };
    assert_eq!(world.apply(&again), Ok(Outcome::Unchanged));
    let reborn = Command::Alive { node, boot: boot(50), profile: profile(1) };
    assert_eq!(world.apply(&reborn), Ok(Outcome::Done));
    let (slot, epoch) = world.state.slots_of(node).next().unwrap();
    assert_eq!((world.state.slot(slot).node(), epoch.0), (Some(node), before.epoch.0 + 1));
}

#[test]
fn moves_go_step_by_step() {
    let mut world = World::even(3);
    let (from, to) = (NodeId(1), NodeId(3));
    let slot = world.state.slots_of(from).next().unwrap().0;
    let epoch = world.state.slot(slot).epoch;
    assert!(!world.act(slot, MoveAction::Seal));
    assert!(!world.act(slot, MoveAction::Begin { to: from }));
    assert!(world.act(slot, MoveAction::Begin { to }));
    assert!(!world.act(slot, MoveAction::Begin { to }));
    assert!(!world.act(slot, MoveAction::Bump));
    assert!(world.act(slot, MoveAction::Seal));
    assert_eq!(world.state.slot(slot).node(), Some(from));
    assert!(world.act(slot, MoveAction::Bump));
    assert_eq!(world.state.slot(slot).node(), Some(to));
    assert_eq!(world.state.slot(slot).epoch.0, epoch.0 + 1);
    assert!(!world.act(slot, MoveAction::Abort));
    assert!(world.act(slot, MoveAction::Finish));
    // A step computed before the bump.
    let at = SlotAt { slot, epoch };
    let late = MoveStep { at, action: MoveAction::Begin { to: from } };
    let done = world.apply(&Command::Moves { steps: vec![late] });
    assert_eq!(done, Ok(Outcome::Moves { taken: 0, refused: vec![slot] }));
    // The target dies: the source serves on. The source dies: somebody owns it.
    assert!(world.act(slot, MoveAction::Begin { to: from }));
    world.kill(from).unwrap();
    assert_eq!(world.state.slot(slot).node(), Some(to));
    assert!(world.act(slot, MoveAction::Begin { to: NodeId(5) }));
    world.kill(to).unwrap();
    assert_eq!(world.state.slot(slot).node(), Some(NodeId(5)));
}

#[test]
fn draining_empties_and_ends_and_is_remembered() {
    let mut world = World::even(3);
    let node = NodeId(3);
    world.apply(&Command::Drain { node }).unwrap();
    assert_eq!(world.state_of(node), NodeState::Draining);
    assert_eq!(
        world.apply(&Command::Remove { node }).unwrap_err(),
        Refusal::WrongState(node, NodeState::Draining)
    );
    let owned = usize::from(world.state.node(node).unwrap().slots);
    let moves = world.settle(&Loads::unknown());
    assert!((owned..owned + 200).contains(&moves), "{moves} moves for {owned} slots");
    assert_eq!(world.state_of(node), NodeState::Drained);
    world.assert_even(0.05);
    world.kill(node).unwrap();
    let back = Command::Alive { node, boot: boot(90), profile: profile(1) };
    world.apply(&back).unwrap();
    assert_eq!(world.state_of(node), NodeState::Drained);
    world.apply(&Command::Undrain { node }).unwrap();
    world.settle(&Loads::unknown());
    world.assert_even(0.05);
}

#[test]
fn a_leave_lasts_as_long_as_the_life_that_leaves() {
    let mut world = World::even(3);
    let node = NodeId(3);
    let (life, other) = (boot(3), boot(70));
    let leave = |boot| Command::Leave { node, boot };
    let alive = |boot| Command::Alive { node, boot, profile: profile(1) };
    assert_eq!(world.apply(&leave(other)), Err(Refusal::StaleBoot(node)));
    assert_eq!(world.apply(&leave(life)), Ok(Outcome::Done));
    assert_eq!(world.state_of(node), NodeState::Draining);
    assert_eq!(world.apply(&leave(life)), Ok(Outcome::Unchanged));
    // What the same life says of itself does not call it back, not even when it has nothing left.
    assert_eq!(world.apply(&alive(life)), Ok(Outcome::Unchanged));
    world.settle(&Loads::unknown());
    assert_eq!(world.state_of(node), NodeState::Drained);
    world.assert_even(0.05);
    assert_eq!(world.apply(&alive(life)), Ok(Outcome::Unchanged));
    assert_eq!(world.apply(&alive(other)), Ok(Outcome::Done));
    assert_eq!(world.state_of(node), NodeState::Active);
    world.settle(&Loads::unknown());
    world.assert_even(0.05);
    // It may come back before it is through: what it has not given away is its own, newly fenced.
    world.apply(&leave(other)).unwrap();
    assert_eq!(world.apply(&alive(boot(71))), Ok(Outcome::Done));
    assert_eq!(world.state_of(node), NodeState::Active);
    assert!(world.state.node(node).unwrap().slots > 1000);
    // Gone dead meanwhile, it comes back active; and an operator may call it back as well.
    world.apply(&leave(boot(71))).unwrap();
    world.kill(node).unwrap();
    assert_eq!(world.apply(&alive(boot(72))), Ok(Outcome::Done));
    assert_eq!(world.state_of(node), NodeState::Active);
    world.apply(&leave(boot(72))).unwrap();
    assert_eq!(world.apply(&Command::Undrain { node }), Ok(Outcome::Done));
    assert_eq!(world.state_of(node), NodeState::Active);
    // An operator's drain is kept by a new life, whatever came first.
    world.apply(&leave(boot(72))).unwrap();
    world.apply(&Command::Drain { node }).unwrap();
    world.apply(&alive(boot(73))).unwrap();
    assert_eq!(world.state_of(node), NodeState::Drained);
    let last = world.apply(&Command::Leave { node: NodeId(5), boot: boot(5) });
    assert_eq!(last, Ok(Outcome::Done));
    let last = world.apply(&Command::Leave { node: NodeId(1), boot: boot(1) });
    assert_eq!(last, Err(Refusal::LastNode(NodeId(1))));
}

#[test]
fn the_feature_level_waits_for_all_and_keeps_old_binaries_out() {
    let mut world = World::even(2);
    let node = NodeId(3);
    let raise = Command::RaiseFeatureLevel { to: 2 };
    let refused = world.apply(&raise);
    assert!(matches!(refused, Err(Refusal::OldBinary { has: 1, needs: 2, .. })), "{refused:?}");
    for id in [NodeId(1), node] {
        let profile = NodeProfile { feature_level: 2, ..profile(id.0) };
        world.apply(&Command::Alive { node: id, boot: boot(id.0), profile }).unwrap();
    }
    assert_eq!(world.apply(&raise), Ok(Outcome::Done));
    assert_eq!(world.apply(&Command::RaiseFeatureLevel { to: 1 }), Err(Refusal::NotHigher));
    let old = Command::Alive { node, boot: boot(99), profile: profile(3) };
    assert!(matches!(world.apply(&old), Err(Refusal::OldBinary { .. })));
    let join = Command::Join { token: 9, profile: profile(9) };
    assert!(matches!(world.apply(&join), Err(Refusal::OldBinary { .. })));
}

#[test]
fn joins_and_leaves_move_little() {
    let mut world = World::even(5);
    world.assert_even(0.05);
    world.add(50);
    let moves = world.settle(&Loads::unknown());
    assert!(moves <= 4096 / 6 + 40, "{moves} moves for a sixth node");
    world.assert_even(0.05);
    assert_eq!(world.settle(&Loads::unknown()), 0, "a settled cluster moves something");
    world.kill(NodeId(3)).unwrap();
    assert_eq!(world.settle(&Loads::unknown()), 0, "a takeover left it uneven");
}

#[test]
fn weights_decide_the_shares() {
    let mut world = World::even(3);
    world.apply(&Command::SetWeight { node: NodeId(1), weight: 300 }).unwrap();
    world.settle(&Loads::unknown());
    world.assert_even(0.05);
    assert!(world.counts()[&NodeId(1)] > 2300);
}

#[test]
fn hot_slots_are_spread_and_small_differences_stay() {
    let mut world = World::even(3);
    let hot: Vec<_> = world.state.slots_of(NodeId(1)).take(40).collect();
    let report = |(slot, _): &(Slot, Epoch)| (NodeId(1), *slot, 100.0);
    let loads = Loads::from_reports(&world.state, hot.iter().map(report));
    world.settle(&loads);
    for node in world.state.nodes() {
        let load: f64 = world.state.slots_of(node.id).map(|(slot, _)| loads.weight(slot)).sum();
        assert!((load - 1.0 / 3.0).abs() < 0.02, "{} carries {load}", node.id);
    }
    // 3 % is below what sets a rebalance off, and a lie about a foreign slot is not believed.
    let light = (NodeId(1), world.state.slots_of(NodeId(1)).next().unwrap().0, 1.0);
    let lie = (NodeId(999), slot(0), 1e9);
    let even = World::even(3);
    let loads = Loads::from_reports(&even.state, [light, lie]);
    assert!(loads.weight(slot(0)) < 0.8);
    let limits = Limits { start: 0.05, ..Limits::default() };
    let plan = plan::rebalance(&even.state, &Loads::unknown(), &limits, false, |_| true);
    assert!(plan.steps.is_empty() && !plan.ongoing);
}

#[test]
fn a_plan_is_bounded_by_pairs_and_rest() {
    let mut world = World::new();
    world.add(1);
    let limits = Limits::default();
    let plan = plan::rebalance(&world.state, &Loads::unknown(), &limits, false, |_| true);
    assert_eq!(plan.steps.len(), 8);
    let none = plan::rebalance(&world.state, &Loads::unknown(), &limits, false, |_| false);
    assert!(none.steps.is_empty());
    world.apply(&Command::Moves { steps: plan.steps }).unwrap();
    let more = plan::rebalance(&world.state, &Loads::unknown(), &limits, true, |_| true);
    assert!(more.steps.is_empty() && more.ongoing);
}

#[test]
fn membership_goes_one_step_at_a_time() {
    let mut world = World::new();
    let (mut voters, mut learners) = (BTreeSet::from([NodeId(1)]), BTreeSet::new());
    let mut run = |world: &World| loop {
        match plan::membership(&world.state, &voters, &learners, |_| true) {
            None => return (voters.len(), learners.len()),
            Some(MembershipStep::AddLearner { node, .. }) => assert!(learners.insert(node)),
            Some(MembershipStep::SetVoters(set)) => {
                let all: BTreeSet<NodeId> = voters.union(&learners).copied().collect();
                learners = all.difference(&set).copied().collect();
                voters = set;
            }
            Some(MembershipStep::Forget(node)) => assert!(learners.remove(&node)),
        }
    };
    for (token, expect) in [(1, (1, 1)), (2, (3, 0)), (3, (3, 1)), (4, (5, 0)), (5, (5, 1))] {
        world.add(token);
        assert_eq!(run(&world), expect, "with {} nodes", token + 1);
    }
    world.kill(NodeId(1)).unwrap();
    assert_eq!(run(&world), (5, 1), "a living node takes the place of a dead one");
    world.apply(&Command::Remove { node: NodeId(1) }).unwrap();
    assert_eq!(run(&world), (5, 0));
    let deaf =
        plan::membership(&world.state, &BTreeSet::from([NodeId(3)]), &BTreeSet::new(), |_| false);
    assert!(matches!(deaf, Some(MembershipStep::AddLearner { .. })));
}

#[test]
fn golden_vectors() {
    let check = |command: &Command, hex: &str| {
        let bytes = command.encode().unwrap();
        let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, hex, "{command:?}");
        assert_eq!(Command::decode(&bytes).unwrap(), *command);
    };
    let at = SlotAt { slot: slot(9), epoch: Epoch(3) };
    check(&Command::Drain { node: NodeId(5) }, "010505");
    check(&Command::RaiseFeatureLevel { to: 2 }, "010a02");
    let step = MoveStep { at, action: MoveAction::Begin { to: NodeId(300) } };
    check(&Command::Moves { steps: vec![step] }, "010901090300fb2c01");
    let spread = vec![Share { to: NodeId(4), slots: vec![at] }];
    check(&Command::Dead { node: NodeId(5), boot: BootId(6), spread }, "010305060104010903");
    let profile = NodeProfile {
        address: "a:1".into(),
        weight: 100,
        feature_level: 1,
        version: "v".into(),
        name: "n".into(),
    };
    check(&Command::Join { token: 7, profile }, "01010703613a3164010176016e");
    check(&Command::Leave { node: NodeId(5), boot: BootId(6) }, "010b0506");
    assert!(Command::decode(&[2, 5, 5]).is_err(), "another version");
    assert!(Command::decode(&[1, 200]).is_err(), "a command of a newer binary");
    let empty = ClusterState::default().encode().unwrap();
    assert_eq!(&empty[..6], &[1, 0, 251, 0, 16, 0]);
}

#[test]
fn damaged_snapshots_are_refused() {
    let world = World::even(3);
    let bytes = world.state.encode().unwrap();
    assert!(bytes.len() < 32 << 10, "{} bytes", bytes.len());
    assert_eq!(ClusterState::decode(&bytes).unwrap(), world.state);
    assert!(ClusterState::decode(&bytes[..bytes.len() - 1]).is_err());
    let mut wrong = world.state.clone();
    wrong.hand_over(slot(1), Some(NodeId(400)));
    assert!(ClusterState::decode(&wrong.encode().unwrap()).is_err());
}

/// Work per command must not grow with the number of nodes. The best of many rounds, and a wide
/// margin: a quadratic cost would be off by a factor of a hundred and more.
#[test]
fn cost_is_flat_from_3_to_300_nodes() {
    let clock = base::env::Env::real().clock;
    let time = |nodes: u64| {
        let mut world = World { state: ClusterState::default(), index: 1 };
        world.apply(&founding()).unwrap();
        for token in 1..nodes {
            world.add(u128::from(token));
        }
        let slots: Vec<(Slot, Epoch)> = world.state.slots_of(NodeId(1)).take(8).collect();
        let to = world.state.nodes().last().unwrap().id;
        let step = |action| {
            let at = |(slot, epoch): &(Slot, Epoch)| SlotAt { slot: *slot, epoch: *epoch };
            let steps = slots.iter().map(|s| MoveStep { at: at(s), action }).collect();
            Command::Moves { steps }
        };
        let round = || {
            let mut state = world.state.clone();
            let begun = clock.monotonic();
            for action in [MoveAction::Begin { to }, MoveAction::Seal, MoveAction::Bump] {
                state.apply(world.index + 1, &step(action)).unwrap();
            }
            clock.monotonic() - begun
        };
        (0..50).map(|_| round()).min().unwrap()
    };
    let (few, many) = (time(3), time(300));
    assert!(many < few * 10 + std::time::Duration::from_micros(200), "{few:?} → {many:?}");
}

/// A drain moves what must go, once, however uneven the loads are meanwhile.
#[test]
fn a_drain_moves_nothing_else_before_it_is_done() {
    let limits = Limits { per_pair: 64, total: 256, ..Limits::default() };
    for hot in [0, 500] {
        let mut world = World::even(3);
        let node = world.state.nodes().last().unwrap().id;
        let loads_of = |state: &ClusterState| {
            let busy = Slot::all().step_by(4096 / hot.max(1)).take(hot);
            let report = |slot: Slot| {
                let load = f64::from(10 + slot.number() % 30);
                Some((state.slot(slot).node()?, slot, load))
            };
            Loads::from_reports(state, busy.filter_map(report).collect::<Vec<_>>())
        };
        world.settle(&loads_of(&world.state));
        let slots = usize::from(world.counts()[&node]);
        world.apply(&Command::Drain { node }).unwrap();
        let (mut moves, mut rounds, mut ongoing) = (0, 0, false);
        while world.counts()[&node] > 0 {
            let loads = loads_of(&world.state);
            let plan = plan::rebalance(&world.state, &loads, &limits, ongoing, |_| true);
            ongoing = plan.ongoing;
            moves += plan.steps.len();
            rounds += 1;
            let of_it = |step: &MoveStep| world.state.slot(step.at.slot).node() == Some(node);
            assert!(plan.steps.iter().all(of_it), "{hot} hot: round {rounds}, {moves} moves");
            world.apply(&Command::Moves { steps: plan.steps }).unwrap();
            world.finish_moves();
            assert!(rounds < 100);
        }
        assert_eq!(moves, slots);
        // What is uneven then is evened out, and that is little.
        let after = world.settle(&loads_of(&world.state));
        assert!(after < slots / 10, "{hot} hot: {after} after {moves}");
    }
}
