//! What the parts of a member share.

use super::exchange::Wish;
use super::loads::Known;
use super::roster::RosterRow;
use super::rows::ClusterRow;
use super::setup::MemberOptions;
use crate::detect::{Beat, Detector};
use crate::fences::Fences;
use crate::link::Links;
use crate::placement::plan::Loads;
use crate::placement::{ClusterState, Command, Node, NodeProfile, NodeState, Outcome, Refusal};
use crate::raft::RaftNode;
use base::env::Env;
use base::router::LocalRouter;
use base::{BootId, Error, Kind, NodeId, Result, Slot};
use contract_control::Drill;
use contract_store::{Isolation, Store};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long a decision of the cluster may take: two elections and a slow disk.
pub(super) const DECISION_TIME: Duration = Duration::from_secs(5);

/// How long a node that was told to fail waits, so that its answer is on its way.
const DRILL_DELAY: Duration = Duration::from_millis(50);

/// Not having heard anybody for so long, a node is alone.
const TOUCH: Duration = Duration::from_secs(1);

/// The longest isolation that a drill may ask for.
const ISOLATION_MAX: Duration = Duration::from_secs(60);

/// Why a node must not serve that is no member any more.
pub(super) const REMOVED: &str = "it was removed from the cluster; to make it a member again, \
                                  empty its `cluster` directory and join it anew";

/// Hears of a node that has joined: its id and its name.
pub(super) type OnJoin = Box<dyn Fn(NodeId, &str) + Send + Sync>;

/// See the module's words.
pub(super) struct Core {
    pub(super) env: Env,
    pub(super) me: NodeId,
    pub(super) boot: BootId,
    /// What this node says of itself; the weight that counts is the state's.
    pub(super) profile: NodeProfile,
    pub(super) store: Arc<dyn Store>,
    pub(super) cluster: ClusterRow,
    pub(super) local: Arc<LocalRouter>,
    pub(super) options: MemberOptions,
    pub(super) links: Arc<Links>,
    pub(super) raft: Arc<RaftNode>,
    pub(super) fences: Arc<Fences>,
    pub(super) detector: Mutex<Detector>,
    /// When the store last answered, by the monotonic clock.
    pub(super) store_answered: Mutex<Duration>,
    /// Why this node must not serve any more, whatever else is well.
    pub(super) fatal: Mutex<Option<String>>,
    /// Whether services are ready and slots may be taken.
    pub(super) has_begun: AtomicBool,
    /// Somebody wants the slots evened out, however little they are off.
    pub(super) wants_even: AtomicBool,
    /// The 99th percentile of what this node's services took of late; 0 where that says nothing.
    pub(super) command_p99_ms: AtomicU32,
    /// What slots are asked for; known to the leader.
    pub(super) loads: Mutex<Known>,
    /// Hears of nodes that join through this one.
    pub(super) on_join: OnceLock<OnJoin>,
    pub(super) stopped: CancellationToken,
}

impl Core {
    /// The state as applied here.
    pub(super) fn state(&self) -> Arc<ClusterState> {
        self.raft.applied().borrow().state.clone()
    }

    pub(super) fn now(&self) -> Duration {
        self.env.clock.monotonic()
    }

    pub(super) fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// This life as the state has it, if it is one that counts.
    pub(super) fn my_node<'a>(&self, state: &'a ClusterState) -> Option<&'a Node> {
        state.node(self.me).filter(|node| node.boot == Some(self.boot) && is_living(node.state))
    }

    /// How long the store has not answered.
    pub(super) fn store_silence(&self) -> Duration {
        self.now().saturating_sub(*self.store_answered.lock())
    }

    pub(super) fn has_store(&self) -> bool {
        self.store_silence() < self.options.detect.store_outage
    }

    /// A heartbeat came in from whom it says it is.
    pub(super) fn heard(&self, beat: Beat) {
        self.detector.lock().beat(self.now(), beat);
    }

    /// A node tells of its slots.
    pub(super) fn hear_loads(&self, from: NodeId, loads: &[(Slot, u32)]) {
        if self.raft.leadership().borrow().is_me {
            self.loads.lock().tell(&self.state(), from, loads);
        }
    }

    /// A node tells how fast it serves, and others answer it.
    pub(super) fn hear_paces(&self, from: NodeId, paces: Vec<(NodeId, u32)>) {
        if self.raft.leadership().borrow().is_me && self.state().node(from).is_some() {
            tracing::debug!(%from, ?paces, "microseconds for a request");
            self.detector.lock().paces(self.now(), from, paces);
        }
    }

    /// The loads of slots, as far as they are known here.
    pub(super) fn known_loads(&self, state: &ClusterState) -> Loads {
        self.loads.lock().loads(state)
    }

    /// Whether other members are heard: some beat came in within the last second, or there is
    /// nobody to send one.
    pub(super) fn is_in_touch(&self) -> bool {
        let state = self.state();
        let mut others = state.nodes().filter(|node| node.id != self.me);
        !others.any(|node| is_living(node.state) || node.state == NodeState::Dead)
            || self.detector.lock().last_heard(self.now()) <= TOUCH
    }

    /// Proposes; a refusal becomes an error in words.
    pub(super) async fn decide(&self, command: &Command) -> Result<Outcome> {
        self.raft.propose(command, DECISION_TIME).await?.map_err(refused)
    }

    /// Looks whether the store answers, is still this cluster's, and has this node as a member.
    pub(super) async fn probe_store(&self) -> Result<()> {
        let tx = self.store.begin();
        let (cluster, mine) = (ClusterRow::key(), RosterRow::key(self.me));
        let (row, mine) = futures::join!(
            tx.get(&cluster, Isolation::Snapshot),
            tx.get(&mine, Isolation::Snapshot),
        );
        let (row, mine) = (row?, mine?);
        if mine.as_deref().map(RosterRow::decode).transpose()?.is_some_and(|row| row.is_removed) {
            *self.fatal.lock() = Some(REMOVED.into());
        }
        match row.as_deref().map(ClusterRow::decode).transpose()? {
            Some(found) if found == self.cluster => Ok(()),
            found => {
                let why = format!("the store is another cluster's by now: {found:?}");
                *self.fatal.lock() = Some(why.clone());
                Err(Error::corrupt(why))
            }
        }
    }

    /// Does what another member asks for.
    pub(super) fn grant(self: &Arc<Self>, wish: Wish) -> Result<()> {
        match wish {
            Wish::Rebalance if !self.raft.leadership().borrow().is_me => {
                Err(Error::unavailable("another node leads"))
            }
            Wish::Rebalance => {
                self.wants_even.store(true, Ordering::Release);
                Ok(())
            }
            Wish::Drill(Drill::Die) => {
                tracing::warn!("a drill ends this process");
                let core = self.clone();
                tokio::spawn(async move {
                    core.env.clock.sleep(DRILL_DELAY).await;
                    (core.options.die)();
                });
                Ok(())
            }
            Wish::Drill(Drill::Isolate { duration_ms }) => {
                let duration = Duration::from_millis(duration_ms.into());
                if duration > ISOLATION_MAX {
                    return Err(Error::invalid("An isolation lasts a minute at most"));
                }
                tracing::warn!(?duration, "a drill isolates this node");
                let core = self.clone();
                tokio::spawn(async move {
                    core.env.clock.sleep(DRILL_DELAY).await;
                    core.links.isolate(duration);
                });
                Ok(())
            }
        }
    }
}

/// Whether a node in this state takes part.
pub(super) fn is_living(state: NodeState) -> bool {
    matches!(state, NodeState::Active | NodeState::Draining | NodeState::Drained)
}

/// Why the cluster did not do it, for whoever asked.
pub(super) fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::NoSuchNode(node) => Error::not_found(format!("The node {node}")),
        Refusal::AlreadyFounded => {
            Error::new(Kind::Conflict, "The cluster was founded by another node")
        }
        Refusal::WrongState(node, state) => Error::new(
            Kind::Conflict,
            format!("Node {node} is {state:?}, which does not allow this"),
        ),
        Refusal::StaleBoot(node) => {
            Error::new(Kind::Conflict, format!("Node {node} has started anew meanwhile"))
        }
        Refusal::OldBinary { node, has, needs } => Error::new(
            Kind::Conflict,
            format!(
                "The binary of node {node} understands feature level {has}, and {needs} is \
                 needed: upgrade it first"
            ),
        ),
        Refusal::LastNode(node) => Error::new(
            Kind::Conflict,
            format!("Node {node} is the last that serves: nobody could take its slots"),
        ),
        Refusal::Limit => Error::invalid("A value is outside its limits"),
        Refusal::NotHigher => {
            Error::new(Kind::Conflict, "The feature level can only be raised, and is not lower")
        }
        Refusal::IdNotNew => Error::internal("a log entry was applied out of order"),
    }
}
