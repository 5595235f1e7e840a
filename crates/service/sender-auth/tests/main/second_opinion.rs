//! What `mail-auth` says of our signatures, and we of its.

use crate::dkim::{ED25519, RFC_8463, RFC_8463_KEYS, holds, sign};
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::parse::TxtRecordParser;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::DkimSigner;
use mail_auth::{
    AuthenticatedMessage, DkimResult, MX, MessageAuthenticator, Parameters, RecordSet,
    ResolverCache, Txt,
};
use proptest::prelude::*;
use service_sender_auth::dkim::{PublicKey, Signature, SigningKey};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};

/// Answers that are known before anybody asks.
pub(crate) struct Known<K, V>(Mutex<HashMap<K, V>>);

impl<K: Hash + Eq, V: Clone> ResolverCache<K, V> for Known<K, V> {
    fn get<Q>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().unwrap().get(name).cloned()
    }

    fn remove<Q>(&self, name: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.0.lock().unwrap().remove(name)
    }

    fn insert(&self, key: K, value: V, _: std::time::Instant) {
        self.0.lock().unwrap().insert(key, value);
    }
}

pub(crate) type Texts = Known<Box<str>, Txt>;

pub(crate) type With<'x, P> = Parameters<
    'x,
    P,
    Texts,
    Known<Box<str>, RecordSet<MX>>,
    Known<Box<str>, RecordSet<Ipv4Addr>>,
    Known<Box<str>, RecordSet<Ipv6Addr>>,
    Known<IpAddr, RecordSet<Box<str>>>,
>;

pub(crate) fn texts(records: &[(&str, &str)]) -> Texts {
    let known = records.iter().map(|(name, record)| {
        let key = DomainKey::parse(record.as_bytes()).unwrap();
        (format!("{name}.").into(), Txt::DomainKey(Arc::new(key)))
    });
    Known(Mutex::new(known.collect()))
}

pub(crate) fn with<P>(params: P, texts: &Texts) -> With<'_, P> {
    Parameters {
        params,
        cache_txt: Some(texts),
        cache_mx: None,
        cache_ptr: None,
        cache_ipv4: None,
        cache_ipv6: None,
    }
}

/// Whether it takes each signature for good.
async fn verifies(message: &str, records: &[(&str, &str)]) -> Vec<bool> {
    let authenticator = MessageAuthenticator::new_cloudflare().unwrap();
    let message = AuthenticatedMessage::parse(message.as_bytes()).unwrap();
    let texts = texts(records);
    let results = authenticator.verify_dkim(with(&message, &texts)).await;
    results.iter().map(|output| *output.result() == DkimResult::Pass).collect()
}

const PLAIN: &str = "From: A <a@rialto.test>\r\nTo: b@x.test,\r\n\tc@y.test\r\nSubject:  hi  there\r\n\
                     Date: Fri, 11 Jul 2003 21:00:37 -0700\r\n\r\nhello  you \r\n\r\n\tbye\r\n\r\n\r\n";

#[tokio::test]
async fn our_signatures_are_good_to_others() {
    assert_eq!(verifies(RFC_8463, &RFC_8463_KEYS).await, [true, true]);
    let rsa = SigningKey::new_rsa().unwrap();
    for key in [&*ED25519, &rsa] {
        let signed = sign(PLAIN, key, "s1");
        let record = key.record().unwrap();
        let records = [("s1._domainkey.rialto.test", record.as_str())];
        assert_eq!(verifies(&signed, &records).await, [true], "{signed}");
        assert_eq!(verifies(&signed.replace("bye", "by"), &records).await, [false]);
    }
}

fn theirs(message: &str, (header, body): (bool, bool)) -> String {
    use mail_auth::common::headers::HeaderWriter;
    use mail_auth::dkim::Canonicalization::{Relaxed, Simple};
    let way = |relaxed| if relaxed { Relaxed } else { Simple };
    let key = Ed25519Key::from_pkcs8_maybe_unchecked_der(&ED25519.to_pkcs8().unwrap()).unwrap();
    let signature = DkimSigner::from_key(key)
        .domain("rialto.test")
        .selector("s1")
        .headers(["From", "To", "Subject", "Subject", "Date"])
        .header_canonicalization(way(header))
        .body_canonicalization(way(body))
        .sign(message.as_bytes())
        .unwrap();
    signature.to_header() + message
}

#[test]
fn signatures_of_others_are_good_to_us() {
    let record = ED25519.record().unwrap();
    let key = |_: &Signature| PublicKey::parse(record.as_bytes()).unwrap();
    for ways in [(true, true), (true, false), (false, true), (false, false)] {
        let signed = theirs(PLAIN, ways);
        assert_eq!(holds(&signed, key), [true], "{signed}");
        assert_eq!(holds(&signed.replace("bye", "by"), key), [false]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn bodies_of_all_kinds_have_the_same_hash_to_others_and_to_us(
        body in "([a-z ]{0,6}[ \t]{0,2}(\r\n){1,3}){0,8}",
        ways in any::<(bool, bool)>(),
    ) {
        let record = ED25519.record().unwrap();
        let key = |_: &Signature| PublicKey::parse(record.as_bytes()).unwrap();
        // Lines of nothing but blanks at the end are no part of the body (RFC 6376 §3.4.4); to
        // `mail-auth` 0.13 they are, so there are none here.
        let start = "From: a@rialto.test\r\nSubject: x \t y\r\n\r\n";
        let message = format!("{start}{body}.\r\n\r\n");
        prop_assert_eq!(holds(&theirs(&message, ways), key), vec![true]);
    }
}
