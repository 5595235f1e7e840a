#![allow(clippy::unwrap_used)]

use super::*;
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
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
            // Of somebody whom nobody asked about.
            ("strange.test.", RecordType::MX) => {
                let mx = RData::MX(MX::new(0, name("evil.test.")));
                response.add_answer(Record::from_rdata(name("x.evil.test."), 60, mx));
                Vec::new()
            }
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
        response.add_answers(data.into_iter().map(|d| Record::from_rdata(owner.clone(), 60, d)));
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
    assert_eq!(resolver.exchangers("strange.test").await, Err(DnsError::NoRecords));
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
