//! What one operation costs the cluster as nodes grow: the same, for three nodes and for three
//! hundred. Counted on the real state machine, planner and detector, so it is exact and the same
//! in every run; `--nocapture` prints the table, `RIALTO_TIER=full` goes up to 300 nodes.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::detect::{Beat, Detector, Settings, Vitals, recipients};
use crate::fences::Fences;
use crate::placement::plan::{self, Limits, Loads};
use crate::placement::tests::{boot, founding, profile};
use crate::placement::{ClusterState, Command, MoveAction, MoveStep, SlotAt};
use crate::raft::Applied;
use crate::route::{Carrier, ClusterRouter};
use base::env::Env;
use base::router::{LocalRouter, Parcel, Router, ServiceId, Target};
use base::{BootId, Deadline, NodeId, Slot};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use store_memory::MemoryStore;

/// A cluster, and what its Raft was given.
#[derive(Default)]
struct World {
    state: ClusterState,
    index: u64,
    entries: usize,
    bytes: usize,
}

impl World {
    fn propose(&mut self, command: &Command) {
        self.index += 1;
        self.entries += 1;
        self.bytes += command.encode().unwrap().len();
        self.state.apply(self.index, command).unwrap();
    }

    fn of(nodes: u64) -> Self {
        let mut world = Self { index: 1, ..Self::default() };
        world.propose(&founding());
        while (world.state.nodes().count() as u64) < nodes {
            world.join();
        }
        world.even_out();
        world
    }

    fn join(&mut self) {
        let id = self.index + 1;
        self.propose(&Command::Join { token: u128::from(id), profile: profile(id) });
        let (node, profile) = (NodeId(id), profile(id));
        self.propose(&Command::Alive { node, boot: boot(id), profile });
    }

    /// As the leader, the sources and the targets propose it; gives how many slots moved.
    fn even_out(&mut self) -> usize {
        let (mut ongoing, mut moved) = (true, 0);
        loop {
            let limits = Limits::default();
            let plan = plan::rebalance(&self.state, &Loads::unknown(), &limits, ongoing, |_| true);
            ongoing = plan.ongoing;
            if plan.steps.is_empty() {
                return moved;
            }
            moved += plan.steps.len();
            let slots: Vec<Slot> = plan.steps.iter().map(|step| step.at.slot).collect();
            let both = |step: MoveStep| [step, MoveStep { action: MoveAction::Seal, ..step }];
            self.propose(&Command::Moves {
                steps: plan.steps.into_iter().flat_map(both).collect(),
            });
            for action in [MoveAction::Bump, MoveAction::Finish] {
                // Each source, and then each target, speaks for its own.
                let mut by_node: BTreeMap<NodeId, Vec<MoveStep>> = BTreeMap::new();
                for slot in &slots {
                    let at = SlotAt { slot: *slot, epoch: self.state.slot(*slot).epoch };
                    let owner = self.state.slot(*slot).node().unwrap();
                    by_node.entry(owner).or_default().push(MoveStep { at, action });
                }
                by_node.into_values().for_each(|steps| self.propose(&Command::Moves { steps }));
            }
        }
    }

    /// What was proposed meanwhile.
    fn cost(&mut self, work: impl FnOnce(&mut Self)) -> (usize, usize) {
        let before = (self.entries, self.bytes);
        work(self);
        (self.entries - before.0, self.bytes - before.1)
    }
}

/// What heartbeats come to, without the leader's own: frames and bytes per node and second.
fn beats(state: &ClusterState) -> (f64, f64) {
    let leader = NodeId(1);
    let mut heard: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for node in state.nodes() {
        for to in recipients(state, node.id, Some(leader)) {
            heard.entry(to).or_default().push(node.id);
        }
    }
    let (mut frames, mut bytes, mut nodes) = (0, 0, 0);
    for node in state.nodes().filter(|node| node.id != leader) {
        let mut detector = Detector::new(node.id, Settings::default(), Duration::ZERO);
        let beat = |from: NodeId, hears| Beat {
            node: from,
            boot: boot(from.0),
            vitals: Vitals::default(),
            hears,
        };
        detector.tick(Duration::ZERO);
        for from in heard.get(&node.id).into_iter().flatten() {
            detector.beat(Duration::ZERO, beat(*from, None));
        }
        let length = beat(node.id, detector.hears(Duration::ZERO)).encode().unwrap().len();
        let to = recipients(state, node.id, Some(leader)).len();
        (frames, bytes, nodes) = (frames + to, bytes + to * length, nodes + 1);
    }
    let per_second = 1.0 / Settings::default().beat_every.as_secs_f64();
    let each = |all: usize| all as f64 / f64::from(nodes) * per_second;
    (each(frames), each(bytes))
}

/// Counts what a router sends.
#[derive(Default)]
struct Wire(AtomicUsize);

#[async_trait::async_trait]
impl Carrier for Wire {
    async fn call(
        &self,
        _: NodeId,
        _: crate::link::Outbound,
        _: Deadline,
    ) -> Result<Bytes, crate::link::CallError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::new())
    }

    fn hint(&self, _: NodeId, _: crate::link::Outbound) {}
}

/// How many frames a request to another node's mailbox costs.
async fn requests(state: &ClusterState) -> f64 {
    let applied = Applied { state: Arc::new(state.clone()), ..Applied::default() };
    let (_raft, applied) = tokio::sync::watch::channel(applied);
    let fences = Fences::new(Arc::new(MemoryStore::default()), NodeId(1), BootId(1));
    let (here, wire) = (Arc::new(LocalRouter::new(false)), Arc::new(Wire::default()));
    let router =
        ClusterRouter::new(NodeId(1), applied, fences, here, wire.clone(), Env::simulated(1));
    let foreign = Slot::all().filter(|slot| state.slot(*slot).node() != Some(NodeId(1)));
    let foreign: Vec<Slot> = foreign.step_by(11).collect();
    for slot in &foreign {
        let target = Target { service: ServiceId::MAILBOX, key: 1, slot: *slot };
        let by = Deadline::after(Duration::from_secs(1));
        router.call(target, Parcel::bytes(Bytes::new()), by).await.unwrap();
    }
    wire.0.load(Ordering::Relaxed) as f64 / foreign.len() as f64
}

#[derive(Debug)]
struct Costs {
    /// Frames of a request to another node's mailbox.
    request_frames: f64,
    /// Heartbeats that a node sends in a second, and their bytes.
    beats: (f64, f64),
    /// Bytes in Raft's log for each slot that moves to a node that joins.
    join_bytes_per_slot: f64,
    /// The part of all slots that moves, times the number of nodes: 1 is the least possible.
    join_moves: f64,
    /// Entries of Raft's log for a death, and bytes for each slot that is taken over.
    death_entries: usize,
    death_bytes_per_slot: f64,
}

async fn costs(nodes: u64) -> Costs {
    let mut world = World::of(nodes);
    let (request_frames, beats) = (requests(&world.state).await, beats(&world.state));
    let mut moved = 0;
    let (_, join_bytes) = world.cost(|world| {
        world.join();
        moved = world.even_out();
    });
    let victim = world.state.nodes().last().map(|node| (node.id, node.slots)).unwrap();
    let (death_entries, death_bytes) = world.cost(|world| {
        let spread = plan::takeover(&world.state, victim.0, &Loads::unknown());
        world.propose(&Command::Dead { node: victim.0, boot: boot(victim.0.0), spread });
    });
    Costs {
        request_frames,
        beats,
        join_bytes_per_slot: join_bytes as f64 / moved as f64,
        join_moves: moved as f64 * (nodes + 1) as f64 / f64::from(Slot::COUNT),
        death_entries,
        death_bytes_per_slot: death_bytes as f64 / f64::from(victim.1),
    }
}

#[tokio::test]
async fn an_operation_costs_the_same_however_many_nodes_there_are() {
    let is_full = std::env::var("RIALTO_TIER").is_ok_and(|tier| tier == "full");
    let sizes: &[u64] = if is_full { &[3, 10, 30, 100, 300] } else { &[3, 30] };
    for nodes in sizes {
        let now = costs(*nodes).await;
        println!("{nodes:>4} nodes: {now:.1?}");
        assert!((now.request_frames - 1.0).abs() < 1e-9, "{nodes}: {now:?}");
        // The leader and two more hear a node, and it hears about three.
        assert!(now.beats.0 < 30.1 && now.beats.1 < 30.0 * 150.0, "{nodes}: {now:?}");
        // What has to move, and little more; three entries' worth of steps for each slot.
        assert!((0.8..1.25).contains(&now.join_moves), "{nodes}: {now:?}");
        assert!(now.join_bytes_per_slot < 50.0, "{nodes}: {now:?}");
        assert!(now.death_entries == 1 && now.death_bytes_per_slot < 16.0, "{nodes}: {now:?}");
    }
}
