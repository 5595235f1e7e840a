//! What domains that want reports are told of messages (RFC 9990).

use crate::checking::{PLAIN, client, config, elsewhere, ip, zone};
use crate::dkim::{ED25519, sign, split};
use base::env::Env;
use base::env::sim::SimDns;
use bytes::Bytes;
use contract_transport::authentication::SenderAuthentication;
use contract_transport::reports::dmarc::{DmarcMessage, DmarcMessages};
use service_sender_auth::{Action, Authentication, Config};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Told(Mutex<Vec<DmarcMessage>>);

impl DmarcMessages for Told {
    fn note(&self, message: DmarcMessage) {
        self.0.lock().unwrap().push(message);
    }
}

/// What is told of a message, if anything is.
async fn told(config: Config, dns: &SimDns, from: IpAddr, message: &str) -> Option<DmarcMessage> {
    let env = Env { dns: Arc::new(dns.clone()), ..Env::real() };
    let all = Arc::new(Told::default());
    let mut check =
        Authentication::telling(config, env, all.clone()).begin(client(from, "a@rialto.test"));
    let (header, body) = split(message);
    check.header(Bytes::from(header.to_owned()));
    check.body(body.as_bytes());
    check.finish().await;
    let mut all = all.0.lock().unwrap();
    assert!(all.len() <= 1);
    all.pop()
}

/// In a line: `rialto.test pass dkim+spf`.
fn line(told: Option<DmarcMessage>) -> String {
    let Some(DmarcMessage { domain, evaluated }) = told else { return "nothing".into() };
    let proofs = match (evaluated.dkim, evaluated.spf) {
        (true, true) => "dkim+spf",
        (true, false) => "dkim",
        (false, true) => "spf",
        (false, false) => "none",
    };
    let reason = evaluated.reason.map(|reason| format!(" {reason}")).unwrap_or_default();
    format!("{domain} {} {proofs}{reason}", evaluated.disposition)
}

fn with_policy(record: &str) -> SimDns {
    let dns = zone();
    dns.set_texts("_dmarc.rialto.test", &[record]);
    dns
}

#[tokio::test]
async fn a_message_is_told_with_all_that_was_found() {
    let dns = with_policy("v=DMARC1; p=reject; sp=quarantine; aspf=s; rua=mailto:r@rialto.test");
    let signed = sign(PLAIN, &ED25519, "s1");
    let message = told(config(), &dns, ip(), &signed).await.unwrap();
    assert_eq!(message.domain, "rialto.test");
    let evaluated = &message.evaluated;
    assert_eq!((evaluated.source, evaluated.header_from.as_str()), (ip(), "rialto.test"));
    assert_eq!(evaluated.envelope_from.as_deref(), Some("rialto.test"));
    let signature = &evaluated.signatures[0];
    assert_eq!(
        (signature.domain.as_str(), signature.selector.as_str(), signature.result.as_str()),
        ("rialto.test", "s1", "pass")
    );
    assert_eq!(
        (evaluated.spf_domain.as_str(), evaluated.spf_result.as_str()),
        ("rialto.test", "pass")
    );
    let policy = &evaluated.policy;
    assert_eq!(
        (policy.policy.as_str(), policy.subdomain_policy.as_str()),
        ("reject", "quarantine")
    );
    assert_eq!((policy.strict_spf, policy.strict_dkim, policy.testing), (true, false, false));
    assert_eq!(line(Some(message)), "rialto.test pass dkim+spf");
}

#[tokio::test]
async fn what_was_done_and_why() {
    let check = async |record: &str, action: Action, expected: &str| {
        let config = Config { dmarc: action, ..config() };
        let told = told(config, &with_policy(record), elsewhere(), PLAIN).await;
        assert_eq!(line(told), expected, "{record} {action:?}");
    };
    let reject = "v=DMARC1; p=reject; rua=mailto:r@rialto.test";
    check(reject, Action::Enforce, "rialto.test reject none").await;
    check(reject, Action::Quarantine, "rialto.test quarantine none local_policy").await;
    check(reject, Action::Report, "rialto.test none none local_policy").await;
    let testing = "v=DMARC1; p=reject; t=y; rua=mailto:r@rialto.test";
    check(testing, Action::Enforce, "rialto.test quarantine none policy_test_mode").await;
    let sampled = "v=DMARC1; p=quarantine; pct=0; rua=mailto:r@rialto.test";
    check(sampled, Action::Enforce, "rialto.test none none other").await;
    let none = "v=DMARC1; p=none; rua=mailto:r@rialto.test";
    check(none, Action::Enforce, "rialto.test none none").await;
    // Nobody asks.
    check("v=DMARC1; p=reject", Action::Enforce, "nothing").await;
    check("v=DMARC1; p=reject; rua=", Action::Enforce, "nothing").await;
}

#[tokio::test]
async fn the_domain_that_has_the_policy_is_told() {
    let dns = with_policy("v=DMARC1; p=none; rua=mailto:r@rialto.test");
    let below = PLAIN.replace("a@rialto.test", "a@sub.rialto.test");
    let message = told(config(), &dns, elsewhere(), &below).await.unwrap();
    assert_eq!(
        (message.domain.as_str(), message.evaluated.header_from.as_str()),
        ("rialto.test", "sub.rialto.test")
    );
    // Whose mail it is must be clear.
    let several = PLAIN.replace("\r\nTo:", "\r\nFrom: b@rialto.test\r\nTo:");
    assert_eq!(line(told(config(), &dns, elsewhere(), &several).await), "nothing");
    dns.break_host("_dmarc.rialto.test");
    assert_eq!(line(told(config(), &dns, elsewhere(), PLAIN).await), "nothing");
}
