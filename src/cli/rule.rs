//! `rialto rule …`.

use super::{ChangeReach, Reach};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rialto rule …`.
#[derive(Subcommand, Debug)]
pub(crate) enum RuleVerb {
    /// Makes a rule of a document
    New(RuleDocument),
    /// Puts a document in place of the rule of its name
    Replace(RuleDocument),
    /// Shows one as a document
    Get {
        /// Its name
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Shows all in the order in which they are tried
    List(Reach),
    /// Shows all as documents
    Export(Reach),
    /// Changes one; what is not named stays
    Set {
        /// Its name
        name: String,
        /// Enable or disable
        #[arg(long)]
        enabled: Option<bool>,
        /// enforce, or test: it is only logged what it would do
        #[arg(long, value_parser = ["enforce", "test"])]
        mode: Option<String>,
        /// Lower is earlier
        #[arg(long)]
        priority: Option<u32>,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Removes one
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Tells what the rules would do to a message; nothing is done
    Test(RuleTest),
}

/// A rule in a file.
#[derive(Args, Debug)]
pub(crate) struct RuleDocument {
    /// JSON or TOML; - for the standard input
    pub file: PathBuf,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}

/// `rialto rule test`.
#[derive(Args, Debug)]
pub(crate) struct RuleTest {
    /// The message as it would be sent; - for the standard input
    pub file: PathBuf,
    /// MAIL FROM; absent for the null sender
    #[arg(long)]
    pub sender: Option<String>,
    /// Whether the sender would have signed in
    #[arg(long)]
    pub authenticated: bool,
    /// From where it would have come
    #[arg(long)]
    pub ip: Option<std::net::IpAddr>,
    /// RCPT TO; may be repeated
    #[arg(long = "recipient", required = true)]
    pub recipients: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reach: Reach,
}
