//! `rialto health`.

use super::Reach;
use clap::{Args, Subcommand};

/// `rialto health`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Health {
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub verb: Option<HealthVerb>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reach: Reach,
}

/// `rialto health …`.
#[derive(Subcommand, Debug)]
pub(crate) enum HealthVerb {
    /// Back pressure: how much is used of what may run short, and whose mail waits for it
    Pressure(Reach),
}
