//! Who should vote: 1 or 3 or 5 of the nodes, all others learn.

use super::super::state::{ClusterState, Node, NodeState};
use base::NodeId;
use std::collections::BTreeSet;

/// The most voters; more make every commit slower and nothing safer.
pub const VOTERS_MAX: usize = 5;

/// One change of Raft's membership; they are made one at a time, each when the last is through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MembershipStep {
    /// The node gets the log and does not vote.
    AddLearner {
        /// Which node.
        node: NodeId,
        /// Where its links listen.
        address: String,
    },
    /// These vote from now on; those that no longer do stay as learners.
    SetVoters(BTreeSet<NodeId>),
    /// The node (a learner) gets nothing any more.
    Forget(NodeId),
}

/// The next step towards the right membership, or `None` if it is right. `caught_up` says whether a
/// learner has (nearly) the whole log: only then may it vote, or commits would wait for it.
pub fn membership(
    state: &ClusterState,
    voters: &BTreeSet<NodeId>,
    learners: &BTreeSet<NodeId>,
    caught_up: impl Fn(NodeId) -> bool,
) -> Option<MembershipStep> {
    let alive = |node: &&Node| !matches!(node.state, NodeState::Removed | NodeState::Dead);
    let member = |id: NodeId| voters.contains(&id) || learners.contains(&id);
    if let Some(node) = state.nodes().filter(alive).find(|node| !member(node.id)) {
        let address = node.profile.address.clone();
        return Some(MembershipStep::AddLearner { node: node.id, address });
    }
    let wanted = wanted_voters(state, voters, caught_up);
    if wanted != *voters && !wanted.is_empty() {
        return Some(MembershipStep::SetVoters(wanted));
    }
    let gone = |id: &NodeId| state.node(*id).is_none_or(|node| node.state == NodeState::Removed);
    learners.iter().copied().find(gone).map(MembershipStep::Forget)
}

fn wanted_voters(
    state: &ClusterState,
    voters: &BTreeSet<NodeId>,
    caught_up: impl Fn(NodeId) -> bool,
) -> BTreeSet<NodeId> {
    // The lower the better: steady nodes first, those that vote already before others.
    let rank = |node: &Node| {
        let votes = voters.contains(&node.id);
        let merit = match node.state {
            NodeState::Active => 0,
            NodeState::Draining | NodeState::Drained => 2,
            // Dead ones may come back; they give way to whoever lives.
            NodeState::Dead if votes => 4,
            NodeState::Dead | NodeState::Joining | NodeState::Removed => return None,
        };
        (votes || caught_up(node.id)).then_some((merit + u8::from(!votes), node.id))
    };
    let mut ranked: Vec<(u8, NodeId)> = state.nodes().filter_map(rank).collect();
    ranked.sort_unstable();
    // Two voters are worse than one: either of them could stop the cluster.
    let count = match ranked.len() {
        0..=2 => 1,
        3..=4 => 3,
        _ => VOTERS_MAX,
    };
    ranked.into_iter().take(count).map(|(_, id)| id).collect()
}
