//! Aggregate reports about authentication (DMARC): XML (RFC 9990 §3.1, and RFC 7489 appendix C, which
//! most still write).

mod read;
mod write;

use std::net::IpAddr;

/// The type of the file, packed (RFC 9990 §4.1).
pub const MEDIA_TYPE: &str = "application/gzip";

/// A report.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Feedback {
    /// Who reports, and on what time.
    pub metadata: Metadata,
    /// What the domain has published.
    pub policy: Policy,
    /// What came, by where from and how it went.
    pub records: Vec<Record>,
}

/// Who reports, and on what time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// The organisation.
    pub organization: String,
    /// Whom to ask.
    pub email: String,
    /// The report's name.
    pub id: String,
    /// From when, in seconds of Unix time.
    pub begin_s: i64,
    /// Until when, the last second included.
    pub end_s: i64,
    /// What went wrong while the report was made.
    pub errors: Vec<String>,
}

/// What a domain has published.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policy {
    /// Where the record is.
    pub domain: String,
    /// `adkim`: `r` or `s`.
    pub dkim_alignment: String,
    /// `aspf`.
    pub spf_alignment: String,
    /// `p`: `none`, `quarantine`, `reject`.
    pub policy: String,
    /// `sp`.
    pub subdomain_policy: String,
    /// `t=y`.
    pub testing: bool,
}

/// Messages that are alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Which host has sent them.
    pub source: IpAddr,
    /// How many.
    pub count: u64,
    /// What was done: `pass`, `none`, `quarantine`, `reject`.
    pub disposition: String,
    /// Whether an aligned signature holds.
    pub dkim: bool,
    /// Whether SPF passes, aligned.
    pub spf: bool,
    /// Why something else was done than what the policy says: a type and a comment.
    pub reasons: Vec<(String, String)>,
    /// The author's domain.
    pub header_from: String,
    /// The domain of MAIL FROM.
    pub envelope_from: Option<String>,
    /// Signatures that were looked at.
    pub signatures: Vec<Signature>,
    /// What SPF found.
    pub sender: Option<Sender>,
}

/// A signature.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Signature {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// `pass`, `fail` and the like (RFC 8601 §2.7.1).
    pub result: String,
}

/// What SPF found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sender {
    /// Of which domain.
    pub domain: String,
    /// `mfrom`, or `helo` where there is no sender.
    pub scope: String,
    /// `pass`, `fail` and the like (RFC 8601 §2.7.2).
    pub result: String,
}
