//! Who would carry how much, while a plan is made.

use super::super::state::{ClusterState, Node, NodeState};
use super::loads::Loads;
use super::rendezvous::score;
use base::{NodeId, Slot};
use std::collections::BTreeMap;

/// How far above its share a node may be filled by preference alone.
const PREFERENCE_SLACK: f64 = 0.02;

/// One node that may get slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    weight: u32,
    /// The part of the whole that it should carry.
    pub(super) share: f64,
    /// The part that it carries, with what is on its way to it.
    pub(super) load: f64,
}

impl Account {
    /// 1 is just right.
    pub(super) fn filled(&self) -> f64 {
        self.load / self.share
    }
}

/// The nodes that may get slots, and the projected load of each.
pub(super) struct Ledger<'a> {
    pub(super) loads: &'a Loads,
    pub(super) accounts: BTreeMap<NodeId, Account>,
}

impl<'a> Ledger<'a> {
    /// Active nodes but `without`; where there is none, draining ones: better than nobody.
    pub(super) fn new(state: &ClusterState, loads: &'a Loads, without: Option<NodeId>) -> Self {
        let of = |wanted: NodeState| -> Vec<&Node> {
            let fit = |n: &&Node| n.state == wanted && Some(n.id) != without;
            state.nodes().filter(fit).collect()
        };
        let mut nodes = of(NodeState::Active);
        if nodes.is_empty() {
            nodes = of(NodeState::Draining);
        }
        let all: f64 = nodes.iter().map(|node| f64::from(node.profile.weight)).sum();
        let account = |node: &Node| {
            let weight = node.profile.weight;
            (node.id, Account { weight, share: f64::from(weight) / all, load: 0.0 })
        };
        let mut ledger = Self { loads, accounts: nodes.into_iter().map(account).collect() };
        for (slot, owner) in state.slots() {
            // A move to a node that is not on the list will not come about.
            let target = state.move_of(slot).map(|found| found.to);
            let next = target.filter(|to| ledger.accounts.contains_key(to)).or(owner.node());
            if let Some(account) = next.and_then(|node| ledger.accounts.get_mut(&node)) {
                account.load += loads.weight(slot);
            }
        }
        ledger
    }

    /// Books a slot on a node.
    pub(super) fn add(&mut self, slot: Slot, node: NodeId) {
        if let Some(account) = self.accounts.get_mut(&node) {
            account.load += self.loads.weight(slot);
        }
    }

    /// Takes a slot off a node.
    pub(super) fn subtract(&mut self, slot: Slot, node: NodeId) {
        if let Some(account) = self.accounts.get_mut(&node) {
            account.load -= self.loads.weight(slot);
        }
    }

    /// The node that should get the slot, of those that `allowed` lets through: the one that the
    /// slot likes best among those with room, or else the one that is filled least.
    pub(super) fn place(&self, slot: Slot, allowed: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let weight = self.loads.weight(slot);
        let open = || self.accounts.iter().filter(|(node, _)| allowed(**node));
        let liked = open()
            .filter(|(_, a)| a.load + weight <= a.share * (1.0 + PREFERENCE_SLACK))
            .max_by(|a, b| self.liking(slot, a).total_cmp(&self.liking(slot, b)));
        let least = || {
            let after = |account: &Account| (account.load + weight) / account.share;
            open().min_by(|a, b| after(a.1).total_cmp(&after(b.1)))
        };
        liked.or_else(least).map(|(node, _)| *node)
    }

    fn liking(&self, slot: Slot, (node, account): &(&NodeId, &Account)) -> f64 {
        score(slot, **node, account.weight)
    }

    /// How much a slot likes a node of the ledger.
    pub(super) fn score(&self, slot: Slot, node: NodeId) -> f64 {
        self.accounts.get(&node).map_or(0.0, |account| score(slot, node, account.weight))
    }
}
