//! Who follows a leader that has fallen silent, before Raft's own time-outs say so.
//!
//! Raft waits for its lease (in which nobody votes for another) and then for a time-out that is
//! drawn: half a second and more in which the dead leader's slots have nobody who gives them to
//! others. Here the nodes agree beforehand who comes first: of the voters to which the leader sends
//! its heartbeats the one with the lowest id stands when the lease has passed, the next one a
//! moment later if that came to nothing. The lease itself is not touched, so a leader that is only slow loses nothing by it; and
//! both its heartbeats and Raft's must have stayed away, from this node and from all that say what
//! they hear. Who hears no majority is cut off itself, and would only disturb the others.

use super::beat::recipients;
use super::detector::Detector;
use crate::placement::ClusterState;
use base::NodeId;
use std::collections::BTreeSet;
use std::time::Duration;

/// More than the lease: the others may have heard the leader a heartbeat later.
const MARGIN: Duration = Duration::from_millis(100);

/// For how long the next one waits for the one before.
const TURN: Duration = Duration::from_millis(250);

impl Detector {
    /// Whether this node should stand for election now. `silence` is how long ago Raft heard the
    /// leader last, `lease` for how long its voters are bound to it since.
    pub fn should_stand(
        &self,
        now: Duration,
        state: &ClusterState,
        (leader, silence): (NodeId, Duration),
        lease: Duration,
        voters: &BTreeSet<NodeId>,
    ) -> bool {
        let me = self.me;
        let heirs = recipients(state, leader, Some(leader));
        let may_stand = |node: &NodeId| voters.contains(node) && heirs.contains(node);
        if !self.trusts_itself(now) || !may_stand(&me) {
            return false;
        }
        let Some(known) = self.peers.get(&leader) else { return false };
        if self.silence(now, known) <= self.settings.silence && !known.refused {
            return false;
        }
        let is_heard = |voter: &NodeId| {
            let peer = self.peers.get(voter);
            peer.is_some_and(|peer| self.silence(now, peer) <= self.settings.silence)
        };
        let others = || voters.iter().filter(|voter| **voter != me && **voter != leader);
        let heard = others().filter(|voter| is_heard(voter)).count();
        if (heard + 1) * 2 <= voters.len()
            || others().any(|by| self.says_it_hears(now, *by, leader))
        {
            return false;
        }
        let before = heirs.iter().filter(|heir| **heir < me && may_stand(heir));
        let turns = before.filter(|heir| is_heard(heir)).count();
        silence >= lease + MARGIN + TURN * u32::try_from(turns).unwrap_or(u32::MAX)
    }
}
