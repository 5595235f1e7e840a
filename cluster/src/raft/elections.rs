//! When a voter stands for election by itself.
//!
//! openraft does that as well, but binds voters to their leader for as long as its longest time-out,
//! so that nobody could follow a dead leader any sooner. Time-outs have to be long: a busy machine
//! is silent for a while and not dead. The lease need not be, since nobody stands within the
//! time-outs but where [`crate::detect`] has found the leader dead. So openraft's own elections are
//! off and these take their place.

use super::node::RaftNode;
use base::NodeId;
use openraft::{ServerState, Vote};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How often it is looked whether to stand.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Which leader Raft has heard last, and when.
pub(super) type Heard = Mutex<Option<(NodeId, Duration)>>;

/// What a node knows of an election.
#[derive(Clone, Copy, Debug)]
struct Seen {
    state: ServerState,
    is_voter: bool,
    /// How many voters there are.
    voters: usize,
    vote: Vote<u64>,
    /// When the leader was heard last.
    heard: Option<Duration>,
    /// Whether others should come first: one of them knows more, or this node could not lead well.
    is_behind: bool,
}

impl Seen {
    fn by(node: &RaftNode) -> Self {
        let metrics = node.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        Self {
            state: metrics.state,
            is_voter: membership.voter_ids().any(|voter| voter == node.id.0),
            voters: membership.voter_ids().count(),
            vote: metrics.vote,
            heard: node.heard.lock().map(|(_, at)| at),
            is_behind: node.is_behind.load(Ordering::Relaxed)
                || node.is_hindered.load(Ordering::Relaxed),
        }
    }
}

/// A node's own time-outs.
#[derive(Debug)]
struct Timeouts {
    election: Range<Duration>,
    me: NodeId,
    /// Since when nothing has happened that others are to be given time for. A start is such a thing:
    /// whoever leads is about to get in touch.
    since: Duration,
    vote: Vote<u64>,
    /// The time-out of this turn.
    drawn: Duration,
}

impl Timeouts {
    fn new(now: Duration, me: NodeId, election: Range<Duration>) -> Self {
        let mut timeouts =
            Self { drawn: election.start, election, me, since: now, vote: Vote::default() };
        timeouts.begin(now);
        timeouts
    }

    /// Regularly; says whether to stand.
    fn tick(&mut self, now: Duration, seen: &Seen) -> bool {
        if seen.vote != self.vote {
            self.vote = seen.vote;
            self.begin(now);
        }
        self.since = self.since.max(seen.heard.unwrap_or_default());
        if !seen.is_voter || seen.state == ServerState::Leader {
            return false;
        }
        if seen.voters == 1 {
            return seen.state != ServerState::Candidate;
        }
        // A leader may be slow; a candidate who got no majority is not waited for. Who cannot win
        // leaves those time who can: each vain candidacy is in their way.
        // The leader of before a start is bound to nobody.
        let has_leader = self.vote.is_committed() && seen.heard.is_some();
        let bound = if has_leader { self.election.end } else { Duration::ZERO };
        let behind = if seen.is_behind { self.election.end * 2 } else { Duration::ZERO };
        if now.saturating_sub(self.since) < bound + behind + self.drawn {
            return false;
        }
        self.begin(now);
        true
    }

    /// A new turn: nobody's time-out is the same twice, lest two stand against each other for ever.
    fn begin(&mut self, now: Duration) {
        self.since = now;
        let width = self.election.end.saturating_sub(self.election.start).as_micros().max(1);
        let mixed = mix(self.me.0 ^ mix(self.vote.leader_id.term ^ mix(now.as_micros() as u64)));
        let more = u64::try_from(u128::from(mixed) % width).unwrap_or(0);
        self.drawn = self.election.start + Duration::from_micros(more);
    }
}

/// Spreads what differs little (the finaliser of SplitMix64).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Calls elections where a node is to stand, for as long as it lives.
pub(super) async fn call(node: Weak<RaftNode>, election: Range<Duration>) {
    let Some(living) = node.upgrade() else { return };
    let (id, clock) = (living.id, living.clock.clone());
    drop(living);
    let mut timeouts = Timeouts::new(clock.monotonic(), id, election);
    while let Some(living) = node.upgrade().filter(|living| living.is_running().is_ok()) {
        let seen = Seen::by(&living);
        if seen.vote.is_committed() {
            living.is_behind.store(false, Ordering::Relaxed);
        }
        if timeouts.tick(clock.monotonic(), &seen) && living.stand().await.is_err() {
            return;
        }
        drop(living);
        clock.sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// When a node stands that sees this at each time, in milliseconds.
    fn check(until_ms: u64, seen: impl Fn(u64) -> Seen) -> Vec<u64> {
        let mut timeouts = Timeouts::new(ms(0), NodeId(1), ms(500)..ms(1000));
        let stands = |at: &u64| timeouts.tick(ms(*at), &seen(*at));
        (0..until_ms).step_by(50).filter(stands).collect()
    }

    fn follower(term: u64, heard_ms: Option<u64>) -> Seen {
        let vote = Vote::new_committed(term, 2);
        let (state, heard) = (ServerState::Follower, heard_ms.map(ms));
        Seen { state, is_voter: true, voters: 3, vote, heard, is_behind: false }
    }

    #[test]
    fn a_leader_that_is_heard_is_not_challenged() {
        assert!(check(20_000, |at| follower(1, Some(at.saturating_sub(1400)))).is_empty());
        let silent = check(6_000, |at| follower(1, Some(at.min(1000))));
        // The longest time-out, and then its own.
        assert!((2_500..=3_000).contains(&silent[0]), "{silent:?}");
        let others = check(20_000, |_| Seen { is_voter: false, ..follower(1, None) });
        assert!(others.is_empty(), "{others:?}");
        let leads = check(20_000, |_| Seen { state: ServerState::Leader, ..follower(1, None) });
        assert!(leads.is_empty(), "{leads:?}");
    }

    #[test]
    fn after_a_start_the_leader_gets_a_moment_and_who_is_alone_does_not_wait() {
        let first = check(5_000, |_| follower(7, None))[0];
        assert!((500..=1_050).contains(&first), "{first}");
        let alone = |at: u64| Seen {
            state: if at < 100 { ServerState::Follower } else { ServerState::Candidate },
            voters: 1,
            ..follower(7, None)
        };
        assert_eq!(check(500, alone), [0, 50]);
    }

    #[test]
    fn who_knows_less_leaves_others_the_first_turn() {
        let candidate = |is_behind| Seen {
            state: ServerState::Candidate,
            vote: Vote::new(3, 1),
            is_behind,
            ..follower(1, Some(0))
        };
        let first = |is_behind| check(9_000, |_| candidate(is_behind))[0];
        assert!((500..=1_050).contains(&first(false)), "{}", first(false));
        assert!((2_500..=3_050).contains(&first(true)), "{}", first(true));
    }

    #[test]
    fn whoever_was_voted_for_gets_time_and_turns_differ() {
        // Each time it stands its own vote is a new one, which comes to nothing.
        let turns = check(20_000, |at| Seen {
            state: ServerState::Candidate,
            vote: Vote::new(1 + at / 3_000, 1),
            ..follower(1, Some(0))
        });
        let waits: Vec<u64> = turns.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(waits.iter().all(|wait| (500..=2_050).contains(wait)), "{turns:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{turns:?}");
    }
}
