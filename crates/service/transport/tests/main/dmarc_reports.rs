//! Aggregate reports (RFC 9990): who gets one, and what it says.

use crate::outgoing::{is_empty, outside};
use crate::signing::{activate, made};
use crate::tls_reports::{HOUR, all_rows, file, mail, next_day};
use crate::world::World;
use contract_directory::Actor;
use contract_transport::reports::dmarc::{
    DmarcMessage, DmarcMessages, Evaluated, PublishedPolicy, SignatureResult,
};
use contract_transport::reports::{ReportAdmin, ReportChange};
use contract_transport::signing::KeyAlgorithm;
use std::time::Duration;

async fn reporting(world: &World) {
    let change = ReportChange {
        organization: Some("Rialto".into()),
        contact: Some("reports@rialto.test".into()),
        dmarc: Some(true),
        ..ReportChange::default()
    };
    world.node.transport.change_reports(&Actor::Operator, &change).await.unwrap();
    let key = made(world, KeyAlgorithm::Ed25519, 1).await;
    activate(world, &key).await;
}

fn note(world: &World, domain: &str, source: &str, passes: bool, policy: &str) {
    let disposition = if passes { "pass" } else { policy };
    let evaluated = Evaluated {
        policy: PublishedPolicy {
            policy: policy.into(),
            subdomain_policy: policy.into(),
            strict_dkim: false,
            strict_spf: true,
            testing: false,
        },
        source: source.parse().unwrap(),
        disposition: disposition.into(),
        dkim: passes,
        spf: false,
        reason: None,
        header_from: domain.into(),
        envelope_from: Some(domain.into()),
        signatures: vec![SignatureResult {
            domain: domain.into(),
            selector: "s1".into(),
            result: "pass".into(),
        }],
        spf_domain: domain.into(),
        spf_result: "softfail".into(),
    };
    world.node.transport.note(DmarcMessage { domain: domain.into(), evaluated });
}

#[test]
fn a_day_of_a_domain_is_told_once() {
    outside(911, async |world, outside| {
        reporting(&world).await;
        let record = "v=DMARC1; p=reject; rua=mailto:agg@y.test!10m";
        world.simulation.dns.set_texts("_dmarc.y.test", &[record]);
        next_day(&world, HOUR).await;
        for _ in 0..5 {
            note(&world, "y.test", "192.0.2.1", true, "reject");
        }
        note(&world, "y.test", "192.0.2.2", false, "none");
        next_day(&world, HOUR * 5).await;
        is_empty(&world).await;
        let sent = mail(&world, &outside, "agg@y.test").await;
        assert_eq!(sent.len(), 1);
        let (taken, message) = &sent[0];
        assert!(!taken.ignores_policies && message.starts_with("DKIM-Signature:"), "{message}");
        for expected in [
            "\r\nSubject: Report Domain: y.test Submitter: rialto.test Report-ID:",
            "\r\nContent-Type: application/gzip\r\n",
            ".xml.gz\"",
        ] {
            assert!(message.contains(expected), "{expected}: {message}");
        }
        let xml = String::from_utf8(file(message)).unwrap();
        for expected in [
            "<org_name>Rialto</org_name>",
            "<email>reports@rialto.test</email>",
            "<domain>y.test</domain>\n    <discovery_method>treewalk</discovery_method>\n    \
             <p>reject</p>",
            "<source_ip>192.0.2.1</source_ip>\n      <count>5</count>",
            "<disposition>pass</disposition>\n        <dkim>pass</dkim>\n        <spf>fail</spf>",
            "<source_ip>192.0.2.2</source_ip>\n      <count>1</count>",
            "<scope>mfrom</scope>\n        <result>softfail</result>",
        ] {
            assert!(xml.contains(expected), "{expected}: {xml}");
        }
        next_day(&world, HOUR * 5).await;
        assert_eq!(mail(&world, &outside, "agg@y.test").await.len(), 1);
    });
}

/// Nobody's reports are sent to whoever has not agreed to have them (RFC 9990 §4).
#[test]
fn attack_reports_go_to_nobody_who_has_not_agreed() {
    outside(912, async |world, outside| {
        reporting(&world).await;
        let dns = &world.simulation.dns;
        let record = "v=DMARC1; p=none; rua=mailto:a@victim.test,mailto:b@agreed.test,\
                      mailto:c@sub.y.test,mailto:d@y.test!1k";
        dns.set_texts("_dmarc.y.test", &[record]);
        dns.set_texts("y.test._report._dmarc.agreed.test", &["v=DMARC1;"]);
        // Below a domain of its own everything is its own.
        dns.set_texts("_dmarc.x.z.test", &["v=DMARC1; p=none; rua=mailto:e@z.test"]);
        dns.set_texts("_dmarc.z.test", &["v=DMARC1; p=none"]);
        // Those below a public suffix have nothing to do with each other.
        dns.set_texts("_dmarc.one.psl.test", &["v=DMARC1; p=none; rua=mailto:f@two.psl.test"]);
        dns.set_texts("_dmarc.psl.test", &["v=DMARC1; p=none; psd=y"]);
        for number in 0..100 {
            note(&world, "y.test", &format!("192.0.2.{number}"), number % 2 == 0, "none");
        }
        note(&world, "x.z.test", "192.0.2.1", true, "none");
        note(&world, "one.psl.test", "192.0.2.1", true, "none");
        next_day(&world, HOUR * 6).await;
        is_empty(&world).await;
        let mut got: Vec<_> = outside.taken().into_iter().flat_map(|one| one.recipients).collect();
        got.sort();
        assert_eq!(got, ["b@agreed.test", "c@sub.y.test", "e@z.test"]);
    });
}

#[test]
fn nothing_is_counted_while_reports_are_off() {
    outside(913, async |world, _| {
        note(&world, "y.test", "192.0.2.1", true, "none");
        world.env.clock.sleep(Duration::from_secs(120)).await;
        assert!(all_rows(&world).await.is_empty());
    });
}
