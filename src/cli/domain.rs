//! `rialto domain …`.

use super::{ChangeReach, Reach};
use clap::{Args, Subcommand};

/// `rialto domain …`.
#[derive(Subcommand, Debug)]
pub(crate) enum DomainVerb {
    /// Accepts mail for a domain
    New {
        /// Its name
        name: String,
        /// Whether a sign-in without a domain means this one
        #[arg(long)]
        default: bool,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Shows the accepted domains
    Get(Reach),
    /// Accepts no more mail for a domain
    Remove {
        /// Its name
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Shows what is to be published in the DNS for a domain, and what of it is found there now
    Dns {
        /// An accepted domain
        name: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// What Rialto sends by itself to domains that are not ours
    #[command(subcommand)]
    Remote(RemoteVerb),
    /// The keys that sign a domain's mail for other servers
    #[command(subcommand)]
    Dkim(DkimVerb),
    /// Shows what others have reported of a domain: mail that bears its name, and TLS with its servers
    Reports {
        /// An accepted domain
        name: String,
        /// So many days back
        #[arg(long, default_value_t = 7)]
        days: u32,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Reports about authentication and TLS: whether they are sent, and where others send theirs
    #[command(subcommand)]
    Reporting(ReportingVerb),
}

/// `rialto domain reporting …`.
#[derive(Subcommand, Debug)]
pub(crate) enum ReportingVerb {
    /// Shows what is wanted
    Get(Reach),
    /// Changes it
    Set(Reporting),
}

/// What is wanted of reports.
#[derive(Args, Debug)]
pub(crate) struct Reporting {
    /// Who reports, as others read it
    #[arg(long)]
    pub organization: Option<String>,
    /// Whom to ask about a report, and its author: an address of ours whose domain's mail is signed
    #[arg(long)]
    pub contact: Option<String>,
    /// Whether other domains are told of TLS with their servers (TLS-RPT)
    #[arg(long)]
    pub tls: Option<bool>,
    /// Whether other domains are told of mail that bears their names (DMARC)
    #[arg(long)]
    pub dmarc: Option<bool>,
    /// Where others send reports about our domains: an address of ours; what comes there is read, and
    /// delivered as any mail
    #[arg(long)]
    pub inbox: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}

/// `rialto domain remote …`.
#[derive(Subcommand, Debug)]
pub(crate) enum RemoteVerb {
    /// Shows what may go where
    Get(Reach),
    /// Makes an entry for a domain
    New(RemoteEntry),
    /// Changes an entry
    Set(RemoteEntry),
    /// Removes an entry; that for everywhere stays
    Remove {
        /// The domain or pattern
        pattern: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
}

/// What may go to a remote domain.
#[derive(Args, Debug)]
pub(crate) struct RemoteEntry {
    /// example.org, *.example.org for what is below it, or * for all that no other entry fits
    pub pattern: String,
    /// What mailboxes forward
    #[arg(long)]
    pub forwards: Option<bool>,
    /// Reports of failure
    #[arg(long)]
    pub failures: Option<bool>,
    /// Reports of success and delay
    #[arg(long)]
    pub reports: Option<bool>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}

/// `rialto doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// Only this accepted domain; all where absent
    #[arg(long)]
    pub domain: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub reach: Reach,
}

/// `rialto domain dkim …`.
#[derive(Subcommand, Debug)]
pub(crate) enum DkimVerb {
    /// Shows a domain's keys
    List {
        /// The domain
        domain: String,
        #[command(flatten)]
        #[allow(missing_docs)]
        reach: Reach,
    },
    /// Makes a key and shows the record to publish; it signs once it is activated
    New {
        /// An accepted domain
        domain: String,
        /// rsa, which everybody can check, or ed25519, to sign beside it
        #[arg(long, default_value = "rsa")]
        algorithm: String,
        /// What the key is called in the DNS; made of the day and the algorithm where absent
        #[arg(long)]
        selector: Option<String>,
        #[command(flatten)]
        #[allow(missing_docs)]
        change: ChangeReach,
    },
    /// Signs with a key whose record is published; another one of its algorithm signs no more
    Activate(DkimKey),
    /// Signs with a key no more; leave its record published for some days
    Retire(DkimKey),
    /// Destroys a key that does not sign
    Remove(DkimKey),
}

/// A key of a domain, to be changed.
#[derive(Args, Debug)]
pub(crate) struct DkimKey {
    /// The domain
    pub domain: String,
    /// What the key is called in the DNS
    #[arg(long)]
    pub selector: String,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub change: ChangeReach,
}
