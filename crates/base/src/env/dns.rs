//! Questions to the domain name system.
//!
//! An answer tells "there is no such name" from "the name has no such records" from "nobody knows
//! at the moment": mail to the first is returned at once, mail to the last waits. Aliases (CNAME)
//! are followed by whoever implements [`Dns`].

use async_trait::async_trait;
use std::fmt;
use std::net::IpAddr;

/// Host names, mail exchangers, texts.
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

    /// The addresses of a host, of one family: one question where [`Dns::addresses`] asks two, and
    /// an answer that does not depend on the other family's.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn addresses_of(&self, host: &str, family: Family) -> Result<Found<IpAddr>, DnsError> {
        let Found { mut records, is_secure } = self.addresses(host).await?;
        records.retain(|address| family == Family::of(*address));
        if records.is_empty() { Err(DnsError::NoRecords) } else { Ok(Found { records, is_secure }) }
    }

    /// The TXT records of a name, each with its strings joined, as bytes: whoever wrote them need
    /// not have kept to any charset.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn texts(&self, name: &str) -> Result<Found<Vec<u8>>, DnsError> {
        Err(DnsError::NoAnswer(format!("nobody here knows the texts of {name}")))
    }

    /// The hosts of a service of a domain (SRV), `_imaps._tcp.example.org`, in no particular order.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn services(&self, name: &str) -> Result<Found<ServiceHost>, DnsError> {
        Err(DnsError::NoAnswer(format!("nobody here knows the services of {name}")))
    }

    /// Where a host is, and what it is really called: [`Dns::addresses`] for those who must know
    /// which name they ended at.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn locate(&self, host: &str) -> Result<Located, DnsError> {
        let Found { records, is_secure } = self.addresses(host).await?;
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        Ok(Located { addresses: records, name, is_secure, is_name_secure: is_secure })
    }

    /// The TLSA records of a service of a host, `_25._tcp.mx.example.org`. They count for nothing
    /// unless DNSSEC vouches for them (RFC 6698 §4.1).
    ///
    /// # Errors
    /// [`DnsError`].
    async fn tlsa(&self, name: &str) -> Result<Found<Tlsa>, DnsError> {
        Err(DnsError::NoAnswer(format!("nobody here knows the TLSA records of {name}")))
    }

    /// The names of an address (PTR), in lower case without a dot at their ends.
    ///
    /// # Errors
    /// [`DnsError`].
    async fn names(&self, address: IpAddr) -> Result<Found<String>, DnsError> {
        Err(DnsError::NoAnswer(format!("nobody here knows the names of {address}")))
    }
}

/// A kind of address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What was found: at least one record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<T> {
    /// The records.
    pub records: Vec<T>,
    /// Whether DNSSEC vouches for them, aliases on the way included.
    pub is_secure: bool,
}

/// Where a host is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located {
    /// Its addresses, of both families; at least one.
    pub addresses: Vec<IpAddr>,
    /// The name at which they were found once all aliases were followed, in lower case without a
    /// dot at its end.
    pub name: String,
    /// Whether DNSSEC vouches for the addresses and every alias on the way.
    pub is_secure: bool,
    /// Whether DNSSEC vouches for the first step: the alias, or the addresses where there is none.
    pub is_name_secure: bool,
}

/// One TLSA record (RFC 6698 §2.1), whatever its numbers are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tlsa {
    /// Certificate usage: 2 is a trust anchor, 3 the host's own certificate.
    pub usage: u8,
    /// What of a certificate: 0 is the whole, 1 its public key.
    pub selector: u8,
    /// How it is given: 0 as it is, 1 as SHA-256, 2 as SHA-512.
    pub matching: u8,
    /// What a certificate must have.
    pub data: Vec<u8>,
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

/// One SRV record (RFC 2782).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceHost {
    /// Lower is better.
    pub priority: u16,
    /// How often among equal priorities.
    pub weight: u16,
    /// The TCP or UDP port.
    pub port: u16,
    /// The host, in lower case without a dot at its end; empty for the root, by which a domain says
    /// that it does not offer the service.
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
