//! Signed mail: whatever is stored, what a host gets is what was signed.

use crate::envelope::hello;
use crate::world::{BYE, outgoing, run};
use base::Timestamp;
use base::env::Env;
use base::env::sim::SimDns;
use bytes::Bytes;
use contract_transport::authentication::{Client, SenderAuthentication};
use contract_transport::signing::{DomainKey, KeyAlgorithm, KeyState, Purpose, Signatures};
use service_sender_auth::{Authentication, Config, Dkim};
use std::sync::Arc;

const DATA: &str =
    "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\nC: DATA\nS: 354 go\n! data\nS: 250 ok";
const CHUNKED: &str = "C: MAIL *\nS: 250 ok\nC: RCPT *\nS: 250 ok\n! bdat\nS: 250 ok";

/// The message with a signature of each kind in front, as it would be queued.
fn signed(message: &str, dns: &SimDns) -> String {
    signatures(message, dns) + message
}

/// A signature of each kind.
pub(crate) fn signatures(message: &str, dns: &SimDns) -> String {
    let mut digesting = Dkim.begin(Purpose::Sign(Box::new(|domain| domain == "rialto.test")));
    digesting.push(&Bytes::from(message.to_owned()));
    let digest = digesting.finish().unwrap();
    let mut fields = String::new();
    for algorithm in KeyAlgorithm::ALL {
        let (private, record) = Dkim.generate(algorithm).unwrap();
        let name = DomainKey::name_of("rialto.test", algorithm.word());
        dns.set_texts(&name, &[&record]);
        let (state, created) = (KeyState::Active, Timestamp { unix_ms: 0 });
        let key = DomainKey { name, algorithm, private, record, state, created };
        let at = Timestamp { unix_ms: 1_000_000_000_000 };
        fields.push_str(&Dkim.read(&key).unwrap().sign(&digest, at).unwrap());
    }
    fields
}

/// What our own checks find in what the host has got.
pub(crate) async fn results(dns: &SimDns, message: &[u8]) -> String {
    let env = Env { dns: Arc::new(dns.clone()), ..Env::real() };
    let mut check = Authentication::new(Config::new("mx.far.test"), env).begin(Client {
        ip: "192.0.2.7".parse().unwrap(),
        helo: "out.rialto.test".to_owned(),
        sender: None,
        is_trusted: false,
    });
    let header = message.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    check.header(Bytes::copy_from_slice(&message[..header]));
    check.body(&message[header..]);
    String::from_utf8(check.finish().await.fields.to_vec()).unwrap()
}

#[test]
fn signatures_hold_at_the_host() {
    let header = "From: a@rialto.test\r\nTo: b@far.test\r\nSubject: x\r\n\r\n";
    for (offer, script) in [(&[][..], DATA), (&["CHUNKING"][..], CHUNKED)] {
        for body in ["hello\r\n", ".dot\r\n..\r\n.\r\n", "", "no end", "a\nb\rc \t\r\n\r\n\r\n"] {
            run(async |world| {
                let dns = SimDns::default();
                let text = signed(&format!("{header}{body}"), &dns);
                let script = format!("{}{script}{BYE}", hello(offer));
                let verdicts = world.send(&script, &outgoing(&text, 1)).await;
                assert!(verdicts[0].starts_with("relayed"), "{verdicts:?}");
                let got = std::mem::take(&mut *world.messages.lock());
                let found = results(&dns, &got[0]).await;
                assert_eq!(found.matches("dkim=pass").count(), 2, "{body:?}: {found}");
                assert!(found.contains("dmarc=none") || found.contains("dmarc=pass"), "{found}");
            });
        }
    }
}
