//! Which node is much slower than the rest, and when it may have slots again.
//!
//! Every node tells the leader how fast it serves, and how fast others answer it. A node's pace is
//! the middle one of what is said of it, itself included: a node with a bad link finds all others
//! slow, and all others find it slow; one that lacks a processor, or whose way to the store is
//! long, is slow in everybody's eyes. Then it is compared with the node in the middle: where all
//! have become slow, nobody is to blame.
//!
//! **A node that lacks a processor** is told by less. Under a quota of a tenth each request waits for
//! its turn, some tens of milliseconds. A client's command is two or three of them, and only short
//! ones are timed: a STORE has the deadline of a COPY. Where commands took 66 ms instead of 3
//! (`cluster-slow` of chaos-tests) that makes a pace of about the 30 ms that a long way to the store
//! must cost to be worth a move, now above and now below, never for ten seconds. Such a node knows
//! it itself, though: its timers are late all the time. Those of a node far away are not, so it may
//! be as slow as it is. How fast it is, it does not know: its clock for a request starts when it gets
//! to it.
//!
//! A node that was drained has nothing to be slow with. It gets slots again when it has looked well
//! for a minute, and for twice as long each time it happens again.

use super::settings::Settings;
use base::NodeId;
use std::collections::BTreeMap;
use std::time::Duration;

/// The leader's memory of paces; lost with it.
#[derive(Debug, Default)]
pub(super) struct Paces {
    /// When a node last told, and what: paces in microseconds for a command.
    told: BTreeMap<NodeId, (Duration, Vec<(NodeId, u32)>)>,
    slow_since: BTreeMap<NodeId, Duration>,
    /// Nodes without slots that no operator has drained: since when.
    resting_since: BTreeMap<NodeId, Duration>,
    /// How often a node was brought back without calm in between, and when it was last.
    returns: BTreeMap<NodeId, (u32, Duration)>,
}

impl Paces {
    pub(super) fn tell(&mut self, now: Duration, from: NodeId, paces: Vec<(NodeId, u32)>) {
        self.told.insert(from, (now, paces));
    }

    /// The leader is another, or one of the nodes is drained: whoever was slow has to be so anew.
    pub(super) fn begin_anew(&mut self) {
        self.slow_since.clear();
    }

    pub(super) fn retain(&mut self, known: impl Fn(NodeId) -> bool) {
        self.told.retain(|node, _| known(*node));
        self.slow_since.retain(|node, _| known(*node));
        self.resting_since.retain(|node, _| known(*node));
        self.returns.retain(|node, _| known(*node));
    }

    /// What is said of a node, if it says something itself.
    fn pace(
        &self,
        now: Duration,
        settings: &Settings,
        (node, is_starved): (NodeId, bool),
    ) -> Option<u32> {
        let says = |from: &NodeId| {
            let (at, paces) = self.told.get(from)?;
            let pace = paces.iter().find(|(of, _)| *of == node).map(|(_, pace)| *pace);
            pace.filter(|_| now.saturating_sub(*at) <= settings.pace_age_max)
        };
        let own = says(&node)?;
        let others = self.told.keys().filter(|from| **from != node);
        let mut said: Vec<u32> = others.filter_map(says).collect();
        if !is_starved || said.is_empty() {
            said.push(own);
        }
        said.sort_unstable();
        // Of two the better one: with two there is no telling which of them is wrong.
        said.get((said.len() - 1) / 2).copied()
    }

    /// Looks which of these nodes are slow now; `starved` says which of them lack a processor.
    pub(super) fn note(
        &mut self,
        now: Duration,
        settings: &Settings,
        active: &[NodeId],
        starved: impl Fn(NodeId) -> bool,
    ) {
        let pace =
            |node: &NodeId| Some((*node, self.pace(now, settings, (*node, starved(*node)))?));
        let paces: Vec<(NodeId, u32)> = active.iter().filter_map(pace).collect();
        let mut sorted: Vec<u32> = paces.iter().map(|(_, pace)| *pace).collect();
        sorted.sort_unstable();
        let middle = sorted.get(sorted.len() / 2).copied().filter(|_| sorted.len() >= 3);
        let limit = middle.map(|middle| middle.saturating_mul(settings.slow_factor));
        let micros = |least: Duration| u32::try_from(least.as_micros()).unwrap_or(u32::MAX);
        let is_slow = |(node, pace): &(NodeId, u32)| {
            let least = if starved(*node) { settings.starved_min } else { settings.slow_min };
            limit.is_some_and(|limit| *pace > limit.max(micros(least)))
        };
        let slow: Vec<(NodeId, u32)> = paces.into_iter().filter(is_slow).collect();
        let before = std::mem::take(&mut self.slow_since);
        for (node, pace_us) in &slow {
            let since = before.get(node).copied().unwrap_or_else(|| {
                let (middle_us, starved) = (middle.unwrap_or_default(), starved(*node));
                tracing::info!(%node, pace_us, middle_us, starved, "a node has become slow");
                now
            });
            self.slow_since.insert(*node, since);
        }
        let well = before.keys().filter(|node| !self.slow_since.contains_key(node));
        well.for_each(|node| tracing::info!(%node, "a node is not slow any more"));
    }

    /// Since when a node is slow.
    pub(super) fn slow_since(&self, node: NodeId) -> Option<Duration> {
        self.slow_since.get(&node).copied()
    }

    /// Notes whether a node has been sent to rest; says since when.
    pub(super) fn rests(&mut self, now: Duration, node: NodeId, rests: bool) -> Option<Duration> {
        if !rests {
            self.resting_since.remove(&node);
            return None;
        }
        Some(*self.resting_since.entry(node).or_insert(now))
    }

    /// How long a node must rest.
    pub(super) fn hold_down(&self, now: Duration, settings: &Settings, node: NodeId) -> Duration {
        let returns = self.returns_of_late(now, settings, node);
        settings.slow_hold_first.saturating_mul(1 << returns.min(16)).min(settings.slow_hold_max)
    }

    /// How often a node was brought back, the last time not long ago: after calm nothing counts.
    fn returns_of_late(&self, now: Duration, settings: &Settings, node: NodeId) -> u32 {
        // A rest is no calm.
        let until = self.resting_since.get(&node).copied().unwrap_or(now);
        let of_late = |(_, at): &&(u32, Duration)| {
            until.saturating_sub(*at) <= settings.slow_hold_max.max(settings.flaps_forgotten) * 2
        };
        self.returns.get(&node).filter(of_late).map_or(0, |(count, _)| *count)
    }

    /// A node gets slots again.
    pub(super) fn returned(&mut self, now: Duration, settings: &Settings, node: NodeId) {
        let count = self.returns_of_late(now, settings, node);
        self.returns.insert(node, (count.saturating_add(1), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of two others has asked it enough to tell.
    #[test]
    fn a_node_without_a_processor_does_not_speak_for_itself() {
        let (settings, at) = (Settings::default(), Duration::from_secs(1));
        let [well, slow, other] = [1, 3, 4].map(NodeId);
        for is_starved in [false, true] {
            let mut paces = Paces::default();
            paces.tell(at, well, vec![(well, 2_000), (slow, 20_000), (other, 2_000)]);
            paces.tell(at, slow, vec![(slow, 4_000)]);
            paces.tell(at, other, vec![(other, 2_000)]);
            paces.note(at, &settings, &[well, slow, other], |node| is_starved && node == slow);
            assert_eq!(paces.slow_since(slow), is_starved.then_some(at));
            assert_eq!((paces.slow_since(well), paces.slow_since(other)), (None, None));
        }
        // Where nobody else says anything its own word is all there is.
        let mut paces = Paces::default();
        for (node, pace_us) in [(well, 2_000), (slow, 20_000), (other, 2_000)] {
            paces.tell(at, node, vec![(node, pace_us)]);
        }
        paces.note(at, &settings, &[well, slow, other], |node| node == slow);
        assert_eq!(paces.slow_since(slow), Some(at));
    }
}
