//! iprev: whether an address has a name that has the address (RFC 8601 §3).

use base::env::{Dns, DnsError, Family};
use std::net::IpAddr;

/// Names of one address that are looked at.
const NAMES_MAX: usize = 10;

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Iprev {
    /// It has this name, and the name has it.
    Pass(String),
    /// No name of it has it.
    Fail,
    /// It has no name.
    PermError,
    /// Nobody knows at the moment.
    TempError,
}

impl Iprev {
    /// The word in an `Authentication-Results` field.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pass(_) => "pass",
            Self::Fail => "fail",
            Self::PermError => "permerror",
            Self::TempError => "temperror",
        }
    }
}

/// Looks an address up, and its names.
pub async fn check(dns: &dyn Dns, address: IpAddr) -> Iprev {
    let address = address.to_canonical();
    let names = match dns.names(address).await {
        Ok(found) => found.records,
        Err(DnsError::NoDomain | DnsError::NoRecords) => return Iprev::PermError,
        Err(DnsError::NoAnswer(_)) => return Iprev::TempError,
    };
    let mut unknown = false;
    for name in names.into_iter().take(NAMES_MAX) {
        match dns.addresses_of(&name, Family::of(address)).await {
            Ok(found) if found.records.contains(&address) => return Iprev::Pass(name),
            Err(DnsError::NoAnswer(_)) => unknown = true,
            _ => {}
        }
    }
    if unknown { Iprev::TempError } else { Iprev::Fail }
}
