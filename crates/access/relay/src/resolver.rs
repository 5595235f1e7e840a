//! The DNS client: asks the system's name servers, or those the operator names, and remembers
//! answers as long as their owners allow.
//!
//! It stands here and not in `base`, whose every user would have to build it; the server puts it
//! into [`Env`](base::env::Env) once, for everybody. Names are always taken as complete: no search
//! list is ever tried on a domain that came in with a message.

use async_trait::async_trait;
use base::env::{Dns, DnsError, Family, Found, MailExchanger, ServiceHost};
use base::{Error, Result};
use futures::future::join;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError as Refusal, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
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
    inner: TokioResolver,
}

impl Resolver {
    /// A client of these name servers, or of those in `/etc/resolv.conf` where the list is empty.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if the system's list is needed and cannot be read.
    pub fn new(servers: &[SocketAddr]) -> Result<Self> {
        let wrong =
            |error: NetError| Error::invalid(format!("No name server can be asked: {error}"));
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(wrong)?
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = QUESTION_TIME;
        options.attempts = ATTEMPTS;
        options.cache_size = CACHE_ANSWERS;
        Ok(Self { inner: builder.build().map_err(wrong)? })
    }

    async fn find<T>(
        &self,
        name: &str,
        kind: RecordType,
        record: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, DnsError> {
        let complete = format!("{}.", name.trim_end_matches('.'));
        // What is no name does not exist, and nobody need be asked.
        let complete = Name::from_utf8(complete).map_err(|_| DnsError::NoDomain)?;
        let answer = self.inner.lookup(complete, kind).await.map_err(reason)?;
        let records: Vec<T> =
            answer.answers().iter().filter_map(|answer| record(&answer.data)).collect();
        if records.is_empty() { Err(DnsError::NoRecords) } else { Ok(records) }
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

fn reason(error: NetError) -> DnsError {
    match &error {
        NetError::Dns(Refusal::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => DnsError::NoDomain,
            ResponseCode::NoError => DnsError::NoRecords,
            code => DnsError::NoAnswer(format!("the name server answered {code}")),
        },
        NetError::Dns(Refusal::ResponseCode(code)) => {
            DnsError::NoAnswer(format!("the name server answered {code}"))
        }
        NetError::Timeout => DnsError::NoAnswer("no name server answered in time".to_owned()),
        _ => DnsError::NoAnswer(error.to_string()),
    }
}

#[async_trait]
impl Dns for Resolver {
    async fn addresses(&self, host: &str) -> Result<Found<IpAddr>, DnsError> {
        if let Ok(literal) = host.parse() {
            return Ok(Found { records: vec![literal], is_secure: false });
        }
        let both = join(
            self.find(host, RecordType::AAAA, address),
            self.find(host, RecordType::A, address),
        );
        let records = match both.await {
            (Ok(mut six), Ok(four)) => {
                six.extend(four);
                six
            }
            (Ok(some), Err(_)) | (Err(_), Ok(some)) => some,
            // "There is none" is only known if both answers say so.
            (Err(error @ DnsError::NoAnswer(_)), _) | (_, Err(error)) => return Err(error),
        };
        Ok(Found { records, is_secure: false })
    }

    async fn exchangers(&self, domain: &str) -> Result<Found<MailExchanger>, DnsError> {
        let exchanger = |data: &RData| match data {
            RData::MX(mx) => {
                let host = mx.exchange.to_ascii().trim_end_matches('.').to_ascii_lowercase();
                Some(MailExchanger { preference: mx.preference, host })
            }
            _ => None,
        };
        let records = self.find(domain, RecordType::MX, exchanger).await?;
        Ok(Found { records, is_secure: false })
    }

    async fn addresses_of(&self, host: &str, family: Family) -> Result<Found<IpAddr>, DnsError> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        let records = self.find(host, kind, address).await?;
        Ok(Found { records, is_secure: false })
    }

    async fn texts(&self, name: &str) -> Result<Found<Vec<u8>>, DnsError> {
        let text = |data: &RData| match data {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        };
        let records = self.find(name, RecordType::TXT, text).await?;
        Ok(Found { records, is_secure: false })
    }

    async fn services(&self, name: &str) -> Result<Found<ServiceHost>, DnsError> {
        let service = |data: &RData| match data {
            RData::SRV(srv) => Some(ServiceHost {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                host: srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
            }),
            _ => None,
        };
        let records = self.find(name, RecordType::SRV, service).await?;
        Ok(Found { records, is_secure: false })
    }

    async fn names(&self, address: IpAddr) -> Result<Found<String>, DnsError> {
        let name = |data: &RData| match data {
            RData::PTR(name) => Some(name.to_ascii().trim_end_matches('.').to_ascii_lowercase()),
            _ => None,
        };
        let reverse = Name::from(address).to_ascii();
        let records = self.find(&reverse, RecordType::PTR, name).await?;
        Ok(Found { records, is_secure: false })
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use hickory_resolver::proto::op::{Message, MessageType};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, SRV, TXT};
    use tokio::net::UdpSocket;

    fn name(text: &str) -> Name {
        Name::from_utf8(text).unwrap()
    }

    /// A name server of a few names, over UDP.
    async fn serve(socket: UdpSocket) {
        let mut packet = [0; 4096];
        loop {
            let (length, peer) = socket.recv_from(&mut packet).await.unwrap();
            let request = Message::from_vec(&packet[..length]).unwrap();
            let query = request.queries[0].clone();
            let asked = query.name().to_ascii().to_ascii_lowercase();
            let mut response = Message::response(request.metadata.id, request.metadata.op_code);
            response.metadata.message_type = MessageType::Response;
            response.metadata.recursion_available = true;
            response.add_query(query.clone());
            let data: Vec<RData> = match (asked.as_str(), query.query_type()) {
                ("example.test.", RecordType::MX) => vec![
                    RData::MX(MX::new(10, name("MX1.example.test."))),
                    RData::MX(MX::new(20, name("mx2.example.test."))),
                ],
                ("null.test.", RecordType::MX) => vec![RData::MX(MX::new(0, Name::root()))],
                ("example.test.", RecordType::TXT) => vec![
                    RData::TXT(TXT::new(vec!["v=spf1".to_owned(), " mx".to_owned()])),
                    RData::TXT(TXT::from_bytes(vec![b"\xff"])),
                ],
                ("_imaps._tcp.example.test.", RecordType::SRV) => {
                    vec![RData::SRV(SRV::new(1, 2, 993, name("MX1.example.test.")))]
                }
                ("_pop3s._tcp.example.test.", RecordType::SRV) => {
                    vec![RData::SRV(SRV::new(0, 0, 0, Name::root()))]
                }
                ("1.2.0.192.in-addr.arpa.", RecordType::PTR) => {
                    vec![RData::PTR(PTR(name("MX1.example.test.")))]
                }
                ("mx1.example.test.", RecordType::A) => vec![RData::A(A::new(192, 0, 2, 1))],
                ("mx1.example.test.", RecordType::AAAA) => {
                    vec![RData::AAAA(AAAA("2001:db8::1".parse().unwrap()))]
                }
                ("four.test." | "half.test.", RecordType::A) => {
                    vec![RData::A(A::new(192, 0, 2, 4))]
                }
                ("alias.test.", _) => vec![RData::CNAME(CNAME(name("example.test.")))],
                ("loop.test.", _) => vec![RData::CNAME(CNAME(name("loop.test.")))],
                ("example.test." | "four.test.", _) => Vec::new(),
                ("half.test." | "broken.test.", _) => {
                    response.metadata.response_code = ResponseCode::ServFail;
                    Vec::new()
                }
                ("unclear.test.", RecordType::AAAA) => {
                    response.metadata.response_code = ResponseCode::ServFail;
                    Vec::new()
                }
                ("unclear.test.", _) => Vec::new(),
                _ => {
                    response.metadata.response_code = ResponseCode::NXDomain;
                    Vec::new()
                }
            };
            let owner = query.name().clone();
            response
                .add_answers(data.into_iter().map(|d| Record::from_rdata(owner.clone(), 60, d)));
            socket.send_to(&response.to_vec().unwrap(), peer).await.unwrap();
        }
    }

    #[tokio::test]
    async fn each_kind_of_answer_is_told_from_the_others() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        let served = tokio::spawn(serve(socket));
        let resolver = Resolver::new(&[server]).unwrap();

        let found = resolver.exchangers("Example.test").await.unwrap();
        let mut hosts: Vec<(u16, &str)> =
            found.records.iter().map(|mx| (mx.preference, mx.host.as_str())).collect();
        hosts.sort_unstable();
        assert_eq!(hosts, [(10, "mx1.example.test"), (20, "mx2.example.test")]);
        assert_eq!(resolver.exchangers("null.test").await.unwrap().records[0].host, "");
        assert_eq!(resolver.exchangers("four.test").await, Err(DnsError::NoRecords));
        assert_eq!(resolver.exchangers("nobody.test").await, Err(DnsError::NoDomain));
        assert_eq!(resolver.exchangers("a..b").await, Err(DnsError::NoDomain));
        let broken = resolver.exchangers("broken.test").await;
        assert!(matches!(broken, Err(DnsError::NoAnswer(_))), "{broken:?}");
        // Aliases in a circle come to an end.
        assert!(resolver.exchangers("loop.test").await.is_err());
        assert_eq!(resolver.exchangers("alias.test").await.unwrap().records.len(), 2);

        let check = async |host, expected: &[&str]| {
            let found = resolver.addresses(host).await.unwrap();
            let found: Vec<String> = found.records.iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{host}");
        };
        check("mx1.example.test", &["2001:db8::1", "192.0.2.1"]).await;
        check("four.test", &["192.0.2.4"]).await;
        check("half.test", &["192.0.2.4"]).await;
        check("192.0.2.9", &["192.0.2.9"]).await;
        check("2001:db8::9", &["2001:db8::9"]).await;
        assert_eq!(resolver.addresses("example.test").await, Err(DnsError::NoRecords));
        assert_eq!(resolver.addresses("nobody.test").await, Err(DnsError::NoDomain));
        let mut texts = resolver.texts("example.test").await.unwrap().records;
        texts.sort_unstable();
        assert_eq!(texts, [b"v=spf1 mx".to_vec(), b"\xff".to_vec()]);
        assert_eq!(resolver.texts("four.test").await, Err(DnsError::NoRecords));
        let service = resolver.services("_imaps._tcp.example.test").await.unwrap().records;
        let host = "mx1.example.test".to_owned();
        assert_eq!(service, [ServiceHost { priority: 1, weight: 2, port: 993, host }]);
        let none = resolver.services("_pop3s._tcp.example.test").await.unwrap().records;
        assert_eq!((none[0].port, none[0].host.as_str()), (0, ""));
        assert_eq!(resolver.services("four.test").await, Err(DnsError::NoRecords));
        let names = resolver.names("192.0.2.1".parse().unwrap()).await.unwrap();
        assert_eq!(names.records, ["mx1.example.test"]);
        assert_eq!(resolver.names("2001:db8::1".parse().unwrap()).await, Err(DnsError::NoDomain));
        let four = resolver.addresses_of("half.test", Family::V4).await.unwrap();
        assert_eq!(four.records.len(), 1);
        assert!(resolver.addresses_of("half.test", Family::V6).await.is_err());
        let unclear = resolver.addresses("unclear.test").await;
        assert!(matches!(unclear, Err(DnsError::NoAnswer(_))), "{unclear:?}");
        served.abort();
    }
}
