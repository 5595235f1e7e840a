//! The leader's verdicts.

use super::beat::recipients;
use super::detector::{Detector, Peer, ms};
use crate::placement::{ClusterState, Node, NodeState};
use base::{BootId, NodeId};
use std::collections::BTreeSet;
use std::time::Duration;

/// What the leader should propose, or tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// [`crate::placement::Command::Dead`], with a takeover.
    Dead {
        /// Which node.
        node: NodeId,
        /// The life that is over.
        boot: BootId,
        /// Why.
        reason: Reason,
    },
    /// [`crate::placement::Command::Alive`]: a node that was dead is well for long enough, or one
    /// has restarted before anybody missed it.
    Back {
        /// Which node.
        node: NodeId,
        /// Its life.
        boot: BootId,
    },
    /// Others hear the node and the leader does not, or the other way round, for ten seconds: a
    /// link that is broken one way. Drain it.
    Disputed(NodeId),
    /// Much slower than the rest for ten seconds. Drain it: at most one at a time, and two thirds
    /// of the nodes stay. May be the leader itself.
    Slow(NodeId),
    /// [`crate::placement::Command::Undrain`]: a node that was drained for one of these reasons has
    /// looked well for long enough.
    Recovered(NodeId),
}

/// Why a node is declared dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Nothing was heard of it.
    Silent,
    /// Its links were reset and nobody listens.
    Refused,
    /// It says itself that it has lost the store, which others reach.
    CutFromStore,
    /// It restarts again and again.
    Flapping,
}

/// One watcher's view of a node.
enum View {
    Hears,
    Suspects { refused: bool },
}

impl Detector {
    /// The leader's judgement, each [`super::Settings::tick_every`], after
    /// [`Detector::tick`]. A verdict is repeated until the state shows that it was carried out.
    pub fn judge(&mut self, now: Duration, state: &ClusterState) -> Vec<Verdict> {
        self.expect_everybody(now, state);
        let yields = self.yields(now, state).filter(|_| self.has_quorum());
        if yields.is_some() || !self.trusts_itself(now) || !self.has_quorum() {
            return yields.into_iter().collect();
        }
        if self.store_stalls(now) {
            return Vec::new();
        }
        let mut verdicts = Vec::new();
        let me = self.me;
        for node in state.nodes().filter(|node| node.id != me) {
            let verdict = match node.state {
                NodeState::Joining | NodeState::Removed => None,
                NodeState::Dead => self.may_return(now, node),
                NodeState::Active | NodeState::Draining | NodeState::Drained => {
                    self.judge_living(now, state, node)
                }
            };
            verdicts.extend(verdict);
        }
        let recovered = state.nodes().filter_map(|node| self.may_recover(now, node));
        verdicts.extend(recovered);
        verdicts.extend(self.slowest(now, state));
        verdicts
    }

    /// A declaration of death was carried out: the hold-down begins.
    pub fn declared_dead(&mut self, now: Duration, node: NodeId) {
        let forgotten = self.settings.flaps_forgotten;
        if let Some(peer) = self.peers.get_mut(&node) {
            if now.saturating_sub(peer.last_flap) > forgotten {
                peer.flaps = 0;
            }
            peer.flaps = peer.flaps.saturating_add(1);
            (peer.last_flap, peer.well_since) = (now, None);
        }
    }

    /// A node from which nothing ever came is silent from now on.
    fn expect_everybody(&mut self, now: Duration, state: &ClusterState) {
        let me = self.me;
        for node in state.nodes().filter(|node| node.id != me) {
            if let (Some(boot), false) = (node.boot, self.peers.contains_key(&node.id)) {
                self.expect(now, node.id, boot);
            }
        }
        self.retain(|id| state.node(id).is_some_and(|node| node.state != NodeState::Removed));
    }

    /// More than half of those who say anything say that the store stalls.
    fn store_stalls(&self, now: Duration) -> bool {
        let cut = ms(self.settings.store_outage);
        let fresh = self.peers.values().filter(|peer| self.is_fresh(now, peer));
        let (all, stalled) = fresh.fold((1, 0), |(all, stalled), peer| {
            (all + 1, stalled + usize::from(peer.vitals.store_silence_ms >= cut))
        });
        stalled * 2 > all
    }

    /// Whether a node with this silence of the store certainly reaches it.
    fn reaches_store(&self, silence_ms: u32) -> bool {
        silence_ms < ms(self.settings.store_outage) / 2
    }

    /// Whether this node has reached the store for so long that others, if they could, would have
    /// found that out by now: an outage ends for one sooner than for the next.
    fn has_had_store(&self, now: Duration) -> bool {
        let long = self.settings.store_outage.saturating_mul(2);
        self.store_since.is_some_and(|since| now.saturating_sub(since) >= long)
    }

    /// Whether this node has lost the store and most of those who say anything have not, for as
    /// long as an outage is: it leads, so nobody else will declare its slots free.
    fn yields(&mut self, now: Duration, state: &ClusterState) -> Option<Verdict> {
        let lost = self.store_silence_ms >= ms(self.settings.store_outage);
        let fresh = self.peers.values().filter(|peer| self.is_fresh(now, peer));
        let (all, well) = fresh.fold((0, 0), |(all, well), peer| {
            (all + 1, well + usize::from(self.reaches_store(peer.vitals.store_silence_ms)))
        });
        let alone = lost && well * 2 > all;
        self.alone_since = alone.then(|| self.alone_since.unwrap_or(now));
        let since = self.alone_since?;
        let me = state.node(self.me)?;
        let serves =
            matches!(me.state, NodeState::Active | NodeState::Draining | NodeState::Drained);
        if now.saturating_sub(since) < self.settings.store_outage || !serves {
            return None;
        }
        Some(Verdict::Dead { node: me.id, boot: me.boot?, reason: Reason::CutFromStore })
    }

    fn is_fresh(&self, now: Duration, peer: &Peer) -> bool {
        now.saturating_sub(peer.at) <= self.settings.report_age_max
    }

    fn judge_living(
        &mut self,
        now: Duration,
        state: &ClusterState,
        node: &Node,
    ) -> Option<Verdict> {
        let (id, expected) = (node.id, node.boot?);
        let hold = self.hold_down(id);
        let peer = self.peers.get(&id)?;
        if peer.boot != expected && self.is_fresh(now, peer) {
            // Restarted before anybody missed it. Once is an upgrade, again and again is not.
            let calm = now.saturating_sub(peer.last_flap) > hold || peer.flaps == 0;
            let reason = Reason::Flapping;
            return Some(match calm {
                true => Verdict::Back { node: id, boot: peer.boot },
                false => Verdict::Dead { node: id, boot: expected, reason },
            });
        }
        // One beat may tell of a moment that is over.
        let cut = peer.cut_since.is_some_and(|since| {
            now.saturating_sub(since) >= self.settings.beat_every.saturating_mul(2)
        });
        // Who says first that the store is silent need not be the only one for whom it is.
        if cut && self.is_fresh(now, peer) && self.has_had_store(now) {
            return Some(Verdict::Dead { node: id, boot: expected, reason: Reason::CutFromStore });
        }
        let reason = self.suspicion(now, state, id);
        reason.map(|reason| Verdict::Dead { node: id, boot: expected, reason })
    }

    /// Puts the views of the watchers together; notes where they disagree.
    fn suspicion(&mut self, now: Duration, state: &ClusterState, node: NodeId) -> Option<Reason> {
        let peer = self.peers.get(&node)?;
        let silence = self.silence(now, peer);
        let mine = match silence > self.settings.silence || peer.refused {
            true => View::Suspects { refused: peer.refused },
            false => View::Hears,
        };
        let watchers = recipients(state, node, Some(self.me));
        let views: Vec<View> =
            watchers.iter().filter_map(|watcher| self.view_of(now, *watcher, node)).collect();
        let hear = views.iter().filter(|view| matches!(view, View::Hears)).count();
        let suspect = views.len() - hear;
        let leader_hears = matches!(mine, View::Hears);
        let reason = match mine {
            View::Hears => None,
            // Nobody else to ask: those who could be are silent themselves, or deaf.
            View::Suspects { .. } if views.is_empty() => {
                (silence > self.settings.silence_alone).then_some(Reason::Silent)
            }
            View::Suspects { refused } if suspect + 1 > hear && suspect > 0 => {
                let all_refused =
                    refused && views.iter().any(|v| matches!(v, View::Suspects { refused: true }));
                Some(if all_refused { Reason::Refused } else { Reason::Silent })
            }
            View::Suspects { .. } => None,
        };
        let disputed = match leader_hears {
            true => suspect > 0 && silence <= self.settings.silence,
            false => hear > 0 && reason.is_none(),
        };
        let peer = self.peers.get_mut(&node)?;
        peer.disputed_since = disputed.then(|| peer.disputed_since.unwrap_or(now));
        reason
    }

    /// What a watcher says, if it says anything that counts.
    fn view_of(&self, now: Duration, watcher: NodeId, node: NodeId) -> Option<View> {
        let reporter = self.peers.get(&watcher).filter(|peer| self.is_fresh(now, peer))?;
        let about = reporter.hears.as_ref()?.iter().find(|hearing| hearing.node == node)?;
        let age = now.saturating_sub(reporter.at);
        // What was silent when the report was sent has been so for longer by now, but perhaps
        // not: only what the watcher saw itself counts as a suspicion.
        let silent = about.silence_ms > ms(self.settings.silence);
        let heard_lately = about.silence_ms.saturating_add(ms(age)) <= ms(self.settings.silence);
        match (silent || about.refused, heard_lately) {
            (true, _) => Some(View::Suspects { refused: about.refused }),
            (false, true) => Some(View::Hears),
            (false, false) => None,
        }
    }

    /// Whether a node has said of late that it hears another.
    pub(super) fn says_it_hears(&self, now: Duration, watcher: NodeId, node: NodeId) -> bool {
        matches!(self.view_of(now, watcher, node), Some(View::Hears))
    }

    /// How long a node must be well before it is taken back.
    pub(super) fn hold_down(&self, node: NodeId) -> Duration {
        let flaps = self.peers.get(&node).map_or(0, |peer| peer.flaps).max(1);
        let doubled = self.settings.hold_down_first.saturating_mul(1 << (flaps - 1).min(16));
        doubled.min(self.settings.hold_down_max)
    }

    fn may_return(&self, now: Duration, node: &Node) -> Option<Verdict> {
        let peer = self.peers.get(&node.id)?;
        let well_for = now.saturating_sub(peer.well_since?);
        let back = self.is_fresh(now, peer) && well_for >= self.hold_down(node.id);
        back.then_some(Verdict::Back { node: node.id, boot: peer.boot })
    }

    /// The one node to drain for being slow or disputed, if there is one and the rest can bear it.
    fn slowest(&mut self, now: Duration, state: &ClusterState) -> Option<Verdict> {
        let living = |node: &&Node| !matches!(node.state, NodeState::Removed | NodeState::Joining);
        let all = state.nodes().filter(living).count();
        let nodes = state.nodes().filter(|node| node.state == NodeState::Active);
        let active: Vec<NodeId> = nodes.map(|node| node.id).collect();
        if state.nodes().any(|node| node.state == NodeState::Draining) {
            // What moves slows others down for a moment.
            self.paces.begin_anew();
            return None;
        }
        let starved: BTreeSet<NodeId> =
            active.iter().copied().filter(|node| self.is_starved(now, *node)).collect();
        self.paces.note(now, &self.settings, &active, |node| starved.contains(&node));
        if active.len().saturating_sub(1) < (2 * all).div_ceil(3) {
            return None;
        }
        let long = |since: Option<Duration>| {
            since.is_some_and(|since| now.saturating_sub(since) >= self.settings.persistent)
        };
        let disputed = |id: &NodeId| self.peers.get(id).and_then(|peer| peer.disputed_since);
        active.into_iter().find_map(|id| match long(disputed(&id)) {
            true => Some(Verdict::Disputed(id)),
            false => long(self.paces.slow_since(id)).then_some(Verdict::Slow(id)),
        })
    }

    /// A node that no operator has drained, and that does not end: it was slow, or disputed. Also
    /// one that an earlier leader has sent to rest.
    fn may_recover(&mut self, now: Duration, node: &Node) -> Option<Verdict> {
        let rests = node.state == NodeState::Drained && !node.drain;
        let since = self.paces.rests(now, node.id, rests)?;
        let hold = self.paces.hold_down(now, &self.settings, node.id);
        let sound_since = match self.peers.get(&node.id) {
            Some(peer) if self.is_fresh(now, peer) && peer.disputed_since.is_none() => {
                peer.sound_since
            }
            None if node.id == self.me => self.sound_since,
            _ => None,
        };
        let well_for = now.saturating_sub(sound_since?.max(since));
        (well_for >= hold).then_some(Verdict::Recovered(node.id))
    }
}
