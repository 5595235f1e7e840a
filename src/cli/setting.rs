//! `rialto setting …`.

use super::{ChangeReach, Reach};
use clap::Subcommand;

/// `rialto setting …`.
#[derive(Subcommand, Debug)]
pub(crate) enum SettingVerb {
    /// Shows all: what is set, and what can be
    List(Reach),
    /// Sets one, for all nodes
    Set {
        /// Its name
        name: String,
        /// What it is to be
        value: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Takes one back: the default, or what each node's file says, holds again
    Reset {
        /// Its name
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}
