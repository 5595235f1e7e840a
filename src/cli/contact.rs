//! `rialto contact …`, and who may write to contacts, mailboxes and groups.

use super::{ChangeReach, Reach};
use clap::{Args, Subcommand};

/// Who may write to somebody.
#[derive(Args, Debug)]
pub(crate) struct Restrict {
    /// Only this one may write to it, or all members of this group; may be repeated; "" everybody
    #[arg(long)]
    pub accept_from: Option<Vec<String>>,
    /// This one may not write to it, nor the members of this group; may be repeated; "" nobody
    #[arg(long)]
    pub reject_from: Option<Vec<String>>,
    /// Whether only people of ours may write to it
    #[arg(long)]
    pub authenticated_only: Option<bool>,
    /// The largest message that it takes, in megabytes; 0 for no limit of its own
    #[arg(long)]
    pub receive_mb_max: Option<u64>,
}

/// `rialto contact …`.
#[derive(Subcommand, Debug)]
pub(crate) enum ContactVerb {
    /// Makes a contact: an entry of the directory that stands for somebody elsewhere
    New {
        /// Where its mail goes
        external: String,
        /// Its address here, in an accepted domain; where absent, it is known by the external one
        #[arg(long)]
        address: Option<String>,
        /// The name for people
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Shows one contact, or all
    Get {
        /// Its address; all where absent
        address: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Changes a contact
    Set {
        /// Its address
        address: String,
        /// Where its mail goes from now on
        #[arg(long)]
        external: Option<String>,
        /// A new name for people
        #[arg(long)]
        name: Option<String>,
        /// Adds an alias; may be repeated
        #[arg(long = "add-alias")]
        add_aliases: Vec<String>,
        /// Removes an alias; may be repeated
        #[arg(long = "remove-alias")]
        remove_aliases: Vec<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        restrict: Restrict,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Removes a contact
    Remove {
        /// Its address
        address: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}
