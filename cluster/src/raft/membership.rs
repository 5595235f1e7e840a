//! Changing who takes part in Raft: on the leader, one change at a time.

use super::node::RaftNode;
use crate::placement::plan::{MembershipStep, membership};
use base::{Error, Kind, NodeId, Result};
use openraft::error::{ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers};
use std::collections::BTreeSet;
use std::time::Duration;

/// A learner that lacks no more than this many entries may vote.
const CAUGHT_UP_ENTRIES: u64 = 50;

impl RaftNode {
    /// Takes the next step towards the membership that the state asks for
    /// ([`crate::placement::plan::membership`]), if there is one, and waits until it is through.
    /// The leader calls it each second or so; on another node it does nothing.
    ///
    /// # Errors
    /// [`Kind::Timeout`] if a step does not get through in time (it may later),
    /// [`Kind::Unavailable`] if this node's Raft has stopped or does not lead any more.
    pub async fn mend_membership(&self, timeout: Duration) -> Result<Option<MembershipStep>> {
        if !self.leadership().borrow().is_me {
            return Ok(None);
        }
        // openraft panics under changes that overlap (its issue 1544).
        let Ok(_alone) = self.changing.try_lock() else { return Ok(None) };
        let Some(step) = self.next_step() else { return Ok(None) };
        tracing::info!(?step, "changing the membership of Raft");
        match tokio::time::timeout(timeout, self.take(&step)).await {
            Ok(Ok(())) => Ok(Some(step)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::new(Kind::Timeout, "The cluster did not decide in time")
                .detail(format!("{step:?} within {timeout:?}"))),
        }
    }

    /// From the membership in effect, which may not be committed yet: a step that this leader has
    /// begun is not begun again.
    fn next_step(&self) -> Option<MembershipStep> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let config = metrics.membership_config.membership();
        let voters: BTreeSet<NodeId> = config.voter_ids().map(NodeId).collect();
        let learners: BTreeSet<NodeId> = config.learner_ids().map(NodeId).collect();
        let last = metrics.last_log_index.unwrap_or(0);
        let has = |node: NodeId| metrics.replication.as_ref()?.get(&node.0)?.map(|id| id.index);
        let caught_up =
            |node: NodeId| has(node).is_some_and(|matched| matched + CAUGHT_UP_ENTRIES >= last);
        let state = self.applied.borrow().state.clone();
        membership(&state, &voters, &learners, caught_up)
    }

    async fn take(&self, step: &MembershipStep) -> Result<()> {
        let ids = |nodes: &BTreeSet<NodeId>| nodes.iter().map(|node| node.0).collect();
        let done = match step {
            MembershipStep::AddLearner { node, address } => {
                self.raft.add_learner(node.0, BasicNode::new(address), false).await
            }
            MembershipStep::SetVoters(voters) => {
                let change = ChangeMembers::ReplaceAllVoters(ids(voters));
                self.raft.change_membership(change, true).await
            }
            MembershipStep::Forget(node) => {
                let change = ChangeMembers::RemoveNodes(BTreeSet::from([node.0]));
                self.raft.change_membership(change, false).await
            }
        };
        match done {
            Ok(_) => Ok(()),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_))) => {
                Err(Error::unavailable("another node leads by now"))
            }
            // A change of an earlier leader that is not through yet.
            Err(RaftError::APIError(error)) => Err(Error::unavailable(error)),
            Err(RaftError::Fatal(error)) => Err(Error::unavailable(error)),
        }
    }
}
