//! A cluster under a scripted history of takeovers, moves, restarts, stale states and cut links,
//! over a store that fails: nothing is lost or done twice, no read is stale, every call ends.

use super::counter::{Ask, Done, Mutant, SLOTS, command_prefix, value_key};
use super::wires::Wires;
use super::world::{SimNode, publish, target};
use crate::fences::tests::model::{Model, NOBODY, slot};
use crate::placement::Phase;
use crate::raft::Applied;
use base::env::sim::{Simulation, test_seed};
use base::router::{Parcel, Router};
use base::{BootId, Deadline, Kind, NodeId};
use contract_store::{Isolation, KeyRange, RangeRead, Store};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use store_memory::parts::Dice;
use store_memory::{Faults, MemoryStore};
use tokio::time::{Instant, sleep};

const NODES: u64 = 3;
const KEYS: u128 = 5;
const FAULTS: Faults = Faults {
    conflict: 0.02,
    commit_unknown_applied: 0.03,
    commit_unknown_not_applied: 0.03,
    late_commit: 0.03,
    stall: 0.01,
    too_old: 0.02,
    short_pages: 0.1,
    busy: 0.02,
    interleave: 0.3,
};

fn slot_of(key: u128) -> u16 {
    (key % SLOTS) as u16
}

/// What clients have been told.
#[derive(Default)]
struct Told {
    /// The greatest value that anybody has been told of each counter.
    floor: BTreeMap<u128, u64>,
    /// Commands that were answered well, with their values.
    acked: BTreeMap<(u128, u64), u64>,
    answers: [u64; 2],
    wrong: Vec<String>,
}

impl Told {
    /// Compares an answer with what was promised.
    fn note(&mut self, key: u128, ask: Ask, floor: u64, answer: base::Result<u64>) {
        match answer {
            Ok(value) => {
                self.answers[0] += 1;
                let is_stale = value < floor || (ask != Ask::Read && value == floor);
                if is_stale {
                    self.wrong.push(format!("{ask:?} of {key}: {value} after {floor}"));
                }
                let newest = self.floor.entry(key).or_default();
                *newest = value.max(*newest);
                if let Ask::Increment(id) = ask {
                    self.acked.insert((key, id), value);
                }
            }
            Err(error) => {
                self.answers[1] += 1;
                let fits = [Kind::Unavailable, Kind::Timeout, Kind::Overloaded];
                if !fits.contains(&error.kind) {
                    self.wrong.push(format!("{ask:?} of {key}: {error:?}"));
                }
            }
        }
    }
}

type Late = Arc<Mutex<VecDeque<(Instant, Applied)>>>;

struct World {
    model: Model,
    dice: Dice,
    store: MemoryStore,
    wires: Arc<Wires>,
    sim: Simulation,
    nodes: Vec<(SimNode, Late)>,
    /// Lives that are over in the eyes of the script, and go on all the same.
    zombies: Vec<SimNode>,
    mutant: Mutant,
}

impl World {
    fn new(seed: u64, mutant: Mutant) -> Self {
        let sim = Simulation::new(seed);
        let store = MemoryStore::seeded(Arc::new(sim.clock.clone()), seed);
        let mut world = Self {
            model: Model::new(NODES),
            dice: Dice::new(seed ^ 0x5eed),
            store,
            wires: Wires::new(seed ^ 0x11),
            sim,
            nodes: Vec::new(),
            zombies: Vec::new(),
            mutant,
        };
        for number in 0..SLOTS as u16 {
            let owner = NodeId(1 + u64::from(number) % NODES);
            world.model.give(slot(number), owner);
        }
        let state = world.model.applied();
        for id in 1..=NODES {
            let life = world.life(NodeId(id), state.clone());
            world.nodes.push(life);
        }
        world
    }

    fn life(&self, node: NodeId, state: Applied) -> (SimNode, Late) {
        let (boot, _) = self.model.nodes[&node];
        let env = self.sim.env();
        let (store, wires) = (&self.store, &self.wires);
        let mut life = SimNode::start((node, boot), store, wires, &env, state, self.mutant);
        let late = life.hear_late();
        (life, late)
    }

    /// Everybody hears of it, some sooner than others.
    fn spread(&mut self) {
        let state = self.model.applied();
        for (_, late) in &self.nodes {
            let lag_ms = match self.dice.below(10) {
                0 => self.dice.below(6000),
                1..4 => self.dice.below(600),
                _ => self.dice.below(20),
            };
            let mut late = late.lock();
            let at = Instant::now() + Duration::from_millis(lag_ms);
            let at = late.back().map_or(at, |(before, _)| at.max(*before));
            late.push_back((at, state.clone()));
        }
    }

    fn any_node(&mut self) -> NodeId {
        NodeId(1 + self.dice.below(NODES))
    }

    fn any_slot(&mut self) -> base::Slot {
        slot(self.dice.below(SLOTS as u64) as u16)
    }

    async fn wait(&mut self, most_ms: u64) {
        sleep(Duration::from_millis(self.dice.below(most_ms))).await;
    }

    /// One event of the script.
    async fn step(&mut self) {
        match self.dice.below(7) {
            0 => {
                let (slot, to) = (self.any_slot(), self.any_node());
                self.model.give(slot, to);
            }
            // Declared dead, rightly or not: its slots go to others, some a little later.
            1 => {
                let dead = self.any_node();
                for slot in self.model.slots_of(dead) {
                    let heir = match self.any_node() {
                        heir if heir == dead => NOBODY,
                        heir => heir,
                    };
                    self.model.give(slot, heir);
                }
                self.spread();
                self.wait(1500).await;
                for slot in self.model.slots_of(NOBODY) {
                    let to = self.any_node();
                    self.model.give(slot, to);
                }
            }
            2 | 3 => self.planned_move().await,
            4 => {
                let (one, other) = (self.any_node(), self.any_node());
                let is_cut = self.dice.below(3) > 0;
                self.wires.set_cut(one, other, is_cut && one != other);
            }
            5 => self.wires.mend(),
            _ => self.restart(),
        }
        self.spread();
    }

    async fn planned_move(&mut self) {
        let (slot, to) = (self.any_slot(), self.any_node());
        if to == self.model.owner(slot).0 || self.model.owner(slot).0 == NOBODY {
            return;
        }
        for phase in [Phase::Prewarm, Phase::Seal] {
            self.model.set_move(slot, to, phase);
            self.spread();
            self.wait(700).await;
        }
        if self.dice.below(4) == 0 {
            self.model.moves.remove(&slot);
        } else {
            self.model.give(slot, to);
        }
    }

    /// A new life; the old one does not know that it is over.
    fn restart(&mut self) {
        let node = self.any_node();
        let boot = BootId(self.model.nodes[&node].0.0 + 1000);
        self.model.nodes.insert(node, (boot, true));
        for slot in self.model.slots_of(node) {
            self.model.give(slot, node);
        }
        let state = self.model.applied();
        let life = self.life(node, state);
        let place = self.nodes.iter_mut().find(|(life, _)| life.node == node).unwrap();
        self.zombies.push(std::mem::replace(place, life).0);
    }

    /// Whatever was wrong is over; everybody serves. Gives what clients find then.
    async fn settle(&mut self) -> BTreeMap<u128, u64> {
        self.wires.mend();
        self.store.inject(Faults::default());
        self.model.moves.clear();
        for slot in self.model.slots_of(NOBODY) {
            self.model.give(slot, NodeId(1));
        }
        self.nodes.iter().for_each(|(_, late)| late.lock().clear());
        let lives: Vec<SimNode> =
            std::mem::take(&mut self.nodes).into_iter().map(|n| n.0).collect();
        publish(&lives, &mut self.model);
        // Turns whose callers have gone away come to their end.
        sleep(Duration::from_secs(60)).await;
        self.store.land_late_commits();
        let mut found = BTreeMap::new();
        for key in 0..KEYS {
            let router: Arc<dyn Router> = lives[key as usize % lives.len()].router.clone();
            let by = Deadline::after(Duration::from_secs(10));
            let value = router.ask::<Ask, u64>(target(slot_of(key), key), Ask::Read, by).await;
            found.insert(key, value.expect("everything is well again"));
        }
        for life in &lives {
            assert_eq!(life.router.waiting.count(), 0);
        }
        found
    }
}

/// Asks again and again, each time at some node, and notes what it is told.
async fn client(number: u64, seed: u64, routers: Routers, told: Arc<Mutex<Told>>) {
    let mut dice = Dice::new(seed ^ (number << 32));
    for round in 0.. {
        let router = {
            let routers = routers.lock();
            routers[dice.below(routers.len() as u64) as usize].clone()
        };
        let (key, id) = (u128::from(dice.below(KEYS as u64)), (number << 32) | round);
        let ask = if dice.below(2) == 0 { Ask::Read } else { Ask::Increment(id) };
        let by = Deadline::after(Duration::from_millis(100 + dice.below(15_000)));
        let floor = told.lock().floor.get(&key).copied().unwrap_or(0);
        let answer = router.call(target(slot_of(key), key), Parcel::typed(ask), by).await;
        let answer = answer.and_then(|reply| reply.open::<u64>());
        let is_late = Instant::now() > by.instant() + Duration::from_millis(5);
        {
            let mut told = told.lock();
            if is_late {
                told.wrong.push(format!("{ask:?} of {key} ended after its deadline"));
            }
            told.note(key, ask, floor, answer);
        }
        sleep(Duration::from_millis(dice.below(60))).await;
    }
}

type Routers = Arc<Mutex<Vec<Arc<dyn Router>>>>;

/// Each increment once, in an order of values that is one of epochs too, and none lost.
async fn audit(store: &MemoryStore, told: &mut Told, found: &BTreeMap<u128, u64>) {
    for key in 0..KEYS {
        let tx = store.begin();
        let prefix = command_prefix(key);
        let (mut rows, mut next) =
            (BTreeMap::new(), Some(RangeRead::all(&KeyRange::prefix(&prefix))));
        while let Some(read) = next {
            let page = tx.get_range(&read, Isolation::Snapshot).await.unwrap();
            for row in &page.rows {
                let id = u64::from_be_bytes(row.key[prefix.len()..].try_into().unwrap());
                rows.insert(id, base::wire::decode::<Done>(&row.value).unwrap());
            }
            next = read.after(&page);
        }
        let newest = tx.get(&value_key(key), Isolation::Snapshot).await.unwrap();
        let newest = newest.map_or(0, |row| base::wire::decode::<Done>(&row).unwrap().value);
        let mut done: Vec<(u64, u64)> = rows.values().map(|d| (d.value, d.epoch)).collect();
        done.sort_unstable();
        let values: Vec<u64> = done.iter().map(|(value, _)| *value).collect();
        if values != (1..=newest).collect::<Vec<_>>() || found[&key] != newest {
            let found = found[&key];
            told.wrong.push(format!("{key}: {newest} counted, {found} read, {values:?} done"));
        }
        if !done.is_sorted_by_key(|(_, epoch)| *epoch) {
            told.wrong.push(format!("{key}: an older epoch wrote after a newer one: {done:?}"));
        }
        for ((_, id), value) in told.acked.range((key, 0)..=(key, u64::MAX)) {
            if rows.get(id).is_none_or(|row| row.value != *value) {
                let found = rows.get(id);
                told.wrong.push(format!("{key}: {id:x} was told {value}, stored is {found:?}"));
            }
        }
    }
}

/// Gives what was wrong, and how many calls were answered well and badly.
fn run(seed: u64, mutant: Mutant) -> (Vec<String>, [u64; 2]) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed, mutant);
        sleep(Duration::from_millis(200)).await;
        world.store.inject(FAULTS);
        let told: Arc<Mutex<Told>> = Arc::default();
        let routers: Routers = Arc::default();
        let clients: Vec<_> = (0..4)
            .map(|number| tokio::spawn(client(number, seed, routers.clone(), told.clone())))
            .collect();
        for _ in 0..10 {
            let mut all: Vec<Arc<dyn Router>> = Vec::new();
            all.extend(world.nodes.iter().map(|(life, _)| life.router.clone() as Arc<dyn Router>));
            all.extend(world.zombies.iter().map(|life| life.router.clone() as Arc<dyn Router>));
            *routers.lock() = all;
            world.wait(1500).await;
            world.step().await;
        }
        clients.iter().for_each(|client| client.abort());
        let found = world.settle().await;
        let mut told = std::mem::take(&mut *told.lock());
        audit(&world.store, &mut told, &found).await;
        (told.wrong, told.answers)
    })
}

/// How many seeds; `RIALTO_SIMULATIONS` for a longer search.
fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("RIALTO_SIMULATIONS").ok().and_then(|n| n.parse().ok());
    let is_full = std::env::var("RIALTO_TIER").is_ok_and(|tier| tier == "full");
    let first = test_seed() << 16;
    first..first + count.unwrap_or(if is_full { 400 } else { 30 })
}

#[test]
fn nothing_is_lost_doubled_stale_or_late() {
    let mut answers = [0; 2];
    for seed in seeds() {
        let (wrong, told) = run(seed, Mutant::None);
        assert!(wrong.is_empty(), "simulation {seed}: {wrong:#?}");
        answers = [answers[0] + told[0], answers[1] + told[1]];
    }
    eprintln!("answers, good and bad: {answers:?}");
    assert!(answers[0] > answers[1] * 5, "hardly anything is served: {answers:?}");
}

/// The simulation finds what it is there to find.
#[test]
fn mistakes_made_on_purpose_are_found() {
    for mutant in [Mutant::NoFenceCheck, Mutant::NoConfirmation] {
        let found = seeds().take(100).any(|seed| !run(seed, mutant).0.is_empty());
        assert!(found, "{mutant:?} was not noticed");
    }
}
