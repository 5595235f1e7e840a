//! ARC: chains that `mail-auth` seals hold, and break where they should.

use crate::dkim::{ED25519, split};
use crate::second_opinion::{texts, with};
use base::Deadline;
use base::env::sim::SimDns;
use bytes::Bytes;
use mail_auth::arc::ArcSealer;

use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter;
use mail_auth::{AuthenticatedMessage, AuthenticationResults, MessageAuthenticator};
use service_sender_auth::arc::{ArcResult, Chain};
use service_sender_auth::header::Header;
use std::time::Duration;

const NAME: &str = "s1._domainkey.sealer.test";

const PLAIN: &str = "From: a@rialto.test\r\nTo: b@x.test\r\nSubject: hi\r\n\r\nhello\r\n";

/// A message that one more server has passed on.
async fn seal(message: &str) -> String {
    let record = ED25519.record().unwrap();
    let known = texts(&[(NAME, &record)]);
    let authenticator = MessageAuthenticator::new_cloudflare().unwrap();
    let parsed = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    let chain = authenticator.verify_arc(with(&parsed, &known)).await;
    let results = AuthenticationResults::new("mx.sealer.test");
    let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(&ED25519.to_pkcs8().unwrap()).unwrap();
    let set = ArcSealer::from_key(key)
        .domain("sealer.test")
        .selector("s1")
        .headers(["From", "To", "Subject"])
        .seal(&parsed, &results, &chain)
        .unwrap();
    set.to_header() + message
}

async fn check(message: &str, dns: &SimDns) -> ArcResult {
    let (header, _) = split(message);
    let header = Header::new(Bytes::from(header.to_owned()));
    match Chain::read(&header) {
        Ok(chain) => {
            chain.check(&header, dns, Deadline::after(Duration::from_secs(60)).instant()).await
        }
        Err(result) => result,
    }
}

#[tokio::test]
async fn chains_hold_as_long_as_nobody_meddles_with_them() {
    let dns = SimDns::default();
    dns.set_texts(NAME, &[&ED25519.record().unwrap()]);
    assert_eq!(check(PLAIN, &dns).await, ArcResult::None);
    let one = seal(PLAIN).await;
    assert_eq!(check(&one, &dns).await, ArcResult::Pass, "{one}");
    let two = seal(&one).await;
    assert_eq!(check(&two, &dns).await, ArcResult::Pass, "{two}");
    let header = Header::new(Bytes::from(two.clone()));
    assert_eq!(Chain::read(&header).unwrap().last(), (2, "sealer.test"));

    assert_eq!(check(&two.replace("Subject: hi", "Subject: ho"), &dns).await, ArcResult::Fail);
    let meddled = two.replacen("mx.sealer.test", "mx.saeler.test", 1);
    assert_eq!(check(&meddled, &dns).await, ArcResult::Fail);
    let without = |name: &str| {
        let at = two.find(name).unwrap();
        let end = at + two[at..].find("\r\nARC-").or(two[at..].find("\r\nFrom")).unwrap() + 2;
        format!("{}{}", &two[..at], &two[end..])
    };
    for name in ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"] {
        assert_eq!(check(&without(name), &dns).await, ArcResult::Fail, "{name}");
    }
    assert_eq!(check(&two.replace("cv=pass", "cv=fail"), &dns).await, ArcResult::Fail);
    assert_eq!(check(&two.replace("i=2", "i=3"), &dns).await, ArcResult::Fail);
    dns.break_host(NAME);
    assert_eq!(check(&two, &dns).await, ArcResult::TempError);
}

#[tokio::test]
async fn attack_18_a_chain_of_a_thousand_is_none() {
    let mut header = String::new();
    for i in 1..=1000 {
        header.push_str(&format!(
            "ARC-Seal: i={i}; a=rsa-sha256; cv=pass; d=a.test; s=x; b=AAAA\r\n\
             ARC-Message-Signature: i={i}; a=rsa-sha256; d=a.test; s=x; h=from; bh=AAAA; b=AAAA\r\n\
             ARC-Authentication-Results: i={i}; a.test; none\r\n"
        ));
    }
    let header = Header::new(Bytes::from(header));
    assert_eq!(Chain::read(&header).unwrap_err(), ArcResult::Fail);
}
