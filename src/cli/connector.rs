//! `rialto connector …`.

use super::{ChangeReach, Reach};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `rialto connector …`.
#[derive(Subcommand, Debug)]
pub(crate) enum ConnectorVerb {
    /// Send connectors: which mail for other servers goes where
    #[command(subcommand)]
    Send(SendVerb),
    /// Receive connectors: who may send what through which listener
    #[command(subcommand)]
    Receive(ReceiveVerb),
}

/// `rialto connector send …`.
#[derive(Subcommand, Debug)]
pub(crate) enum SendVerb {
    /// Makes a way out
    New(Box<SendSettings>),
    /// Shows one, or all
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
    Set(Box<SendSettings>),
    /// Removes one; what waits for it goes another way, or waits for one
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// `rialto connector send new` and `set`.
#[derive(Args, Debug)]
pub(crate) struct SendSettings {
    /// Its name
    pub name: String,
    /// Domains: *, *.example.org or example.org, with ;COST behind; may be repeated
    #[arg(long = "space")]
    pub spaces: Vec<String>,
    /// A smart host, NAME[:PORT], instead of the mail exchangers of each domain; may be repeated
    #[arg(long = "host", conflicts_with = "mx")]
    pub hosts: Vec<String>,
    /// The mail exchangers of each domain, and no smart host any more
    #[arg(long)]
    pub mx: bool,
    /// Enable or disable
    #[arg(long)]
    pub enabled: Option<bool>,
    /// What is said in EHLO; empty for the node's name
    #[arg(long)]
    pub helo: Option<String>,
    /// The port of mail exchangers, and of smart hosts that name none
    #[arg(long)]
    pub port: Option<u16>,
    /// opportunistic, encryption, certificate, domain or dane
    #[arg(long)]
    pub tls: Option<String>,
    /// The name that certificates must have under --tls domain; empty for the host's
    #[arg(long)]
    pub tls_domain: Option<String>,
    /// TLS from the first byte, as on port 465
    #[arg(long)]
    pub implicit_tls: Option<bool>,
    /// Signs in as this user
    #[arg(long, requires = "password_file")]
    pub user: Option<String>,
    /// A file with the password; its last line end does not count
    #[arg(long, requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Signs in no more
    #[arg(long)]
    pub no_user: bool,
    /// The largest message in megabytes; 0 for no limit
    #[arg(long)]
    pub size_mb_max: Option<u64>,
    /// The most connections to one next hop
    #[arg(long)]
    pub connections_max: Option<u32>,
    /// How much of what is said is logged: none or verbose
    #[arg(long)]
    pub protocol_log: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}

/// `rialto connector receive …`.
#[derive(Subcommand, Debug)]
pub(crate) enum ReceiveVerb {
    /// Makes a way in
    New(Box<ReceiveSettings>),
    /// Shows one, or all
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
    Set(Box<ReceiveSettings>),
    /// Removes one; "server" and "submission" are always there
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// `rialto connector receive new` and `set`.
#[derive(Args, Debug)]
pub(crate) struct ReceiveSettings {
    /// Its name
    pub name: String,
    /// Listeners: "server" or "submission" for all of a role, PORT, or ADDRESS:PORT; may be repeated
    #[arg(long = "binding")]
    pub bindings: Vec<String>,
    /// Clients: 10.1.2.0/24, 10.1.2.3 or 10.1.2.3-10.1.2.9; the smallest range wins; may be
    /// repeated
    #[arg(long = "range")]
    pub ranges: Vec<String>,
    /// How people sign in, under TLS: plain, login, or none; may be repeated
    #[arg(long = "auth")]
    pub auth: Vec<String>,
    /// Who may send: anonymous (anybody to our people), users (who signed in), partners (as
    /// anonymous, under TLS), servers (of our own, to everybody), relay (anybody in the ranges to
    /// everybody); may be repeated
    #[arg(long = "permission")]
    pub permissions: Vec<String>,
    /// none, offered or required
    #[arg(long)]
    pub tls: Option<String>,
    /// What stands behind the name in the greeting; empty for the usual
    #[arg(long)]
    pub banner: Option<String>,
    /// The name in greetings and trace headers; empty for the node's
    #[arg(long)]
    pub helo: Option<String>,
    /// Enable or disable
    #[arg(long)]
    pub enabled: Option<bool>,
    /// A limit, NAME=NUMBER, or NAME=default for the node's own; may be repeated. Names:
    /// message_bytes_max, recipients_max, header_bytes_max, hops_max, connections_max,
    /// connections_per_source_max, messages_per_minute_user, messages_per_minute_source, tarpit_ms,
    /// protocol_errors_max, logon_failures_max, connection_timeout_ms, idle_timeout_ms
    #[arg(long = "limit")]
    pub limits: Vec<String>,
    /// How much of what is said is logged: none or verbose
    #[arg(long)]
    pub protocol_log: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}
