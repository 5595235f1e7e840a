//! `rialto node …`, `rialto cluster …`, `rialto rebalance` and `rialto drill …`.

use super::{ChangeReach, Reach};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `rialto node …`. A node is named by its id (`n` and hexadecimal digits) or by its name.
#[derive(Subcommand, Debug)]
pub(crate) enum NodeVerb {
    /// Shows all nodes
    List {
        /// Ask a majority, not only what the asked node knows
        #[arg(long)]
        fresh: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Makes a token with which one new node may join
    Invite {
        /// How long it is good, in seconds; at most a day
        #[arg(long, default_value_t = 3_600)]
        seconds: u32,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Lets this machine's node join a cluster; run it once, before the node's first start
    Join(NodeJoin),
    /// Has a node give away all it owns, before an upgrade or for good
    Drain {
        /// Its id or name
        node: String,
        /// Wait until it owns nothing, and show how far it is
        #[arg(long)]
        wait: bool,
        /// How long to wait at most, in seconds
        #[arg(long, default_value_t = 300, requires = "wait")]
        seconds: u64,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Takes a drain back: the node gets its share again
    Undrain {
        /// Its id or name
        node: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Takes a drained or dead node out of the cluster for good
    Remove {
        /// Its id or name
        node: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Changes how much of the work a node gets
    Weight {
        /// Its id or name
        node: String,
        /// Its share relative to the others'; 100 is usual, at most 10,000
        weight: u32,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// `rialto node join`.
#[derive(Args, Debug)]
pub(crate) struct NodeJoin {
    /// The new node's configuration file, with a section [cluster]
    #[arg(long)]
    pub config: PathBuf,
    /// What `rialto node invite` gave on a node of the cluster
    #[arg(long, env = "RIALTO_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Where the links of a node of the cluster listen; `rialto node invite` tells
    #[arg(long)]
    pub member: SocketAddr,
    /// Check the configuration and describe, but do nothing
    #[arg(long)]
    pub what_if: bool,
}

/// `rialto cluster …`.
#[derive(Subcommand, Debug)]
pub(crate) enum ClusterVerb {
    /// How the cluster is, and what the next failure would do
    Status {
        /// Ask a majority, not only what the asked node knows
        #[arg(long)]
        fresh: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Lets the newer formats of an upgraded cluster be written; there is no way back
    RaiseLevel {
        /// Which level; where absent, the greatest that all nodes understand
        #[arg(long)]
        to: Option<u32>,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// `rialto rebalance`.
#[derive(Args, Debug)]
pub(crate) struct Rebalance {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}

/// `rialto drill …`.
#[derive(Subcommand, Debug)]
pub(crate) enum DrillVerb {
    /// Ends the process of a node, as kill -9 does
    Failover(DrillArguments),
    /// Cuts a node off from the others for a while
    Partition(DrillArguments),
    /// Ends the processes of all nodes; something outside must start them again
    RestartAll(DrillArguments),
}

/// What every drill is told.
#[derive(Args, Debug, Clone)]
pub(crate) struct DrillArguments {
    /// The node that fails, by id or name; where absent one is chosen (restart-all: all)
    #[arg(long)]
    pub node: Option<String>,
    /// Tell what would be done, and do nothing
    #[arg(long, alias = "what-if")]
    pub dry_run: bool,
    /// How long to watch after the failure; of a partition: how long it lasts, at most 60
    #[arg(long)]
    pub seconds: Option<u32>,
    /// Where probes go: NODE=HOST:PORT,HOST:PORT (submission over TLS, then IMAP over TLS); once
    /// for each node; known by itself for `rialto dev`
    #[arg(long = "probe")]
    pub probes: Vec<String>,
    /// The mailbox that probes write to and read
    #[arg(long, default_value = "admin@rialto.test")]
    pub mailbox: String,
    /// Its password
    #[arg(long, env = "RIALTO_PASSWORD", hide_env_values = true, default_value = "rialto-dev")]
    pub password: String,
    /// Whom the certificates of the listeners must be signed by (PEM); ca.pem of `rialto dev`, else
    /// the system's authorities
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// How often each probe does something, in milliseconds
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(20..=60_000))]
    pub every_ms: u64,
    /// Leave the messages of the drill in the mailbox
    #[arg(long)]
    pub keep_mail: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reach: Reach,
}
