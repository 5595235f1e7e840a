//! `rialto trace`.

use super::Reach;
use clap::{Args, Subcommand};

/// `rialto trace`: finds messages, the newest first; all that is given must fit.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Trace {
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub verb: Option<TraceVerb>,
    /// Who sent it: an address, or a mailbox's, then by whatever of its addresses
    #[arg(long)]
    pub sender: Option<String>,
    /// To whom, also through a group: an address, or a mailbox's, then by whatever of its addresses
    #[arg(long)]
    pub recipient: Option<String>,
    /// Its Message-ID, with or without angle brackets
    #[arg(long)]
    pub message_id: Option<String>,
    /// A part of its subject
    #[arg(long)]
    pub subject: Option<String>,
    /// Accepted at most so long ago (30m, 2h, 7d), or since a day (2026-11-22, UTC)
    #[arg(long)]
    pub since: Option<String>,
    /// Accepted before a day, or at least so long ago (in the same words)
    #[arg(long)]
    pub until: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reach: Reach,
}

/// `rialto trace …`.
#[derive(Subcommand, Debug)]
pub(crate) enum TraceVerb {
    /// Tells the whole story of a message, with reasons
    Explain {
        /// Its queue id, as the list shows it, or its Message-ID
        id: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
}
