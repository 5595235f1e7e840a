//! `rialto log …`.

use super::Reach;
use clap::{Args, Subcommand, ValueEnum};

/// `rialto log …`.
#[derive(Subcommand, Debug)]
pub(crate) enum LogVerb {
    /// What was said, line by line, by connectors with --protocol-log verbose
    Protocol {
        /// Which log; both of SMTP where absent
        #[arg(long, value_enum)]
        log: Option<Protocol>,
        /// Of this connector only
        #[arg(long)]
        connector: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        wanted: LogWanted,
    },
    /// How connections to other servers went
    Connectivity(LogWanted),
}

/// A log of what was said.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Protocol {
    /// With clients that bring mail
    Receive,
    /// With servers that take it
    Send,
    /// With mail programs that read
    Imap,
}

/// What is looked for.
#[derive(Args, Debug)]
pub(crate) struct LogWanted {
    /// Of this session only
    #[arg(long)]
    pub session: Option<String>,
    /// At most so long ago (30m, 2h, 7d), or since a day (2026-11-22, UTC)
    #[arg(long)]
    pub since: Option<String>,
    /// How many rows at most: the newest
    #[arg(long, default_value_t = 200)]
    pub limit: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reach: Reach,
}
