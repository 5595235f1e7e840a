//! Questions to the domain name system.
//!
//! An answer tells "there is no such name" from "the name has no such records" from "nobody knows
//! at the moment": mail to the first is returned at once, mail to the last waits. Aliases (CNAME)
//! are followed by whoever implements [`Dns`].

use async_trait::async_trait;
use std::fmt;
use std::net::IpAddr;

/// Host names and mail exchangers.
#[async_trait]
pub trait Dns: Send + Sync + 'static {
    /// The addresses of a host, of both families. An address as text is its own answer.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, DnsError>;

    /// The MX records of a domain, in no particular order.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn exchangers(&self, domain: &str) -> Result<Found<MailExchanger>, DnsError>;
}

/// What was found: at least one record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<T> {
    /// The records.
    pub records: Vec<T>,
    /// Whether DNSSEC vouches for them, aliases on the way included.
    pub is_secure: bool,
}

/// One MX record (RFC 1035 §3.3.9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailExchanger {
    /// Lower is better.
    pub preference: u16,
    /// The host, in lower case without a dot at its end; empty for the root, by which a domain says
    /// that it takes no mail (RFC 7505 §3).
    pub host: String,
}

/// Why there are no records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DnsError {
    /// The name does not exist.
    NoDomain,
    /// The name exists, but has no records of this kind.
    NoRecords,
    /// Nobody could or would answer, in words for an operator; asking later may help.
    NoAnswer(String),
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDomain => f.write_str("the name does not exist"),
            Self::NoRecords => f.write_str("the name has no such records"),
            Self::NoAnswer(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for DnsError {}
