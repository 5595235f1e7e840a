//! `rialto queue …`.

use super::{ChangeReach, Reach};
use clap::Subcommand;
use std::path::PathBuf;

/// `rialto queue …`.
#[derive(Subcommand, Debug)]
pub(crate) enum QueueVerb {
    /// Shows what waits
    List(Reach),
    /// Shows one message
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Counts what waits
    Count(Reach),
    /// Shows the queues for other servers
    Hops(Reach),
    /// Steers the queue for another server
    #[command(subcommand)]
    Hop(HopVerb),
    /// Tries a message again now
    Retry {
        /// Its id
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Holds a message back
    Suspend {
        /// Its id
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Holds a message back no more
    Resume {
        /// Its id
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Routes a message anew that waits for another server
    Resubmit {
        /// Its id
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Writes a message to a file as it waits
    Export {
        /// Its id
        id: String,
        /// The file, which must not be there yet; - for the standard output
        #[arg(long)]
        output: PathBuf,
        /// The node's data directory, where its socket is
        #[arg(long, default_value = "rialto-data")]
        data: PathBuf,
    },
    /// Takes a message out of the queue
    Remove {
        /// Its id
        id: String,
        /// Tells the sender
        #[arg(long)]
        ndr: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// `rialto queue hop …`.
#[derive(Subcommand, Debug)]
pub(crate) enum HopVerb {
    /// Tries to reach it now
    Retry {
        /// Its name, as `queue hops` shows it
        hop: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Sends nothing to it any more
    Suspend {
        /// Its name, as `queue hops` shows it
        hop: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Routes anew all that waits for it
    Resubmit {
        /// Its name, as `queue hops` shows it
        hop: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Sends to it again
    Resume {
        /// Its name, as `queue hops` shows it
        hop: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}
