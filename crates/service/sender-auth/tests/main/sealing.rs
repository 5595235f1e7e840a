//! Seals of ours: they hold in our own eyes and in those of `mail-auth`, and chains go on, end and
//! are left alone as they should.

use crate::second_opinion::{texts, with};
use base::env::sim::SimDns;
use base::{Deadline, Timestamp};
use bytes::Bytes;
use contract_transport::signing::{
    DomainKey, KeyAlgorithm, KeyState, Purpose, ReadKey, Signatures,
};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};
use service_sender_auth::Dkim;
use service_sender_auth::arc::{ArcResult, Chain};
use service_sender_auth::header::Header;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

const MESSAGE: &str = "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=s; h=from; bh=AA; b=AA\r\n\
    From: A <a@x.test>\r\nTo: b@rialto.test\r\nSubject: hi\r\n\r\nhello  there \r\n\r\n";

/// A key of each algorithm, and the record that is published for it.
static KEYS: LazyLock<Vec<(DomainKey, Arc<dyn ReadKey>)>> = LazyLock::new(|| {
    let made = KeyAlgorithm::ALL.into_iter().map(|algorithm| {
        let (private, record) = Dkim.generate(algorithm).unwrap();
        let name = DomainKey::name_of("rialto.test", algorithm.word());
        let created = Timestamp { unix_ms: 0 };
        let state = KeyState::Active;
        let key = DomainKey { name, algorithm, private, record, state, created };
        let read = Dkim.read(&key).unwrap();
        (key, read)
    });
    made.collect()
});

fn dns() -> SimDns {
    let dns = SimDns::default();
    for (key, _) in KEYS.iter() {
        dns.set_texts(&key.name, &[&key.record]);
    }
    dns
}

/// The fields to put in front of a message in which that was found of its chain when it came.
fn set(message: &str, arc: &str, algorithm: KeyAlgorithm) -> String {
    let results = format!(" mx.rialto.test;\r\n\tspf=pass smtp.mailfrom=a@x.test{arc}\r\n");
    let (domain, results) = ("rialto.test".to_owned(), Bytes::from(results));
    let mut digesting = Dkim.begin(Purpose::Seal { domain, results });
    message.as_bytes().chunks(7).for_each(|piece| digesting.push(&Bytes::copy_from_slice(piece)));
    let digest = digesting.finish().unwrap();
    let (_, key) = KEYS.iter().find(|(key, _)| key.algorithm == algorithm).unwrap();
    key.sign(&digest, Timestamp { unix_ms: 1_795_392_000_000 }).unwrap()
}

fn sealed(message: &str, arc: &str, algorithm: KeyAlgorithm) -> String {
    set(message, arc, algorithm) + message
}

fn header(message: &str) -> Header {
    let end = message.find("\r\n\r\n").unwrap() + 2;
    Header::new(Bytes::from(message[..end].to_owned()))
}

async fn ours(message: &str) -> ArcResult {
    let header = header(message);
    match Chain::read(&header) {
        Ok(chain) => {
            let until = Deadline::after(Duration::from_secs(60)).instant();
            chain.check(&header, &dns(), until).await
        }
        Err(result) => result,
    }
}

/// What `mail-auth` makes of it, the body included.
async fn theirs(message: &str) -> DkimResult {
    let records: Vec<(&str, &str)> =
        KEYS.iter().map(|(key, _)| (key.name.as_str(), key.record.as_str())).collect();
    let known = texts(&records);
    let authenticator = MessageAuthenticator::new_cloudflare().unwrap();
    let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    authenticator.verify_arc(with(&parsed, &known)).await.result().clone()
}

const PASS: &str = ";\r\n\tarc=pass (i=1 by rialto.test)";

#[tokio::test]
async fn a_chain_grows_and_holds_for_everybody() {
    for algorithm in KeyAlgorithm::ALL {
        let one = sealed(MESSAGE, "", algorithm);
        assert_eq!(ours(&one).await, ArcResult::Pass, "{one}");
        assert_eq!(theirs(&one).await, DkimResult::Pass, "{one}");
        let two = sealed(&one, PASS, algorithm);
        assert_eq!(Chain::read(&header(&two)).unwrap().last(), (2, "rialto.test"));
        assert_eq!(ours(&two).await, ArcResult::Pass, "{two}");
        assert_eq!(theirs(&two).await, DkimResult::Pass, "{two}");
        assert!(two.contains("cv=pass;") && two.contains("cv=none;"), "{two}");
        let told = "ARC-Authentication-Results: i=2; mx.rialto.test;\r\n\tspf=pass";
        assert!(two.contains(told), "{two}");

        let meddled = two.replace("hello", "hallo");
        assert_ne!(theirs(&meddled).await, DkimResult::Pass, "{meddled}");
        let meddled = two.replacen("spf=pass", "spf=fail", 1);
        assert_eq!(ours(&meddled).await, ArcResult::Fail, "{meddled}");
        let without = two.replacen("DKIM-Signature: v=1", "X-Signature: v=1", 1);
        assert_eq!(ours(&without).await, ArcResult::Fail, "{without}");
    }
}

#[tokio::test]
async fn what_nobody_can_vouch_for_is_not_sealed() {
    let algorithm = KeyAlgorithm::Ed25519;
    let one = sealed(MESSAGE, "", algorithm);
    let check = |message: &str, arc: &str, expected: &str| {
        let set = set(message, &arc.replace('|', ";\r\n\t"), algorithm);
        let found = set.split("cv=").nth(1).and_then(|rest| rest.split(';').next());
        assert_eq!(found.unwrap_or_default(), expected, "{arc} {set}");
    };
    check(MESSAGE, "", "none");
    check(&one, "|arc=pass (i=1 by rialto.test)", "pass");
    check(&one, "|arc=temperror", "");
    // There was none when it came, or a good one; now it is another.
    check(&one, "", "");
    check(MESSAGE, "|arc=pass (i=1 by x.test)", "");
    // What is broken is ended, once.
    check(&one, "|arc=fail", "fail");
    let ended = sealed(&one, ";\r\n\tarc=fail", algorithm);
    check(&ended, "|arc=fail", "");
    assert_eq!(ours(&ended).await, ArcResult::Fail);
    let full = "ARC-Seal: i=50; cv=pass; a=rsa-sha256; d=x.test; s=s; b=AA\r\n".to_owned();
    check(&(full + MESSAGE), "|arc=fail", "");
}
