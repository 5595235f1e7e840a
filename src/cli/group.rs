//! `rialto group …`.

use super::{ChangeReach, Reach, Restrict};
use clap::{Args, Subcommand};

/// `rialto group …`.
#[derive(Subcommand, Debug)]
pub(crate) enum GroupVerb {
    /// Makes a group
    New {
        /// Its address, in an accepted domain
        address: String,
        /// The name for people
        #[arg(long, default_value = "")]
        name: String,
        /// A member; may be repeated
        #[arg(long = "member", conflicts_with = "filter")]
        members: Vec<String>,
        /// Its members are found by a filter whenever somebody writes to it
        #[arg(long, requires = "filter")]
        dynamic: bool,
        /// Of a dynamic group: who its members are, such as "department = 'Sales' and all users"
        #[arg(long)]
        filter: Option<String>,
        /// Of a dynamic group: only those whose address is in this domain
        #[arg(long, requires = "filter")]
        in_domain: Option<String>,
        /// Anybody may write to it, not only people who have signed in
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Shows one group, or all
    Get {
        /// Its address; all where absent
        address: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Shows who gets what is written to a group now, groups within it expanded
    Preview {
        /// Its address
        address: String,
        /// At most so many
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Changes a group
    Set(Box<GroupSet>),
    /// Removes a group
    Remove {
        /// Its address
        address: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// `rialto group set`.
#[derive(Args, Debug)]
pub(crate) struct GroupSet {
    /// Its address
    pub address: String,
    /// Adds a member; may be repeated
    #[arg(long = "add")]
    pub add: Vec<String>,
    /// Removes a member; may be repeated
    #[arg(long = "remove")]
    pub remove: Vec<String>,
    /// A new name for people
    #[arg(long)]
    pub name: Option<String>,
    /// Of a dynamic group: who its members are from now on
    #[arg(long)]
    pub filter: Option<String>,
    /// Of a dynamic group: only those whose address is in this domain; "" in all
    #[arg(long)]
    pub in_domain: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub restrict: Restrict,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}
