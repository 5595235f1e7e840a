//! Names through the system's resolver, which knows hosts and no mail exchangers.

use crate::env::{Dns, DnsError, Found, MailExchanger};
use async_trait::async_trait;
use std::net::IpAddr;

/// The system's resolver (`getaddrinfo`). Whoever sends mail to other servers replaces it in
/// [`Env`](crate::env::Env) by one that speaks DNS itself.
pub struct RealDns;

#[async_trait]
impl Dns for RealDns {
    async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, DnsError> {
        let found = tokio::net::lookup_host((host, 0)).await.map_err(|error| {
            // The resolver's codes do not come through, only its (untranslated) words.
            let words = error.to_string();
            if words.contains("Name or service not known") {
                DnsError::NoDomain
            } else if words.contains("No address associated with hostname") {
                DnsError::NoRecords
            } else {
                DnsError::NoAnswer(words)
            }
        })?;
        let mut records: Vec<IpAddr> = Vec::new();
        for address in found {
            if !records.contains(&address.ip()) {
                records.push(address.ip());
            }
        }
        if records.is_empty() {
            return Err(DnsError::NoRecords);
        }
        Ok(Found { records, is_secure: false })
    }

    async fn exchangers(&self, _domain: &str) -> Result<Found<MailExchanger>, DnsError> {
        Err(DnsError::NoAnswer("the system's resolver knows no mail exchangers".to_owned()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn literals_and_localhost_resolve() {
        let literal = RealDns.addresses("127.0.0.7").await.unwrap();
        assert_eq!(literal.records, ["127.0.0.7".parse::<IpAddr>().unwrap()]);
        let local = RealDns.addresses("localhost").await.unwrap();
        assert!(local.records.iter().all(IpAddr::is_loopback));
        assert!(matches!(RealDns.exchangers("localhost").await, Err(DnsError::NoAnswer(_))));
    }
}
