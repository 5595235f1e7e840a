//! The resolver against a root zone that is signed for the test, and against servers that pass no
//! signatures on.
#![allow(clippy::unwrap_used)]

use super::*;
use base::env::{Clock as _, real::RealClock};
use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{Algorithm, DnssecSigner, PublicKey, SigningKey};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, MX, NS, SOA, TLSA, TXT};
use hickory_resolver::proto::rr::{DNSClass, RecordSet};
use std::time::SystemTime;
use tokio::net::UdpSocket;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The root zone, all names of which but those below `open.` are in it.
struct Zone {
    signer: DnssecSigner,
    /// Somebody who is not the root.
    forger: DnssecSigner,
    /// Whether signatures are passed on.
    is_signed: bool,
}

fn name(text: &str) -> Name {
    Name::from_utf8(text).unwrap()
}

fn signer() -> DnssecSigner {
    let pkcs8 = Ed25519SigningKey::generate_pkcs8().unwrap();
    let key = Ed25519SigningKey::from_pkcs8(&pkcs8).unwrap();
    let dnskey = DNSKEY::from_key(&key.to_public_key().unwrap());
    DnssecSigner::new(dnskey, Box::new(key), Name::root(), DAY)
}

fn anchor(signer: &DnssecSigner) -> String {
    let key = signer.key().to_public_key().unwrap();
    assert_eq!(key.algorithm(), Algorithm::ED25519);
    format!(". IN DNSKEY 257 3 15 {}\n", base64(key.public_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * at) & 63) as usize];
            text.push(if at > three.len() { '=' } else { letter.into() });
        }
    }
    text
}

/// Records of one name, with a signature.
fn signed(signer: &DnssecSigner, owner: &str, data: &[RData]) -> Vec<Record> {
    let owner = name(owner);
    let mut set = RecordSet::new(owner.clone(), data[0].record_type(), 0);
    for data in data {
        set.insert(Record::from_rdata(owner.clone(), 60, data.clone()), 0);
    }
    let now = Duration::from_millis(RealClock::default().now().unix_ms as u64);
    let begin = SystemTime::UNIX_EPOCH + now - Duration::from_secs(3600);
    let signature = RRSIG::from_rrset(&set, DNSClass::IN, begin.into(), signer).unwrap();
    let mut records: Vec<Record> = set.records_without_rrsigs().cloned().collect();
    let data = RData::DNSSEC(DNSSECRData::RRSIG(signature));
    records.push(Record::from_rdata(owner, 60, data));
    records
}

fn a(last: u8) -> RData {
    RData::A(A::new(192, 0, 2, last))
}

impl Zone {
    fn soa(&self) -> Vec<Record> {
        let soa = SOA::new(name("ns."), name("x."), 1, 60, 60, 60, 60);
        signed(&self.signer, ".", &[RData::SOA(soa)])
    }

    /// That a name has these kinds only.
    fn nothing(&self, owner: &str, kinds: &[RecordType]) -> Vec<Record> {
        let next = name(&format!("a.{owner}"));
        let nsec = NSEC::new_cover_self(next, kinds.iter().copied());
        let nsec = RData::DNSSEC(DNSSECRData::NSEC(nsec));
        [self.soa(), signed(&self.signer, owner, &[nsec])].concat()
    }

    /// What says of a zone, without a signature, who serves it.
    fn servers(zone: &str) -> Vec<Record> {
        vec![Record::from_rdata(name(zone), 60, RData::NS(NS(name("ns.open."))))]
    }

    /// Records at the end of an answer, where nobody looks at signatures as a whole.
    fn additional(asked: &str, kind: RecordType) -> Vec<Record> {
        match (asked, kind) {
            ("moved.test.", RecordType::MX) => {
                let mx = RData::MX(MX::new(0, name("evil.open.")));
                vec![Record::from_rdata(name(asked), 60, mx)]
            }
            _ => Vec::new(),
        }
    }

    /// Answers and authorities.
    fn answer(&self, asked: &str, kind: RecordType) -> (Vec<Record>, Vec<Record>) {
        let by = |data: &[RData]| (signed(&self.signer, asked, data), Vec::new());
        let unsigned = |data: RData| (vec![Record::from_rdata(name(asked), 60, data)], Vec::new());
        let key = || self.signer.to_dnskey();
        match (asked, kind) {
            (".", RecordType::DNSKEY) => by(&[RData::DNSSEC(DNSSECRData::DNSKEY(key()))]),
            (".", RecordType::SOA) => (self.soa(), Vec::new()),
            ("test.", RecordType::MX) => by(&[RData::MX(MX::new(10, name("mx.test.")))]),
            ("test.", RecordType::TXT) => by(&[RData::TXT(TXT::new(vec!["x".to_owned()]))]),
            ("mx.test.", RecordType::A) => by(&[a(1)]),
            ("mx.test.", RecordType::AAAA) => (vec![], self.nothing(asked, &[RecordType::A])),
            ("alias.test.", RecordType::A) => {
                let alias = RData::CNAME(CNAME(name("mx.test.")));
                let alias = signed(&self.signer, asked, &[alias]);
                ([alias, signed(&self.signer, "mx.test.", &[a(1)])].concat(), Vec::new())
            }
            ("_25._tcp.mx.test.", RecordType::TLSA) => {
                let tlsa = TLSA::new(3.into(), 1.into(), 1.into(), vec![7; 32]);
                by(&[RData::TLSA(tlsa)])
            }
            ("_26._tcp.mx.test.", RecordType::TLSA) => {
                (vec![], self.nothing(asked, &[RecordType::TXT]))
            }
            // Denied by a zone that is not theirs; with an answer of its own, too.
            ("_27._tcp.mx.test." | "nosuch.test.", RecordType::TLSA | RecordType::MX) => {
                (vec![], Self::servers("open."))
            }
            ("_28._tcp.mx.test.", RecordType::TLSA) => {
                let tlsa = TLSA::new(3.into(), 1.into(), 1.into(), vec![7; 32]);
                let tlsa = Record::from_rdata(name("x.open."), 60, RData::TLSA(tlsa));
                (vec![tlsa], Self::servers("open."))
            }
            ("moved.test.", RecordType::MX) => {
                let mx = RData::MX(MX::new(0, name("evil.open.")));
                let mx = Record::from_rdata(name("x.open."), 60, mx);
                (vec![mx], Self::servers("open."))
            }
            // Left without its signature, or with somebody else's.
            ("bare.test.", RecordType::A | RecordType::MX) => unsigned(a(2)),
            ("forged.test.", RecordType::A) => (signed(&self.forger, asked, &[a(3)]), Vec::new()),
            ("hidden.test.", RecordType::A | RecordType::MX) => (vec![], Vec::new()),
            // A zone of its own, of which the root says that it is not signed.
            ("open.", RecordType::NS) => unsigned(RData::NS(NS(name("ns.open.")))),
            ("open.", RecordType::DS) => (vec![], self.nothing(asked, &[RecordType::NS])),
            ("mx.open.", RecordType::A) => unsigned(a(4)),
            ("_25._tcp.mx.open.", RecordType::TLSA) => (vec![], Self::servers("open.")),
            _ => (Vec::new(), Vec::new()),
        }
    }

    async fn serve(self, socket: UdpSocket) {
        let mut packet = [0; 4096];
        loop {
            let (length, peer) = socket.recv_from(&mut packet).await.unwrap();
            let request = Message::from_vec(&packet[..length]).unwrap();
            let query = request.queries[0].clone();
            let mut response = Message::response(request.metadata.id, request.metadata.op_code);
            response.metadata.message_type = MessageType::Response;
            response.metadata.recursion_available = true;
            response.add_query(query.clone());
            let asked = query.name().to_ascii().to_ascii_lowercase();
            let (mut answers, mut authorities) = self.answer(&asked, query.query_type());
            if !self.is_signed {
                answers.retain(|one| one.record_type() != RecordType::RRSIG);
                authorities.clear();
            }
            response.add_answers(answers);
            response.add_authorities(authorities);
            response.add_additionals(Self::additional(&asked, query.query_type()));
            socket.send_to(&response.to_vec().unwrap(), peer).await.unwrap();
        }
    }
}

/// A resolver of such a zone.
async fn resolver(
    is_signed: bool,
    dnssec: impl FnOnce(String) -> Dnssec,
) -> (Resolver, tokio::task::JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    let zone = Zone { signer: signer(), forger: signer(), is_signed };
    let dnssec = dnssec(anchor(&zone.signer));
    let served = tokio::spawn(zone.serve(socket));
    (Resolver::with_dnssec(&[server], &dnssec).unwrap(), served)
}

#[tokio::test]
async fn signatures_tell_what_is_secure_and_what_is_forged() {
    for mode in [Dnssec::Auto, Dnssec::Require] {
        let (resolver, served) = resolver(true, mode).await;
        assert_eq!(resolver.is_validating().await, Some(true));
        assert!(resolver.exchangers("test").await.unwrap().is_secure);
        let located = resolver.locate("mx.test").await.unwrap();
        let expected = Located {
            addresses: vec!["192.0.2.1".parse().unwrap()],
            name: "mx.test".to_owned(),
            is_secure: true,
            is_name_secure: true,
        };
        assert_eq!(located, expected);
        assert!(resolver.addresses("mx.test").await.unwrap().is_secure);
        // Seen again from memory.
        assert!(resolver.locate("mx.test").await.unwrap().is_secure);
        let located = resolver.locate("alias.test").await.unwrap();
        assert_eq!(located, expected);
        let tlsa = resolver.tlsa("_25._tcp.mx.test").await.unwrap();
        let record = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![7; 32] };
        assert_eq!(tlsa, Found { records: vec![record], is_secure: true });
        assert_eq!(resolver.tlsa("_26._tcp.mx.test").await, Err(DnsError::NoRecords));
        // A zone that is known to be unsigned is as good as ever, and no better.
        let located = resolver.locate("mx.open").await.unwrap();
        assert_eq!((located.addresses.len(), located.is_secure), (1, false));
        for forged in ["bare.test", "forged.test", "hidden.test"] {
            let answer = resolver.locate(forged).await;
            let text = format!("{answer:?}");
            assert!(matches!(answer, Err(DnsError::NoAnswer(_))), "{forged}: {text}");
            assert!(text.contains("DNSSEC"), "{forged}: {text}");
        }
        // What senders say of themselves is not checked.
        assert!(!resolver.texts("test").await.unwrap().is_secure);
        served.abort();
    }
}

#[tokio::test]
async fn attack_a_zone_denies_what_another_one_has_signed() {
    let (resolver, served) = resolver(true, Dnssec::Require).await;
    let check = |what: &str, answer: Option<DnsError>| match answer {
        Some(DnsError::NoAnswer(why)) if why.contains("DNSSEC") => {}
        answer => panic!("{what}: {answer:?}"),
    };
    for name in ["_27._tcp.mx.test", "_28._tcp.mx.test"] {
        check(name, resolver.tlsa(name).await.err());
    }
    for name in ["nosuch.test", "moved.test"] {
        check(name, resolver.exchangers(name).await.err());
    }
    // Names that nobody is asked for are what they always were.
    assert_eq!(resolver.exchangers("x.invalid").await, Err(DnsError::NoDomain));
    assert!(!resolver.locate("localhost").await.unwrap().is_secure);
    // Whoever is not signed may say so, with or without a record that shows whose word it is.
    for name in ["_25._tcp.mx.open", "_26._tcp.mx.open"] {
        assert_eq!(resolver.tlsa(name).await, Err(DnsError::NoRecords), "{name}");
    }
    served.abort();
}

#[tokio::test]
async fn errors_do_not_turn_signatures_off_for_long() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let zone = Zone { signer: signer(), forger: signer(), is_signed: true };
    let dnssec = Dnssec::Auto(anchor(&zone.signer));
    let resolver = Resolver::with_dnssec(&[socket.local_addr().unwrap()], &dnssec).unwrap();
    // The first probe meets a server that will not answer.
    let refusing = tokio::spawn(async move {
        let mut packet = [0; 4096];
        loop {
            let (length, peer) = socket.recv_from(&mut packet).await.unwrap();
            let request = Message::from_vec(&packet[..length]).unwrap();
            let mut response = Message::response(request.metadata.id, request.metadata.op_code);
            response.add_query(request.queries[0].clone());
            response.metadata.response_code = ResponseCode::Refused;
            socket.send_to(&response.to_vec().unwrap(), peer).await.unwrap();
        }
    });
    assert_eq!(resolver.is_validating().await, Some(false));
    let rest = resolver.validating.as_ref().unwrap().rest().await.unwrap();
    assert!(rest <= Duration::from_secs(5), "{rest:?}");
    refusing.abort();
    // Whoever answers without signatures is left alone for longer.
    let (plain, served) = self::resolver(false, Dnssec::Auto).await;
    assert_eq!(plain.is_validating().await, Some(false));
    let rest = plain.validating.as_ref().unwrap().rest().await.unwrap();
    assert!(rest > Duration::from_secs(60), "{rest:?}");
    served.abort();
}

#[tokio::test]
async fn a_server_that_passes_no_signatures_on() {
    let (plain, served) = resolver(false, Dnssec::Auto).await;
    assert_eq!(plain.is_validating().await, Some(false));
    assert!(!plain.exchangers("test").await.unwrap().is_secure);
    assert!(!plain.locate("mx.test").await.unwrap().is_secure);
    assert!(!plain.tlsa("_25._tcp.mx.test").await.unwrap().is_secure);
    served.abort();
    let (strict, served) = resolver(false, Dnssec::Require).await;
    assert!(matches!(strict.exchangers("test").await, Err(DnsError::NoAnswer(_))));
    served.abort();
    let (off, served) = resolver(true, |_| Dnssec::Off).await;
    assert_eq!(off.is_validating().await, None);
    assert!(!off.exchangers("test").await.unwrap().is_secure);
    served.abort();
}

#[test]
fn trust_anchors() {
    assert_eq!(check_anchors(""), Ok(()));
    assert_eq!(check_anchors(&anchor(&signer())), Ok(()));
    for wrong in ["x", "; only a comment\n", "test. IN DNSKEY 257 3 15 AAAA\n"] {
        assert!(check_anchors(wrong).is_err(), "{wrong}");
    }
}
