//! The command line. Nouns and verbs mirror the Exchange cmdlets.

mod cluster;
mod connector;
mod contact;
mod domain;
mod group;
mod health;
mod log;
mod queue;
mod rule;
mod scanner;
mod setting;
mod store;
mod trace;

pub(crate) use cluster::{ClusterVerb, DrillArguments, DrillVerb, NodeJoin, NodeVerb, Rebalance};
pub(crate) use connector::{ConnectorVerb, ReceiveSettings, ReceiveVerb, SendSettings, SendVerb};
pub(crate) use contact::{AttributeValues, ContactSet, ContactVerb, Restrict};
pub(crate) use domain::{
    DkimKey, DkimVerb, Doctor, DomainVerb, RemoteEntry, RemoteVerb, Reporting, ReportingVerb,
};
pub(crate) use group::{GroupSet, GroupVerb};
pub(crate) use health::{Health, HealthVerb};
pub(crate) use log::{LogVerb, LogWanted, Protocol};
pub(crate) use queue::{HopVerb, QueueVerb};
pub(crate) use rule::{RuleTest, RuleVerb};
pub(crate) use scanner::{ScannerSettings, ScannerVerb};
pub(crate) use setting::SettingVerb;
pub(crate) use store::{CertificateVerb, StoreCopy, StoreVerb};
pub(crate) use trace::{Trace, TraceVerb};

use crate::output::Format;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Rialto: an open mail and collaboration server.
#[derive(Parser, Debug)]
#[command(name = "rialto", version, about, max_term_width = 100)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a complete server for trying things out, on 127.0.0.1 only
    Dev(Dev),
    /// Run a server as its configuration says
    Serve(Serve),
    /// Look at configuration files
    #[command(subcommand)]
    Config(ConfigVerb),
    /// Mailboxes (New-, Get-, Set-, Remove-Mailbox)
    #[command(subcommand)]
    Mailbox(MailboxVerb),
    /// Accepted domains
    #[command(subcommand)]
    Domain(DomainVerb),
    /// Whether the world takes our mail and finds us: names, records, ports, the certificate
    Doctor(Doctor),
    /// Contacts: people elsewhere who are in the directory (New-, Get-, Set-, Remove-MailContact)
    #[command(subcommand)]
    Contact(ContactVerb),
    /// Distribution groups
    #[command(subcommand)]
    Group(GroupVerb),
    /// Messages that wait for delivery
    #[command(subcommand)]
    Queue(QueueVerb),
    /// What happened to messages (Get-MessageTrackingLog)
    Trace(Trace),
    /// Protocol and connectivity logs of a node
    #[command(subcommand)]
    Log(LogVerb),
    /// The ways in and out of the organisation
    #[command(subcommand)]
    Connector(ConnectorVerb),
    /// Transport rules: what is done to mail on its way
    #[command(subcommand)]
    Rule(RuleVerb),
    /// Scanners: programs that look at mail before it is accepted
    #[command(subcommand)]
    Scanner(ScannerVerb),
    /// Settings of the organisation that are one word each (Get-, Set-TransportConfig)
    #[command(subcommand)]
    Setting(SettingVerb),
    /// The certificate that clients are shown
    #[command(subcommand)]
    Certificate(CertificateVerb),
    /// Where everything is kept: checking it, moving it
    #[command(subcommand)]
    Store(StoreVerb),
    /// The nodes of a cluster
    #[command(subcommand)]
    Node(NodeVerb),
    /// The cluster as a whole
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Evens out what the nodes of a cluster have to do
    Rebalance(Rebalance),
    /// Makes a failure on purpose, and measures what clients notice of it
    #[command(subcommand)]
    Drill(DrillVerb),
    /// How a running node is, and what it is short of
    Health(Health),
    /// What administrators changed, newest first
    Audit(Reach),
    /// Looks into one attachment, for the node that has started it
    #[command(hide = true)]
    ExtractWorker,
}

/// `rialto serve`.
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The configuration file (TOML)
    #[arg(long)]
    pub config: PathBuf,
    /// As a node of `rialto dev`: makes its people first, so many `userN` among them
    #[arg(long, hide = true)]
    pub dev_mailboxes: Option<u32>,
    /// Stop, without handing anything over, when the standard input ends: everything stops then
    #[arg(long, hide = true)]
    pub while_stdin: bool,
    /// A deliberate fault, for chaos-tests
    #[cfg(feature = "mutants")]
    #[arg(long, value_enum, hide = true)]
    pub mutant: Option<crate::mutant::Mutant>,
}

/// `rialto dev`.
#[derive(Args, Debug)]
pub(crate) struct Dev {
    /// Where everything is kept; found again at the next start
    #[arg(long, default_value = "rialto-data")]
    pub data: PathBuf,
    /// Ports are this plus the well-known port
    #[arg(long, default_value_t = 10_000)]
    pub ports: u16,
    /// How many nodes, 1 to 8; several are processes of their own that share a store
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=8))]
    pub nodes: u16,
    /// Makes the mailboxes user1 … userN as well
    #[arg(long, default_value_t = 0)]
    pub mailboxes: u32,
    /// Which store; where absent, embedded for one node, foundationdb for several
    #[arg(long, value_enum)]
    pub store: Option<StoreKind>,
    /// Of FoundationDB: its cluster file; else FDB_CLUSTER_FILE, else the client's default, else a
    /// stand-in is started (tests and development only)
    #[arg(long)]
    pub cluster_file: Option<PathBuf>,
    /// Of FoundationDB: what all keys begin with
    #[arg(long, default_value = "rialto-dev/")]
    pub key_prefix: String,
    /// A deliberate fault, for chaos-tests
    #[cfg(feature = "mutants")]
    #[arg(long, value_enum, hide = true)]
    pub mutant: Option<crate::mutant::Mutant>,
}

/// Which store.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// On this machine's disk
    Embedded,
    /// In a FoundationDB cluster
    Foundationdb,
}

/// `rialto config …`.
#[derive(Subcommand, Debug)]
pub(crate) enum ConfigVerb {
    /// Tells whether a file could be used, and where it is wrong
    Check {
        /// The configuration file (TOML)
        file: PathBuf,
    },
}

/// How to reach a node, and how to show what it says.
#[derive(Args, Debug, Clone)]
pub(crate) struct Reach {
    /// The node's data directory, where its socket is
    #[arg(long, default_value = "rialto-data")]
    pub data: PathBuf,
    /// How to show the answer
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub output: Format,
}

/// As [`Reach`], for changes.
#[derive(Args, Debug, Clone)]
pub(crate) struct ChangeReach {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reach: Reach,
    /// Check and describe the change, but do nothing
    #[arg(long)]
    pub what_if: bool,
}

/// `rialto mailbox …`.
#[derive(Subcommand, Debug)]
pub(crate) enum MailboxVerb {
    /// Makes a mailbox
    New {
        /// Its address, in an accepted domain
        address: String,
        /// The name for people
        #[arg(long, default_value = "")]
        name: String,
        /// The password; asked from RIALTO_PASSWORD where absent, none if that is absent too
        #[arg(long, env = "RIALTO_PASSWORD", hide_env_values = true)]
        password: Option<String>,
        /// What kind of mailbox
        #[arg(long, value_enum, default_value_t = Kind::User)]
        kind: Kind,
        /// Organisation management
        #[arg(long)]
        administrator: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Shows one mailbox, or all
    Get {
        /// Its address; all where absent
        address: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Changes a mailbox
    Set(Box<MailboxSet>),
    /// Removes a mailbox
    Remove {
        /// Its address
        address: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// What kind of mailbox.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub(crate) enum Kind {
    /// A person
    User,
    /// Shared by several; nobody signs in
    Shared,
    /// A room
    Room,
    /// A thing that can be booked
    Equipment,
}

/// `rialto mailbox set`.
#[derive(Args, Debug)]
pub(crate) struct MailboxSet {
    /// Its address
    pub address: String,
    /// A new name for people
    #[arg(long)]
    pub name: Option<String>,
    /// A new password
    #[arg(long)]
    pub password: Option<String>,
    /// Enable or disable
    #[arg(long)]
    pub enabled: Option<bool>,
    /// Warn, stop sending, stop receiving at so many megabytes
    #[arg(long, num_args = 3, value_names = ["WARN", "NO_SEND", "NO_RECEIVE"])]
    pub quota_mb: Option<Vec<u64>>,
    /// Adds an alias; may be repeated
    #[arg(long = "add-alias")]
    pub add_aliases: Vec<String>,
    /// Removes an alias; may be repeated
    #[arg(long = "remove-alias")]
    pub remove_aliases: Vec<String>,
    /// All who may send as this mailbox; may be repeated
    #[arg(long)]
    pub send_as: Option<Vec<String>>,
    /// All who may open this mailbox; may be repeated
    #[arg(long)]
    pub full_access: Option<Vec<String>>,
    /// File a copy of what is sent over SMTP in Sent Items
    #[arg(long)]
    pub smtp_sent_copy: Option<bool>,
    /// Forward its mail to this address, whoever's; "" forwards no more
    #[arg(long)]
    pub forward_to: Option<String>,
    /// Whether the mailbox gets forwarded mail too; kept as it is where absent, at first no
    #[arg(long)]
    pub keep_copy: Option<bool>,
    /// The largest message that it may send, in megabytes; 0 for no limit of its own
    #[arg(long)]
    pub send_mb_max: Option<u64>,
    /// The most recipients of a message that it sends; 0 for no limit of its own
    #[arg(long)]
    pub recipients_max: Option<u32>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub restrict: Restrict,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub attributes: AttributeValues,
    /// Keep everything, whatever is removed
    #[arg(long)]
    pub litigation_hold: Option<bool>,
    /// Organisation management
    #[arg(long)]
    pub administrator: Option<bool>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}
