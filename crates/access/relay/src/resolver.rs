//! The DNS client: asks the system's name servers, or those the operator names, and remembers
//! answers as long as their owners allow.
//!
//! It stands here and not in `base`, whose every user would have to build it; the server puts it
//! into [`Env`](base::env::Env) once, for everybody. Names are always taken as complete: no search
//! list is ever tried on a domain that came in with a message.
//!
//! Where mail goes (exchangers, addresses, TLSA records) is asked with DNSSEC where that is on
//! ([`dnssec`]): what is forged is no answer then. What senders publish about themselves is not: a
//! chain of signatures for each of a dozen lookups would cost more than it tells.

mod dnssec;
mod reply;

pub use dnssec::{Dnssec, check_anchors};

use async_trait::async_trait;
use base::env::{Dns, DnsError, Family, Found, Located, MailExchanger, ServiceHost, Tlsa};
use base::{Error, Result};
use dnssec::Validating;
use futures::future::join;
use hickory_resolver::ResolverBuilder;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use reply::{Reply, ask};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long one name server may take for one question.
const QUESTION_TIME: Duration = Duration::from_secs(4);

/// How often a question is asked in all.
const ATTEMPTS: usize = 2;

/// How many answers are remembered.
const CACHE_ANSWERS: u64 = 32_768;

/// A DNS client.
pub struct Resolver {
    plain: TokioResolver,
    validating: Option<Validating>,
}

impl Resolver {
    /// A client of these name servers, or of those in `/etc/resolv.conf` where the list is empty.
    /// It believes what they say, and calls nothing secure.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if the system's list is needed and cannot be read.
    pub fn new(servers: &[SocketAddr]) -> Result<Self> {
        let plain = builder(servers)?.build().map_err(unusable)?;
        Ok(Self { plain, validating: None })
    }

    /// As [`Resolver::new`], and it checks the signatures of what says where mail goes.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], also for trust anchors that cannot be read.
    pub fn with_dnssec(servers: &[SocketAddr], dnssec: &Dnssec) -> Result<Self> {
        let validating = Validating::new(builder(servers)?, dnssec)?;
        Ok(Self { validating, ..Self::new(servers)? })
    }

    /// Whether answers are checked now; `None` where nobody asked for it.
    pub async fn is_validating(&self) -> Option<bool> {
        Some(self.validating.as_ref()?.get().await.is_some())
    }

    /// Asks with DNSSEC, where it is on.
    async fn checked(&self, name: &str, kind: RecordType) -> Result<Reply, DnsError> {
        let validating = match &self.validating {
            Some(validating) => validating.get().await,
            None => None,
        };
        ask(validating.unwrap_or(&self.plain), name, kind, validating.is_some()).await
    }

    async fn found<T>(
        &self,
        (name, kind): (&str, RecordType),
        record: impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<T>, DnsError> {
        taken(&self.checked(name, kind).await?, record)
    }

    async fn unchecked<T>(
        &self,
        (name, kind): (&str, RecordType),
        record: impl Fn(&RData) -> Option<T>,
    ) -> Result<Found<T>, DnsError> {
        taken(&ask(&self.plain, name, kind, false).await?, record)
    }
}

fn unusable(error: NetError) -> Error {
    Error::invalid(format!("No name server can be asked: {error}"))
}

type Builder = ResolverBuilder<TokioRuntimeProvider>;

fn builder(servers: &[SocketAddr]) -> Result<Builder> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio().map_err(unusable)?
    } else {
        let servers = servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.timeout = QUESTION_TIME;
    options.attempts = ATTEMPTS;
    options.cache_size = CACHE_ANSWERS;
    // Which records answer the question, and whether an alias is vouched for, is seen only if the
    // aliases are there.
    options.preserve_intermediates = true;
    Ok(builder)
}

/// The records of one kind in an answer, and whether all of it is vouched for.
fn taken<T>(reply: &Reply, record: impl Fn(&RData) -> Option<T>) -> Result<Found<T>, DnsError> {
    let records: Vec<T> = reply.records.iter().filter_map(|one| record(&one.data)).collect();
    if records.is_empty() {
        return Err(DnsError::NoRecords);
    }
    Ok(Found { records, is_secure: reply.is_secure() })
}

/// A name as the rest of us writes it.
fn shown(name: &Name) -> String {
    name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
}

/// What an address lookup of one family came to.
struct Way {
    addresses: Vec<IpAddr>,
    name: String,
    is_secure: bool,
    is_name_secure: bool,
}

impl Way {
    fn new(asked: &str, reply: &Reply) -> Result<Self, DnsError> {
        let found = taken(reply, address)?;
        let asked = asked.trim_end_matches('.').to_ascii_lowercase();
        let first: Vec<Record> =
            reply.records.iter().filter(|record| shown(&record.name) == asked).cloned().collect();
        Ok(Self {
            addresses: found.records,
            name: shown(&reply.name),
            is_secure: found.is_secure,
            is_name_secure: dnssec::is_secure(&first),
        })
    }
}

/// Over UDP, and TCP for long answers.
fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    // A recursive server of the operator's choice: its "no" is to be believed.
    NameServerConfig::new(address.ip(), true, connections.map(at_port).into())
}

#[async_trait]
impl Dns for Resolver {
    async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, DnsError> {
        if let Ok(literal) = host.parse() {
            return Ok(Found { records: vec![literal], is_secure: false });
        }
        let Located { addresses, is_secure, .. } = self.locate(host).await?;
        Ok(Found { records: addresses, is_secure })
    }

    async fn locate(&self, host: &str) -> Result<Located, DnsError> {
        if let Ok(literal) = host.parse() {
            let (addresses, name) = (vec![literal], host.to_owned());
            return Ok(Located { addresses, name, is_secure: false, is_name_secure: false });
        }
        let way = async |kind| Way::new(host, &self.checked(host, kind).await?);
        let ways = match join(way(RecordType::AAAA), way(RecordType::A)).await {
            (Ok(six), Ok(four)) => vec![six, four],
            (Ok(some), Err(_)) | (Err(_), Ok(some)) => vec![some],
            // "There is none" is only known if both answers say so.
            (Err(error @ DnsError::NoAnswer(_)), _) | (_, Err(error)) => return Err(error),
        };
        let name = ways.first().map(|way| way.name.clone()).unwrap_or_default();
        let is_secure = ways.iter().all(|way| way.is_secure && way.name == name);
        let is_name_secure = ways.iter().all(|way| way.is_name_secure);
        let addresses = ways.into_iter().flat_map(|way| way.addresses).collect();
        Ok(Located { addresses, name, is_secure, is_name_secure })
    }

    async fn tlsa(&self, name: &str) -> Result<Found<Tlsa>, DnsError> {
        let tlsa = |data: &RData| match data {
            RData::TLSA(tlsa) => Some(Tlsa {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        };
        self.found((name, RecordType::TLSA), tlsa).await
    }

    async fn exchangers(&self, domain: &str) -> Result<Found<MailExchanger>, DnsError> {
        let exchanger = |data: &RData| match data {
            RData::MX(mx) => {
                Some(MailExchanger { preference: mx.preference, host: shown(&mx.exchange) })
            }
            _ => None,
        };
        self.found((domain, RecordType::MX), exchanger).await
    }

    async fn addresses_of(&self, host: &str, family: Family) -> Result<Found<IpAddr>, DnsError> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        self.unchecked((host, kind), address).await
    }

    async fn texts(&self, name: &str) -> Result<Found<Vec<u8>>, DnsError> {
        let text = |data: &RData| match data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        };
        self.unchecked((name, RecordType::TXT), text).await
    }

    async fn services(&self, name: &str) -> Result<Found<ServiceHost>, DnsError> {
        let service = |data: &RData| match data {
            RData::SRV(srv) => Some(ServiceHost {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                host: shown(&srv.target),
            }),
            _ => None,
        };
        self.unchecked((name, RecordType::SRV), service).await
    }

    async fn names(&self, address: IpAddr) -> Result<Found<String>, DnsError> {
        let name = |data: &RData| match data {
            RData::PTR(name) => Some(shown(name)),
            _ => None,
        };
        let reverse = Name::from(address).to_ascii();
        self.unchecked((&reverse, RecordType::PTR), name).await
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        RData::AAAA(address) => Some(IpAddr::V6(address.0)),
        _ => None,
    }
}

#[cfg(test)]
mod signed_tests;
#[cfg(test)]
mod tests;
