//! What one node hears of the others, and how far it trusts its own ears.

use super::beat::{Beat, Hearing, Vitals, recipients};
use super::pace::Paces;
use super::settings::Settings;
use crate::placement::ClusterState;
use base::{BootId, NodeId};
use std::collections::BTreeMap;
use std::time::Duration;

/// One node's ears. Every node has one; on the leader it judges as well
/// ([`Detector::judge`](super::Detector::judge)).
#[derive(Debug)]
pub struct Detector {
    pub(super) me: NodeId,
    pub(super) settings: Settings,
    pub(super) peers: BTreeMap<NodeId, Peer>,
    /// Before this, hearing nothing means nothing: we were stopped.
    pub(super) ears_open: Duration,
    last_tick: Option<Duration>,
    /// The worst lag of late, in milliseconds, and when it was.
    lag: (u32, Duration),
    pub(super) store_silence_ms: u32,
    /// Since when the store answers without a break.
    pub(super) store_since: Option<Duration>,
    /// Since when this node has lost the store and others have not.
    pub(super) alone_since: Option<Duration>,
    quorum_silence_ms: u32,
    pub(super) paces: Paces,
    /// Since when this node is as well as one must be that comes back, see [`Peer::sound_since`].
    pub(super) sound_since: Option<Duration>,
    /// When this node's own timers were late last, see [`Peer::late_at`].
    late_at: Option<Duration>,
}

/// For how long a node lacks a processor after its timers were late: what it says is the worst of a
/// second, and what it says may be late, too.
const STARVED_FOR: Duration = Duration::from_millis(1_500);

/// What is known of another node.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) boot: BootId,
    /// When its last beat came in.
    pub(super) at: Duration,
    /// Since when it is to send beats to us.
    pub(super) expected: Duration,
    pub(super) refused: bool,
    /// Whether anything ever came from it.
    has_spoken: bool,
    pub(super) vitals: Vitals,
    pub(super) hears: Option<Vec<Hearing>>,
    /// Since when it is well without a break; for taking it back.
    pub(super) well_since: Option<Duration>,
    /// How often it was declared dead of late, and when it was last.
    pub(super) flaps: u32,
    pub(super) last_flap: Duration,
    /// Since when others hear it and we do not.
    pub(super) disputed_since: Option<Duration>,
    /// Since when its timers are in time and its way to the store is short, without a break.
    pub(super) sound_since: Option<Duration>,
    /// Since when all of its beats say that it has lost the store, and not because its own timers
    /// were late.
    pub(super) cut_since: Option<Duration>,
    /// When it said last that its timers were as late as those of a node without a processor.
    late_at: Option<Duration>,
}

impl Peer {
    fn new(now: Duration, boot: BootId) -> Self {
        Self {
            boot,
            at: now,
            expected: now,
            refused: false,
            has_spoken: false,
            vitals: Vitals::default(),
            hears: None,
            well_since: None,
            flaps: 0,
            last_flap: now,
            disputed_since: None,
            sound_since: None,
            cut_since: None,
            late_at: None,
        }
    }
}

pub(super) fn ms(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

impl Detector {
    /// For the node `me`, which starts now.
    pub fn new(me: NodeId, settings: Settings, now: Duration) -> Self {
        Self {
            me,
            settings,
            peers: BTreeMap::new(),
            ears_open: now,
            last_tick: None,
            lag: (0, now),
            store_silence_ms: 0,
            store_since: None,
            alone_since: None,
            quorum_silence_ms: 0,
            paces: Paces::default(),
            sound_since: None,
            late_at: None,
        }
    }

    /// Regularly, each [`Settings::tick_every`], whatever else happens. A tick that comes late
    /// tells that this node itself was stopped: the silence it heard is forgiven.
    pub fn tick(&mut self, now: Duration) {
        let reached = self.store_silence_ms < ms(self.settings.store_outage) / 2;
        self.store_since = reached.then(|| self.store_since.unwrap_or(now));
        let due = self.last_tick.map_or(now, |last| last + self.settings.tick_every);
        self.last_tick = Some(now);
        let lag = now.saturating_sub(due);
        if ms(lag) >= self.lag.0 || now.saturating_sub(self.lag.1) > Duration::from_secs(1) {
            self.lag = (ms(lag), now);
        }
        if lag > self.settings.own_lag_max {
            self.forgive(now, lag);
        }
        if self.lag.0 >= ms(self.settings.starved_lag) {
            self.late_at = Some(now);
        }
        let is_sound = self.settings.is_sound(self.lag.0, self.store_silence_ms);
        self.sound_since = is_sound.then(|| self.sound_since.unwrap_or(now));
    }

    /// This node leads from now on. Those that sent no beats to it before, because another led,
    /// have time to; whoever did is as silent as it was.
    pub fn begin_to_lead(&mut self, now: Duration, state: &ClusterState, before: Option<NodeId>) {
        let me = self.me;
        self.alone_since = None;
        self.paces.begin_anew();
        for (node, peer) in &mut self.peers {
            peer.disputed_since = None;
            if !recipients(state, *node, before).contains(&me) {
                (peer.expected, peer.refused) = (now, false);
            }
        }
    }

    /// What a node tells of how fast it serves and others answer it, in microseconds for a command;
    /// for the leader.
    pub fn paces(&mut self, now: Duration, from: NodeId, paces: Vec<(NodeId, u32)>) {
        self.paces.tell(now, from, paces);
    }

    /// A node that rested has slots again: the next time it rests for longer.
    pub fn brought_back(&mut self, now: Duration, node: NodeId) {
        self.paces.returned(now, &self.settings, node);
    }

    /// What was not heard meanwhile may have been said. That a node is not there is no silence:
    /// only after a long stop it may be out of date.
    fn forgive(&mut self, now: Duration, lag: Duration) {
        self.ears_open = now;
        if lag > self.settings.silence {
            self.peers.values_mut().for_each(|peer| peer.refused = false);
        }
    }

    /// How long ago the store last answered this node's probe.
    pub fn store_silence(&mut self, silence: Duration) {
        self.store_silence_ms = ms(silence);
    }

    /// How long ago a majority of the voters last answered this node; 0 where it does not lead. A
    /// leader that has lost the majority is the one that is cut off: it judges nobody.
    pub fn quorum_silence(&mut self, silence: Duration) {
        self.quorum_silence_ms = ms(silence);
    }

    /// Whether the majority is with us.
    pub(super) fn has_quorum(&self) -> bool {
        self.quorum_silence_ms <= ms(self.settings.silence)
    }

    /// A beat came in from a link that proves who sent it.
    pub fn beat(&mut self, now: Duration, beat: Beat) {
        let cut = ms(self.settings.store_outage);
        let lag_max = ms(self.settings.own_lag_max);
        let gap_max = self.settings.silence;
        let vitals = beat.vitals;
        let is_late = vitals.tick_lag_ms >= ms(self.settings.starved_lag);
        let is_sound = self.settings.is_sound(vitals.tick_lag_ms, vitals.store_silence_ms);
        let peer = self.peers.entry(beat.node).or_insert_with(|| Peer::new(now, beat.boot));
        let gap = now.saturating_sub(peer.at);
        let well = beat.vitals.store_silence_ms < cut && beat.vitals.tick_lag_ms <= 4 * lag_max;
        let unbroken = peer.boot == beat.boot && gap <= gap_max;
        peer.well_since = match peer.well_since.filter(|_| unbroken) {
            _ if !well => None,
            None => Some(now),
            since => since,
        };
        let is_cut = beat.vitals.store_silence_ms >= cut.saturating_add(beat.vitals.tick_lag_ms);
        peer.cut_since = is_cut.then(|| peer.cut_since.filter(|_| unbroken).unwrap_or(now));
        let sound_since = peer.sound_since.filter(|_| unbroken).unwrap_or(now);
        peer.sound_since = is_sound.then_some(sound_since);
        peer.late_at = if is_late { Some(now) } else { peer.late_at };
        (peer.boot, peer.at, peer.refused) = (beat.boot, now, false);
        (peer.vitals, peer.hears, peer.has_spoken) = (beat.vitals, beat.hears, true);
    }

    /// Begins to wait for a node of which the state tells.
    pub(super) fn expect(&mut self, now: Duration, node: NodeId, boot: BootId) {
        self.peers.entry(node).or_insert_with(|| Peer::new(now, boot));
    }

    /// A link to this node was reset, and a new connection was refused: most likely nobody is
    /// there. A hint like any other (a firewall can look the same).
    pub fn refused(&mut self, node: NodeId) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.refused = true;
        }
    }

    /// How long ago a node's last heartbeat came in, and what it said of itself.
    pub fn heard_of(&self, now: Duration, node: NodeId) -> Option<(Duration, Vitals)> {
        let peer = self.peers.get(&node).filter(|peer| peer.has_spoken)?;
        Some((now.saturating_sub(peer.at), peer.vitals))
    }

    /// How long ago any other node's heartbeat came in last.
    pub fn last_heard(&self, now: Duration) -> Duration {
        let spoken = self.peers.values().filter(|peer| peer.has_spoken);
        spoken.map(|peer| now.saturating_sub(peer.at)).min().unwrap_or(Duration::MAX)
    }

    /// Whether a node's timers are late all the time: it lacks a processor.
    pub(super) fn is_starved(&self, now: Duration, node: NodeId) -> bool {
        let late_at = match self.peers.get(&node) {
            None if node == self.me => self.late_at,
            peer => peer.and_then(|peer| peer.late_at),
        };
        late_at.is_some_and(|at| now.saturating_sub(at) <= STARVED_FOR)
    }

    /// Forgets nodes that are not in the cluster any more.
    pub fn retain(&mut self, known: impl Fn(NodeId) -> bool) {
        self.peers.retain(|node, _| known(*node));
        let me = self.me;
        self.paces.retain(|node| node == me || known(node));
    }

    /// Whether hearing nothing means anything at this node now.
    pub fn trusts_itself(&self, now: Duration) -> bool {
        let awake = self.last_tick.is_some_and(|last| {
            now.saturating_sub(last) <= self.settings.tick_every + self.settings.own_lag_max
        });
        awake && self.store_silence_ms < ms(self.settings.store_outage)
    }

    /// How long nothing came from a node, not counting the time in which we could not hear.
    pub(super) fn silence(&self, now: Duration, peer: &Peer) -> Duration {
        now.saturating_sub(peer.at.max(peer.expected).max(self.ears_open))
    }

    /// For this node's own [`Beat`]: the worst lag of its timers in the last second.
    pub fn tick_lag_ms(&self) -> u32 {
        self.lag.0
    }

    /// For this node's own [`Beat`]: what it hears of others, or `None` if that means nothing.
    pub fn hears(&self, now: Duration) -> Option<Vec<Hearing>> {
        if !self.trusts_itself(now) {
            return None;
        }
        let hearing = |(node, peer): (&NodeId, &Peer)| Hearing {
            node: *node,
            boot: peer.boot,
            silence_ms: ms(self.silence(now, peer)),
            refused: peer.refused,
        };
        Some(self.peers.iter().map(hearing).collect())
    }
}
