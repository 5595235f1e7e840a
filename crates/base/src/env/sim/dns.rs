//! Host names and mail exchangers from a table that a test sets up.

use crate::env::{Dns, DnsError, Found, Located, MailExchanger, ServiceHost, Tlsa};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How many aliases are followed, as resolvers do it.
const ALIASES_MAX: usize = 8;

/// Names from a table; cheap to clone. A name that nothing was said about does not exist.
#[derive(Clone, Default)]
pub struct SimDns {
    table: Arc<Mutex<HashMap<String, Entry>>>,
    names: Arc<Mutex<HashMap<IpAddr, Vec<String>>>>,
}

#[derive(Clone, Default)]
struct Entry {
    addresses: Vec<IpAddr>,
    exchangers: Vec<MailExchanger>,
    texts: Vec<Vec<u8>>,
    services: Vec<ServiceHost>,
    tlsa: Vec<Tlsa>,
    alias: Option<String>,
    is_broken: bool,
    is_secure: bool,
}

impl SimDns {
    /// Gives a host its addresses.
    pub fn set(&self, host: &str, addresses: &[IpAddr]) {
        self.change(host, |entry| entry.addresses = addresses.to_vec());
    }

    /// Gives a domain its MX records: preference and host, `.` for the root.
    pub fn set_exchangers(&self, domain: &str, exchangers: &[(u16, &str)]) {
        let record = |(preference, host): &(u16, &str)| MailExchanger {
            preference: *preference,
            host: folded(host),
        };
        self.change(domain, |entry| entry.exchangers = exchangers.iter().map(record).collect());
    }

    /// Gives a name its TXT records.
    pub fn set_texts(&self, name: &str, texts: &[&str]) {
        let texts = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        self.change(name, |entry| entry.texts = texts);
    }

    /// Gives a name its SRV records: port and host, `.` for the root.
    pub fn set_services(&self, name: &str, hosts: &[(u16, &str)]) {
        let record = |(port, host): &(u16, &str)| ServiceHost {
            priority: 0,
            weight: 1,
            port: *port,
            host: folded(host),
        };
        self.change(name, |entry| entry.services = hosts.iter().map(record).collect());
    }

    /// Gives a name its TLSA records.
    pub fn set_tlsa(&self, name: &str, records: &[Tlsa]) {
        self.change(name, |entry| entry.tlsa = records.to_vec());
    }

    /// Gives an address its names.
    pub fn set_names(&self, address: IpAddr, names: &[&str]) {
        let names = names.iter().map(|name| folded(name)).collect();
        self.names.lock().insert(address, names);
    }

    /// Makes a name an alias of another one (CNAME).
    pub fn set_alias(&self, name: &str, target: &str) {
        self.change(name, |entry| entry.alias = Some(folded(target)));
    }

    /// Says that DNSSEC vouches for what a name has.
    pub fn set_secure(&self, name: &str) {
        self.change(name, |entry| entry.is_secure = true);
    }

    /// Lets questions for a name time out.
    pub fn break_host(&self, host: &str) {
        self.change(host, |entry| entry.is_broken = true);
    }

    /// Lets questions for a name be answered again.
    pub fn mend_host(&self, host: &str) {
        self.change(host, |entry| entry.is_broken = false);
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Entry)) {
        change(self.table.lock().entry(folded(name)).or_default());
    }

    fn find<T>(
        &self,
        name: &str,
        records: impl Fn(&Entry) -> Vec<T>,
    ) -> Result<Found<T>, DnsError> {
        self.follow(name, records).map(|(found, _)| found)
    }

    /// What a name has, and which name it is in the end.
    fn follow<T>(
        &self,
        name: &str,
        records: impl Fn(&Entry) -> Vec<T>,
    ) -> Result<(Found<T>, String), DnsError> {
        let table = self.table.lock();
        let mut name = folded(name);
        let mut is_secure = true;
        for _ in 0..ALIASES_MAX {
            let entry = table.get(&name).ok_or(DnsError::NoDomain)?;
            if entry.is_broken {
                return Err(DnsError::NoAnswer("no name server answered".to_owned()));
            }
            is_secure &= entry.is_secure;
            let Some(alias) = &entry.alias else {
                let records = records(entry);
                let is_empty = records.is_empty();
                let found = (Found { records, is_secure }, name);
                return if is_empty { Err(DnsError::NoRecords) } else { Ok(found) };
            };
            name.clone_from(alias);
        }
        Err(DnsError::NoAnswer("too many aliases".to_owned()))
    }
}

fn folded(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase()
}

#[async_trait]
impl Dns for SimDns {
    async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, DnsError> {
        if let Ok(literal) = host.parse() {
            return Ok(Found { records: vec![literal], is_secure: false });
        }
        self.find(host, |entry| entry.addresses.clone())
    }

    async fn exchangers(&self, domain: &str) -> Result<Found<MailExchanger>, DnsError> {
        self.find(domain, |entry| entry.exchangers.clone())
    }

    async fn texts(&self, name: &str) -> Result<Found<Vec<u8>>, DnsError> {
        self.find(name, |entry| entry.texts.clone())
    }

    async fn services(&self, name: &str) -> Result<Found<ServiceHost>, DnsError> {
        self.find(name, |entry| entry.services.clone())
    }

    async fn locate(&self, host: &str) -> Result<Located, DnsError> {
        if let Ok(literal) = host.parse() {
            let name = host.to_owned();
            let addresses = vec![literal];
            return Ok(Located { addresses, name, is_secure: false, is_name_secure: false });
        }
        let (found, name) = self.follow(host, |entry| entry.addresses.clone())?;
        let is_name_secure =
            self.table.lock().get(&folded(host)).is_some_and(|entry| entry.is_secure);
        let Found { records: addresses, is_secure } = found;
        Ok(Located { addresses, name, is_secure, is_name_secure })
    }

    async fn tlsa(&self, name: &str) -> Result<Found<Tlsa>, DnsError> {
        self.find(name, |entry| entry.tlsa.clone())
    }

    async fn names(&self, address: IpAddr) -> Result<Found<String>, DnsError> {
        match self.names.lock().get(&address) {
            Some(names) if !names.is_empty() => {
                Ok(Found { records: names.clone(), is_secure: false })
            }
            Some(_) => Err(DnsError::NoRecords),
            None => Err(DnsError::NoDomain),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_come_from_the_table() {
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        let dns = SimDns::default();
        dns.set("MX.Rialto.test", &[address]);
        dns.set_exchangers("rialto.test", &[(10, "MX.rialto.test."), (20, ".")]);
        dns.set_alias("www.rialto.test", "rialto.test");
        dns.set_alias("a.test", "b.test");
        dns.set_alias("b.test", "a.test");
        dns.break_host("slow.test");
        dns.set_secure("mx.rialto.test");
        dns.set_texts("Rialto.test", &["v=spf1 mx -all", "other"]);
        dns.set_names(address, &["MX.rialto.test."]);
        dns.set_services("_imaps._tcp.rialto.test", &[(993, "MX.rialto.test.")]);

        let found = dns.addresses("mx.rialto.test.").await.unwrap();
        assert_eq!(found, Found { records: vec![address], is_secure: true });
        assert_eq!(dns.addresses("10.0.0.1").await.unwrap().records, [address]);
        assert_eq!(dns.addresses("rialto.test").await, Err(DnsError::NoRecords));
        assert_eq!(dns.addresses("other.test").await, Err(DnsError::NoDomain));
        for broken in ["slow.test", "a.test"] {
            assert!(matches!(dns.addresses(broken).await, Err(DnsError::NoAnswer(_))));
        }
        let found = dns.exchangers("www.rialto.test").await.unwrap();
        let hosts: Vec<&str> = found.records.iter().map(|record| record.host.as_str()).collect();
        assert_eq!((hosts, found.is_secure), (vec!["mx.rialto.test", ""], false));
        assert_eq!(dns.texts("www.rialto.test").await.unwrap().records[1], b"other");
        assert_eq!(dns.texts("mx.rialto.test").await, Err(DnsError::NoRecords));
        assert_eq!(dns.names(address).await.unwrap().records, ["mx.rialto.test"]);
        let services = dns.services("_IMAPS._tcp.rialto.test").await.unwrap().records;
        assert_eq!((services[0].port, services[0].host.as_str()), (993, "mx.rialto.test"));
        let other = "10.0.0.2".parse().unwrap();
        assert_eq!(dns.names(other).await, Err(DnsError::NoDomain));
        let six = dns.addresses_of("mx.rialto.test", crate::env::Family::V6).await;
        assert_eq!(six, Err(DnsError::NoRecords));
        let tlsa = Tlsa { usage: 3, selector: 1, matching: 0, data: vec![1] };
        dns.set_tlsa("_25._tcp.mx.rialto.test", std::slice::from_ref(&tlsa));
        let found = dns.tlsa("_25._tcp.MX.rialto.test").await.unwrap();
        assert_eq!(found, Found { records: vec![tlsa], is_secure: false });
        assert_eq!(dns.tlsa("mx.rialto.test").await, Err(DnsError::NoRecords));
        dns.set_alias("alias.test", "mx.rialto.test");
        let check = async |host: &str, name: &str, is_secure, is_name_secure| {
            let located = dns.locate(host).await.unwrap();
            let expected = Located {
                addresses: vec![address],
                name: name.to_owned(),
                is_secure,
                is_name_secure,
            };
            assert_eq!(located, expected, "{host}");
        };
        check("mx.rialto.test.", "mx.rialto.test", true, true).await;
        check("alias.test", "mx.rialto.test", false, false).await;
        dns.set_secure("alias.test");
        check("Alias.test", "mx.rialto.test", true, true).await;
        check("10.0.0.1", "10.0.0.1", false, false).await;
        dns.mend_host("slow.test");
        assert_eq!(dns.exchangers("slow.test").await, Err(DnsError::NoRecords));
    }
}
