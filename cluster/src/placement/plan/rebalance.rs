//! Planned moves: out of draining nodes first, and when these are empty from the fullest to the
//! emptiest. Until then the others are all below their shares, and what is moved between them would
//! have to be moved again.
//!
//! A plan is bounded, and made anew when some of its moves are done, from what is true then. It
//! starts only when a node is off by more than [`Limits::start`] and then goes on until all are
//! within [`Limits::stop`]: between the two nothing moves (hysteresis). A slot moves only if that
//! lowers the load of the fuller of the two nodes, so a plan always ends, and a slot that is
//! heavier than a node's share is left alone.

use super::super::command::{MoveAction, MoveStep, SlotAt};
use super::super::state::{ClusterState, NodeState, Phase};
use super::ledger::Ledger;
use super::loads::Loads;
use base::{NodeId, Slot};
use std::collections::BTreeMap;

/// How much may move at a time, and when it is worth it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limits {
    /// Moves in progress between one pair of nodes.
    pub per_pair: usize,
    /// Moves in progress altogether.
    pub total: usize,
    /// Off its share by more than this part of it, a node sets a rebalance off.
    pub start: f64,
    /// A rebalance that goes on ends when all are within this part of their shares.
    pub stop: f64,
}

impl Default for Limits {
    /// 8 per pair, 32 in all; from 5 % down to 2 %.
    fn default() -> Self {
        Self { per_pair: 8, total: 32, start: 0.05, stop: 0.02 }
    }
}

/// What to do now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// For [`super::super::Command::Moves`]; all are [`MoveAction::Begin`].
    pub steps: Vec<MoveStep>,
    /// To be handed back as `ongoing` to the next call.
    pub ongoing: bool,
}

/// Plans the next moves. `rested` says whether a slot may move again (it did not within the last
/// minute, say); draining does not ask.
pub fn rebalance(
    state: &ClusterState,
    loads: &Loads,
    limits: &Limits,
    ongoing: bool,
    rested: impl Fn(Slot) -> bool,
) -> Plan {
    let mut planner = Planner::new(state, loads, limits);
    planner.evacuate();
    let ongoing = match planner.is_evacuating() {
        true => ongoing,
        false => planner.even_out(ongoing, rested),
    };
    Plan { steps: planner.steps, ongoing }
}

struct Planner<'a> {
    state: &'a ClusterState,
    limits: &'a Limits,
    ledger: Ledger<'a>,
    /// Moves in progress, by (from, to).
    pairs: BTreeMap<(NodeId, NodeId), usize>,
    in_progress: usize,
    /// The slots that may be moved, by owner.
    movable: BTreeMap<NodeId, Vec<Slot>>,
    /// How much each slot likes a target, by slot number: asked again and again for each move.
    likings: BTreeMap<NodeId, Vec<f64>>,
    steps: Vec<MoveStep>,
}

impl<'a> Planner<'a> {
    fn new(state: &'a ClusterState, loads: &'a Loads, limits: &'a Limits) -> Self {
        let mut pairs: BTreeMap<_, usize> = BTreeMap::new();
        for (_, found) in state.moves().filter(|(_, found)| found.phase != Phase::Bump) {
            *pairs.entry((found.from, found.to)).or_default() += 1;
        }
        let mut movable: BTreeMap<NodeId, Vec<Slot>> = BTreeMap::new();
        for (slot, owner) in state.slots() {
            if let (Some(node), None) = (owner.node(), state.move_of(slot)) {
                movable.entry(node).or_default().push(slot);
            }
        }
        let ledger = Ledger::new(state, loads, None);
        let in_progress = pairs.values().sum();
        let (likings, steps) = (BTreeMap::new(), Vec::new());
        Self { state, limits, ledger, pairs, in_progress, movable, likings, steps }
    }

    fn full(&self) -> bool {
        self.in_progress >= self.limits.total
    }

    fn pair_is_free(&self, from: NodeId, to: NodeId) -> bool {
        self.pairs.get(&(from, to)).copied().unwrap_or(0) < self.limits.per_pair
    }

    fn begin(&mut self, slot: Slot, from: NodeId, to: NodeId) {
        let at = SlotAt { slot, epoch: self.state.slot(slot).epoch };
        self.steps.push(MoveStep { at, action: MoveAction::Begin { to } });
        self.ledger.subtract(slot, from);
        self.ledger.add(slot, to);
        *self.pairs.entry((from, to)).or_default() += 1;
        self.in_progress += 1;
        if let Some(slots) = self.movable.get_mut(&from) {
            slots.retain(|other| *other != slot);
        }
    }

    /// Whether there is something left in draining nodes, and somebody who takes it.
    fn is_evacuating(&self) -> bool {
        let any = |state, slots_min| {
            self.state.nodes().any(|node| node.state == state && node.slots >= slots_min)
        };
        any(NodeState::Active, 0) && any(NodeState::Draining, 1)
    }

    /// Draining nodes give away what they have, the heaviest first.
    fn evacuate(&mut self) {
        let state = self.state;
        if !state.nodes().any(|node| node.state == NodeState::Active) {
            return;
        }
        for node in state.nodes().filter(|node| node.state == NodeState::Draining) {
            let mut slots = self.movable.get(&node.id).cloned().unwrap_or_default();
            let weight = |slot: Slot| self.ledger.loads.weight(slot);
            slots.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)).then(a.cmp(b)));
            for slot in slots {
                if self.full() {
                    return;
                }
                let Some(to) = self.ledger.place(slot, |_| true) else { break };
                // Given to another only because this one is busy now, it would have to move again.
                if self.pair_is_free(node.id, to) {
                    self.begin(slot, node.id, to);
                }
            }
        }
    }

    /// Whether it goes on.
    fn even_out(&mut self, ongoing: bool, rested: impl Fn(Slot) -> bool) -> bool {
        let slack = if ongoing { self.limits.stop } else { self.limits.start };
        let off = |filled: f64| (filled - 1.0).abs() > slack;
        if !self.ledger.accounts.values().any(|account| off(account.filled())) {
            return false;
        }
        for slots in self.movable.values_mut() {
            slots.retain(|slot| rested(*slot));
        }
        while !self.full() {
            match self.best_move() {
                Some((slot, from, to)) => self.begin(slot, from, to),
                // Nothing helps, or all pairs that would are busy.
                None => break,
            }
        }
        // With nothing on its way and nothing to do, this is as even as it gets.
        self.in_progress > 0
    }

    /// From the fullest node that has something to give to the emptiest that can take it.
    fn best_move(&mut self) -> Option<(Slot, NodeId, NodeId)> {
        let mut order: Vec<(NodeId, f64)> =
            self.ledger.accounts.iter().map(|(node, account)| (*node, account.filled())).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for (from, filled) in &order {
            for (to, empty) in order.iter().rev() {
                // Both ends within the slack: no pair further in is worth it either.
                if *filled <= 1.0 + self.limits.stop && *empty >= 1.0 - self.limits.stop {
                    break;
                }
                if filled <= empty || !self.pair_is_free(*from, *to) {
                    continue;
                }
                if let Some(slot) = self.choose(*from, *to) {
                    return Some((slot, *from, *to));
                }
            }
        }
        None
    }

    /// The heaviest slot that overshoots neither end, or else the lightest that still helps; among
    /// equals the one that likes the target best.
    fn choose(&mut self, from: NodeId, to: NodeId) -> Option<Slot> {
        let ledger = &self.ledger;
        let likings = self
            .likings
            .entry(to)
            .or_insert_with(|| Slot::all().map(|slot| ledger.score(slot, to)).collect());
        let (giver, taker) = (self.ledger.accounts.get(&from)?, self.ledger.accounts.get(&to)?);
        let gap = (giver.load - giver.share).min(taker.share - taker.load);
        let mut fits: Option<(f64, f64, Slot)> = None;
        let mut helps: Option<(f64, f64, Slot)> = None;
        for slot in self.movable.get(&from)?.iter().copied() {
            let weight = self.ledger.loads.weight(slot);
            // Sums of the same weights in another order differ in the last places.
            let after = (taker.load + weight) / taker.share;
            if after + 1e-9 >= giver.filled() {
                continue;
            }
            let liking = likings.get(usize::from(slot.number())).copied().unwrap_or(0.0);
            let key = (weight, liking, slot);
            if weight <= gap + 1e-12 {
                let heavier = |old: (f64, f64, Slot)| {
                    weight > old.0 + 1e-12 || (weight > old.0 - 1e-12 && liking > old.1)
                };
                fits = Some(fits.filter(|old| !heavier(*old)).unwrap_or(key));
            } else {
                let lighter = |old: (f64, f64, Slot)| {
                    weight < old.0 - 1e-12 || (weight < old.0 + 1e-12 && liking > old.1)
                };
                helps = Some(helps.filter(|old| !lighter(*old)).unwrap_or(key));
            }
        }
        fits.or(helps).map(|(_, _, slot)| slot)
    }
}
