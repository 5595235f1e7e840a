//! Tokens, certificates and what they say.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use super::*;
use base::env::Env;
use base::{Kind, NodeId, Timestamp};
use rcgen::{CertificateParams, KeyPair, SanType};
use std::time::Duration;

const NOW: Timestamp = Timestamp { unix_ms: 1_907_712_000_000 };
const DAY_MS: i64 = 24 * 3600 * 1000;

fn node(id: u64) -> NodeIdentity {
    NodeIdentity { cluster_id: 0xc1, node: NodeId(id) }
}

#[test]
fn an_identity_has_one_spelling() {
    let uri = "rialto://000000000000000000000000000000c1/node/42";
    assert_eq!(node(42).uri(), uri);
    assert_eq!(NodeIdentity::parse_uri(uri), Some(node(42)));
    for other in [
        "rialto://c1/node/42",
        "rialto://000000000000000000000000000000C1/node/42",
        "rialto://000000000000000000000000000000c1/node/042",
        "rialto://000000000000000000000000000000c1/node/+42",
        "rialto://000000000000000000000000000000c1/node/",
        "rialto://000000000000000000000000000000c1/node/42/",
        "http://000000000000000000000000000000c1/node/42",
        "",
    ] {
        assert_eq!(NodeIdentity::parse_uri(other), None, "{other}");
    }
}

#[test]
fn a_certificate_says_who_and_until_when() {
    let authority = Authority::found(0xc1, NOW).unwrap();
    let key = NodeKey::generate().unwrap();
    let issued = authority.issue(&key.request().unwrap(), NodeId(7), NOW).unwrap();
    let facts = CertificateFacts::of(&issued).unwrap();
    assert_eq!(facts.identity, node(7));
    assert!(facts.is_good_at(NOW) && facts.is_good_at(NOW.plus_ms(-DAY_MS)));
    assert!(!facts.is_good_at(NOW.plus_ms(-3 * DAY_MS)));
    assert!(!facts.is_good_at(NOW.plus_ms(91 * DAY_MS)));
    assert_eq!(facts.time_left(NOW), CERTIFICATE_LIFE);
    assert_eq!(facts.time_left(NOW.plus_ms(200 * DAY_MS)), Duration::ZERO);
    for (days, due) in [(0, false), (55, false), (65, true), (95, true)] {
        assert_eq!(facts.needs_rotation(NOW.plus_ms(days * DAY_MS)), due, "day {days}");
    }
}

#[test]
fn an_authority_survives_being_stored() {
    let authority = Authority::found(0xc1, NOW).unwrap();
    let (certificate, key) = (authority.certificate().to_vec(), authority.key_der().to_vec());
    let again = Authority::from_der(0xc1, certificate.clone(), &key).unwrap();
    let node_key = NodeKey::from_der(NodeKey::generate().unwrap().to_der()).unwrap();
    let issued = again.issue(&node_key.request().unwrap(), NodeId(1), NOW).unwrap();
    let env = Env::simulated(1);
    let now = env.clock.now();
    let current = again.issue(&node_key.request().unwrap(), NodeId(1), now).unwrap();
    let roots = Roots::of(&authority);
    assert_eq!(roots.certificates[..], *std::slice::from_ref(&certificate));
    assert!(CertificateFacts::of(&issued).is_ok());
    Credentials::new(&node_key, &current, &roots, env.clock.clone()).unwrap();
    // A key that does not fit, roots that do not know it, bytes that are nothing.
    let kind = |made: base::Result<std::sync::Arc<Credentials>>| made.err().unwrap().kind;
    let other = NodeKey::generate().unwrap();
    let clock = || env.clock.clone();
    assert_eq!(kind(Credentials::new(&other, &current, &roots, clock())), Kind::Invalid);
    let strangers = Roots::of(&Authority::found(0xc1, now).unwrap());
    let refused = kind(Credentials::new(&node_key, &current, &strangers, clock()));
    assert_eq!(refused, Kind::BadCredentials);
    let broken = Roots { certificates: vec![vec![1, 2, 3]] };
    assert_eq!(kind(Credentials::new(&node_key, &current, &broken, clock())), Kind::Corrupt);
    assert!(Authority::from_der(1, certificate, b"no key").is_err());
    assert!(NodeKey::from_der(b"no key").is_err());
}

#[test]
fn attack_a_request_decides_nothing_about_its_certificate() {
    let authority = Authority::found(0xc1, NOW).unwrap();
    // It asks to be another node, an authority, and good for ever.
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(node(1).uri().try_into().unwrap())];
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let request = params.serialize_request(&key).unwrap().der().to_vec();
    let issued = authority.issue(&request, NodeId(7), NOW).unwrap();
    assert_eq!(CertificateFacts::of(&issued).unwrap().identity, node(7));
    let (_, parsed) = x509_parser::parse_x509_certificate(&issued).unwrap();
    assert!(!parsed.is_ca());
    // A request that somebody else signed is none.
    let mut forged = request;
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let refused = authority.issue(&forged, NodeId(7), NOW).unwrap_err();
    assert_eq!(refused.kind, Kind::Invalid);
    assert!(authority.issue(b"", NodeId(7), NOW).is_err());
}

#[test]
fn attack_certificates_with_other_names_are_no_nodes() {
    let check = |names: Vec<SanType>, good: bool| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names;
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let found = CertificateFacts::of(made.der());
        assert_eq!(found.is_ok(), good, "{:?}", params.subject_alt_names);
    };
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let dns = || SanType::DnsName("node.example".try_into().unwrap());
    check(vec![uri(&node(1).uri())], true);
    check(vec![], false);
    check(vec![dns()], false);
    check(vec![uri("https://node.example/")], false);
    check(vec![uri(&node(1).uri()), dns()], false);
    check(vec![uri(&node(1).uri()), uri(&node(2).uri())], false);
    assert!(CertificateFacts::of(b"garbage").is_err());
}

#[test]
fn attack_a_token_is_used_once_and_in_time() {
    let env = Env::simulated(5);
    let (token, fresh) = JoinToken::draw(&*env.random, b"authority", NOW, Duration::from_secs(60));
    assert_eq!(TokenRow::decode(&fresh.encode().unwrap()).unwrap(), fresh);
    let hash = token.secret_hash();
    assert!(!fresh.encode().unwrap().windows(32).any(|found| found == token.secret));
    let (mine, theirs) = ([1; 32], [2; 32]);
    let refused = |row: &mut TokenRow, hash, key, now| {
        let before = row.clone();
        let error = row.claim(&hash, key, now).unwrap_err();
        assert_eq!(error.kind, Kind::BadCredentials);
        assert_eq!(*row, before, "a refusal changes nothing");
    };
    let mut row = fresh.clone();
    refused(&mut row, [9; 32], mine, NOW);
    refused(&mut row, hash, mine, NOW.plus_ms(60_001));
    row.claim(&hash, mine, NOW.plus_ms(59_999)).unwrap();
    refused(&mut row, hash, theirs, NOW);
    refused(&mut row, [9; 32], mine, NOW);
    // Who has claimed it may ask again, later too.
    row.claim(&hash, mine, NOW.plus_ms(600_000)).unwrap();
    let long = JoinToken::draw(&*env.random, b"authority", NOW, Duration::MAX).1;
    assert_eq!(long.expires_at, NOW.plus_ms(7 * DAY_MS));
}

#[test]
fn a_token_is_carried_as_text() {
    let env = Env::simulated(5);
    let (token, _) = JoinToken::draw(&*env.random, b"authority", NOW, Duration::from_secs(60));
    let text = token.to_text();
    assert_eq!(JoinToken::parse(&format!(" {text}\n")).unwrap(), token);
    assert!(!format!("{token:?}").contains(&text[21..40]), "secrets are not logged");
    for wrong in
        ["", "rj1", &text[..text.len() - 1], &format!("{text}.x"), &text.replace("rj1", "rj2")]
    {
        assert_eq!(JoinToken::parse(wrong).unwrap_err().kind, Kind::Invalid, "{wrong}");
    }
}
