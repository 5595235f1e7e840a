//! What administrators see of a cluster, and what they may do with its nodes.
//!
//! Everything here is asked of any node, on any node; the implementation finds who can answer.

use async_trait::async_trait;
use base::{BootId, NodeId, Result};
use serde::{Deserialize, Serialize};

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Has an id, but was never up as a member.
    Joining,
    /// Owns slots and may get more.
    Active,
    /// Gives away its slots.
    Draining,
    /// Owns none and gets none; may be stopped, upgraded or removed.
    Drained,
    /// Does not answer; owns nothing.
    Dead,
    /// Gone for good.
    Removed,
}

/// One node, as the node that was asked knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its id, for ever.
    pub id: NodeId,
    /// Its name in its configuration.
    pub name: String,
    /// Where its links listen, `host:port`.
    pub address: String,
    /// Where it stands.
    pub standing: Standing,
    /// Whether an operator wants it drained; outlives a restart.
    pub drain: bool,
    /// Its last known life; `None` while it is joining.
    pub boot: Option<BootId>,
    /// Whether it votes in Raft.
    pub voter: bool,
    /// How many slots it owns, of 4096.
    pub slots: u16,
    /// Its share relative to the others', 100 is usual.
    pub weight: u32,
    /// Its binary's version.
    pub version: String,
    /// The greatest feature level that its binary understands.
    pub feature_level: u32,
    /// Whether there is a link to it now; `None` for the node that was asked.
    pub linked: Option<bool>,
    /// How long ago its last heartbeat came in, in milliseconds; `None` if none did, or for the
    /// node that was asked.
    pub silence_ms: Option<u32>,
    /// How late its timers were at worst of late, in milliseconds.
    pub tick_lag_ms: Option<u32>,
    /// How long ago the store last answered it, in milliseconds.
    pub store_silence_ms: Option<u32>,
}

/// The whole cluster, as the node that was asked knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// 32 hexadecimal digits.
    pub cluster_id: String,
    /// Who was asked.
    pub asked: NodeId,
    /// Raft's leader, where one is known.
    pub leader: Option<NodeId>,
    /// Raft's term.
    pub term: u64,
    /// The version of rows and messages in use.
    pub feature_level: u32,
    /// All nodes but the forgotten, by id.
    pub nodes: Vec<NodeStatus>,
    /// Slots that nobody owns at the moment.
    pub slots_without_owner: u16,
    /// Slots that are being moved as planned.
    pub moves: u16,
    /// What is wrong now, and what the next failure would do, in words; most important first.
    pub outlook: Vec<String>,
}

/// How many slots one node would give to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedMoves {
    /// Who gives.
    pub from: NodeId,
    /// Who gets.
    pub to: NodeId,
    /// How many slots.
    pub slots: u16,
}

/// A failure that is made on purpose. Only ever asked for by an operator's drill.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Drill {
    /// The process ends at once, as from `kill -9`.
    Die,
    /// No links to other nodes, either way, for so long; the store stays within reach.
    Isolate {
        /// How long, at most a minute.
        duration_ms: u32,
    },
}

/// Administration of a cluster's nodes.
#[async_trait]
pub trait ClusterAdmin: Send + Sync + 'static {
    /// How the cluster is. `fresh` asks a majority first; without it the node tells what it knows.
    ///
    /// # Errors
    /// [`base::Kind::Timeout`] if `fresh` and no majority answers.
    async fn status(&self, fresh: bool) -> Result<ClusterStatus>;

    /// A token with which one new node may join within so many seconds (at most a day). Shown
    /// once; only its hash is kept.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for a life out of range, [`base::Kind::Unavailable`] without a store.
    async fn invite(&self, life_s: u32) -> Result<String>;

    /// Has a node give away its slots and get no new ones. Returns when that is decided, before
    /// it is done: [`ClusterAdmin::status`] shows how far it is.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Conflict`] if nobody would be left to serve.
    async fn drain(&self, node: NodeId) -> Result<()>;

    /// Takes a drain back.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`].
    async fn undrain(&self, node: NodeId) -> Result<()>;

    /// Takes a node out of the cluster for good: one that is drained, dead or still joining.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Conflict`] if it still serves.
    async fn remove(&self, node: NodeId) -> Result<()>;

    /// Changes a node's share of the slots.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Invalid`] outside 1 to 10,000.
    async fn set_weight(&self, node: NodeId, weight: u32) -> Result<()>;

    /// Evens out the slots; tells what moves. With `what_if` nothing is moved.
    ///
    /// # Errors
    /// [`base::Kind::Unavailable`] without a majority.
    async fn rebalance(&self, what_if: bool) -> Result<Vec<PlannedMoves>>;

    /// Lets rows and messages of a greater feature level be written, for ever.
    ///
    /// # Errors
    /// [`base::Kind::Conflict`] if a node's binary does not understand it, or it is not greater.
    async fn raise_feature_level(&self, to: u32) -> Result<()>;

    /// Makes a failure on a node, for a drill. Returns when the node has said that it will.
    ///
    /// # Errors
    /// [`base::Kind::NotFound`], [`base::Kind::Unavailable`] if it cannot be reached.
    async fn drill(&self, node: NodeId, drill: Drill) -> Result<()>;
}
