//! `rialto store …` and `rialto certificate …`: the node's own things.

use super::{ChangeReach, Reach};
use crate::node::store::StorePlace;
use clap::{Args, Subcommand};

/// `rialto store …`.
#[derive(Subcommand, Debug)]
pub(crate) enum StoreVerb {
    /// Reads everything that is stored and checks it
    Verify {
        /// A store that no node has open: embedded:DIR, foundationdb:CLUSTER_FILE[?prefix=TEXT];
        /// where absent, the one of --data, through its node if that runs
        #[arg(long)]
        store: Option<StorePlace>,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Copies everything to another store, resumable and verified
    Copy(StoreCopy),
    /// Goes on with a store whose data has been copied to another one, or was about to be
    Use {
        /// The store: embedded:DIR, foundationdb:CLUSTER_FILE[?prefix=TEXT]; where absent, the one
        /// of --data
        #[arg(long)]
        store: Option<StorePlace>,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// How the copy or verification that a running node does is going
    Status(Reach),
}

/// `rialto store copy`.
#[derive(Args, Debug)]
pub(crate) struct StoreCopy {
    /// The source: embedded:DIR (DIR is the node's data directory) or
    /// foundationdb:CLUSTER_FILE[?prefix=TEXT]; where absent, the one of --data. A node that runs
    /// on the directory copies itself, and only reads meanwhile
    #[arg(long)]
    pub from: Option<StorePlace>,
    /// The target, as for --from; it must be empty, or hold an unfinished copy
    #[arg(long)]
    pub to: StorePlace,
    /// Throw away an unfinished copy of the same data that is there
    #[arg(long)]
    pub anew: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}

/// `rialto certificate …`.
#[derive(Subcommand, Debug)]
pub(crate) enum CertificateVerb {
    /// Shows the certificate in use
    Get(Reach),
    /// Reads the files again; new connections use what they hold
    Reload(ChangeReach),
}
