//! What a member is made of.

use crate::detect::Settings;
use crate::link::LinkSettings;
use crate::placement::plan::Limits;
use crate::raft::RaftOptions;
use base::actor::BackoffPolicy;
use base::env::Env;
use base::router::LocalRouter;
use contract_store::Store;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What [`super::ClusterNode::start`] needs.
pub struct ClusterSetup {
    /// Clock, randomness, network, disk.
    pub env: Env,
    /// The store that all nodes share.
    pub store: Arc<dyn Store>,
    /// The node's data directory; its membership is in `cluster/` below it.
    pub data: PathBuf,
    /// What its operator calls it; at most 64 bytes.
    pub name: String,
    /// The binary's version, for people; at most 64 bytes.
    pub version: String,
    /// Where its links listen.
    pub listen: SocketAddr,
    /// Where the others reach them.
    pub address: SocketAddr,
    /// Its share of the slots relative to the others', 1 to 10,000. Counts when it founds or joins
    /// the cluster; later only [`contract_control::ClusterAdmin::set_weight`] changes it.
    pub weight: u32,
    /// Serves what this node owns; services register with it before [`super::ClusterNode::begin`].
    pub local: Arc<LocalRouter>,
    /// Times and limits.
    pub options: MemberOptions,
}

/// Times and limits of a member, and what a drill does to it. Defaults are for production.
#[derive(Clone)]
pub struct MemberOptions {
    /// Failure detection.
    pub detect: Settings,
    /// Raft.
    pub raft: RaftOptions,
    /// Links.
    pub links: LinkSettings,
    /// Planned moves.
    pub moves: Limits,
    /// How long a service has to come to rest in a slot that is given away.
    pub release_time: Duration,
    /// How long a slot that was moved, or taken over, stays where it is for the sake of balance.
    pub rest: Duration,
    /// How often a node looks whether its certificate is to be renewed.
    pub renew_every: Duration,
    /// How a drill ends this process; tests put something else here.
    pub die: Arc<dyn Fn() + Send + Sync>,
}

impl Default for MemberOptions {
    fn default() -> Self {
        let defaults = LinkSettings::default();
        let links = LinkSettings {
            // Connecting within a cluster is cheap, and a node that is back should be heard soon.
            backoff: BackoffPolicy { longest: Duration::from_millis(500), ..defaults.backoff },
            ..defaults
        };
        Self {
            detect: Settings::default(),
            raft: RaftOptions::default(),
            links,
            moves: Limits::default(),
            release_time: Duration::from_millis(500),
            renew_every: Duration::from_secs(3600),
            // A slot goes back and forth only if loads do; none is known as yet.
            rest: Duration::from_secs(10),
            die: Arc::new(|| std::process::abort()),
        }
    }
}

impl fmt::Debug for MemberOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberOptions").field("detect", &self.detect).finish_non_exhaustive()
    }
}

/// What [`super::join_cluster`] needs.
pub struct JoinSetup {
    /// Clock, randomness, network, disk.
    pub env: Env,
    /// The new node's data directory.
    pub data: PathBuf,
    /// The token that [`contract_control::ClusterAdmin::invite`] gave.
    pub token: String,
    /// Where the links of any node of the cluster listen.
    pub member: SocketAddr,
    /// What the new node's operator calls it; at most 64 bytes.
    pub name: String,
    /// The binary's version, for people; at most 64 bytes.
    pub version: String,
    /// Where the others will reach the new node's links.
    pub address: SocketAddr,
    /// Its share of the slots relative to the others', 1 to 10,000.
    pub weight: u32,
}
