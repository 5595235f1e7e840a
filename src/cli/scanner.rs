//! `rialto scanner …`.

use super::{ChangeReach, Reach};
use clap::{Args, Subcommand};

/// `rialto scanner …`.
#[derive(Subcommand, Debug)]
pub(crate) enum ScannerVerb {
    /// Shows mail to another scanner
    New(Box<ScannerSettings>),
    /// Shows one, or all, and how they are as the asked node knows
    Get {
        /// Its name
        name: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Shows all
    List(Reach),
    /// Changes one; what is not named stays
    Set(Box<ScannerSettings>),
    /// Shows no more mail to one
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Tries one with messages that every such program knows, and says what came of them
    Test {
        /// Its name
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
}

/// `rialto scanner new` and `set`.
#[derive(Args, Debug)]
pub(crate) struct ScannerSettings {
    /// Its name
    pub name: String,
    /// What it speaks: clamd, rspamd or milter; it stays
    #[arg(long)]
    pub protocol: Option<String>,
    /// Where it is: HOST:PORT, or unix:/PATH on each node
    #[arg(long)]
    pub place: Option<String>,
    /// Enable or disable
    #[arg(long)]
    pub enabled: Option<bool>,
    /// Scanners with smaller numbers are asked first; 100 where absent
    #[arg(long)]
    pub order: Option<u32>,
    /// Which mail it sees: strangers (what comes from elsewhere), ours (what our people, servers and
    /// devices send), all
    #[arg(long)]
    pub sees: Option<String>,
    /// When it does not answer or makes no sense: accept, defer or junk
    #[arg(long)]
    pub on_failure: Option<String>,
    /// When it finds something: refuse, discard or junk
    #[arg(long)]
    pub on_found: Option<String>,
    /// How long a message may wait for it in all, in seconds
    #[arg(long)]
    pub deadline_s: Option<f64>,
    /// The largest message that it sees, in megabytes
    #[arg(long)]
    pub size_mb_max: Option<u64>,
    /// How many messages each node has in it at once
    #[arg(long)]
    pub connections_max: Option<u32>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}
