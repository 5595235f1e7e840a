//! Reports of others about our domains: what is kept, and what is not.

use crate::world::{World, run};
use bytes::Bytes;
use codec_mime::SentAt;
use codec_mime::build::Mailbox;
use codec_mime::data_report::DataReport;
use codec_report::dmarc::{Feedback, Metadata, Policy, Record};
use codec_report::tls::{FailureDetails, PolicyResults, Report, Summary};
use codec_report::{DateRange, gzip};
use contract_directory::Actor;
use contract_transport::Transport;
use contract_transport::reports::{ReportAdmin, ReportChange};
use std::time::Duration;

const PASSED: &str = "Authentication-Results: node.rialto.test;\r\n\tdkim=pass header.d=x.test\r\n";

async fn inbox(world: &World) {
    world.account("reports", None).await;
    let change =
        ReportChange { inbox: Some("Reports@rialto.test".into()), ..ReportChange::default() };
    world.node.transport.change_reports(&Actor::Operator, &change).await.unwrap();
}

fn now_s(world: &World) -> i64 {
    world.env.clock.now().unix_s()
}

fn aggregate(world: &World, id: &str, domain: &str) -> Vec<u8> {
    let record = |source: &str, count, dkim| Record {
        source: source.parse().unwrap(),
        count,
        disposition: "none".into(),
        dkim,
        spf: false,
        reasons: Vec::new(),
        header_from: domain.into(),
        envelope_from: None,
        signatures: Vec::new(),
        sender: None,
    };
    let metadata = Metadata {
        organization: "Receiver".into(),
        id: id.into(),
        begin_s: now_s(world),
        ..Metadata::default()
    };
    let policy = Policy { domain: domain.into(), ..Policy::default() };
    let records = vec![record("192.0.2.1", 5, true), record("192.0.2.2", 2, false)];
    Feedback { metadata, policy, records }.write()
}

fn tls(world: &World) -> Vec<u8> {
    let mut results = PolicyResults {
        summary: Summary { total_successful_session_count: 9, total_failure_session_count: 3 },
        failure_details: vec![FailureDetails {
            result_type: "certificate-expired".into(),
            receiving_mx_hostname: "mx.rialto.test".into(),
            failed_session_count: 2,
            ..FailureDetails::default()
        }],
        ..PolicyResults::default()
    };
    results.policy.policy_domain = "rialto.test".into();
    results.policy.policy_type = "sts".into();
    Report {
        organization_name: "Sender".into(),
        date_range: DateRange::new(now_s(world), now_s(world) + 60),
        report_id: "1".into(),
        policies: vec![results],
        ..Report::default()
    }
    .write()
}

/// Sends a file to the inbox, with these fields of ours in front.
async fn send(world: &World, (kind, name): (&str, &str), file: &[u8], front: &str) {
    let report = DataReport {
        from: Mailbox { name: None, email: "r@x.test" },
        to: &[],
        subject: "report",
        message_id: "<1@x.test>",
        at: SentAt { unix_seconds: 0, offset_minutes: 0 },
        fields: &[],
        boundary: "b",
        multipart: "mixed",
        text: "report",
        content_type: kind,
        file_name: name,
        data: file,
    };
    let message = Bytes::from(report.build());
    let mut submission = world.submission("r@x.test", &["reports"], "x").await;
    let mut upload = world.blobs.upload();
    upload.write(message.clone()).await.unwrap();
    let staged = upload.finish().await.unwrap();
    let front = Bytes::from(front.to_owned());
    submission.parsed = std::sync::Arc::new(codec_mime::parse(&[&front[..], &message].concat()));
    submission.content = contract_blob::Content::of(&staged).with_prefix(front);
    submission.staged = vec![staged];
    submission.envelope.source.ip = Some("192.0.2.9".parse().unwrap());
    world.node.transport.accept(submission).await.unwrap();
    world.settle().await;
}

/// What is known of a domain, a line each.
async fn known(world: &World, domain: &str) -> Vec<String> {
    let all = world.node.transport.received_reports(domain, 7).await.unwrap();
    let line = |one: &contract_transport::reports::ReceivedReport| {
        let result = if one.passed { "pass" } else { "fail" };
        format!(
            "{} {} {} {result} {} {}",
            one.kind, one.reporter, one.source, one.detail, one.count
        )
    };
    all.iter().map(line).collect()
}

const GZIP: (&str, &str) = ("application/gzip", "x.test!rialto.test!1!2.xml.gz");

#[test]
fn reports_are_summed_up_and_delivered() {
    run(921, async |world| {
        inbox(&world).await;
        send(&world, GZIP, &gzip(&aggregate(&world, "1", "rialto.test")), PASSED).await;
        let dmarc = [
            "dmarc x.test 192.0.2.1 pass dkim=pass spf=fail disposition=none 5",
            "dmarc x.test 192.0.2.2 fail dkim=fail spf=fail disposition=none 2",
        ];
        assert_eq!(known(&world, "Rialto.Test").await, dmarc);
        // The same report once more counts once; another one is added.
        send(&world, GZIP, &gzip(&aggregate(&world, "1", "rialto.test")), PASSED).await;
        assert_eq!(known(&world, "rialto.test").await, dmarc);
        let below = aggregate(&world, "2", "sub.rialto.test");
        send(&world, ("text/xml", "r.xml"), &below, PASSED).await;
        assert!(known(&world, "rialto.test").await[0].ends_with(" 10"));
        send(&world, ("application/tlsrpt+gzip", "x"), &gzip(&tls(&world)), PASSED).await;
        let tls = [
            "tls x.test  fail unspecified 1",
            "tls x.test  pass sts 9",
            "tls x.test mx.rialto.test fail certificate-expired 2",
        ];
        assert_eq!(known(&world, "rialto.test").await[2..], tls);
        assert_eq!(world.inbox("reports").await.len(), 4);
        // After a while nobody remembers.
        world.later(Duration::from_secs(100 * 24 * 3600)).await;
        world.env.clock.sleep(Duration::from_secs(2 * 3600)).await;
        assert!(known(&world, "rialto.test").await.is_empty());
        assert_eq!(world.rows(b"T/pr/").await + world.rows(b"T/pm/").await, 0);
    });
}

/// Anybody may write to the address; nothing of what they write may hurt.
#[test]
fn attack_38_reports_of_strangers() {
    run(922, async |world| {
        inbox(&world).await;
        let good = gzip(&aggregate(&world, "1", "rialto.test"));
        // Nobody vouches for the sender, whatever the message itself says of it.
        send(&world, GZIP, &good, "Received: from x\r\n").await;
        let failed = "Authentication-Results: node.rialto.test;\r\n\tdkim=fail; dmarc=none\r\n";
        send(&world, GZIP, &good, failed).await;
        let forged = format!("Received: from x\r\n{}", "X-Results: a; dkim=pass\r\n");
        send(&world, GZIP, &good, &forged).await;
        // Bombs, entities, rubbish, other people's domains, other times.
        send(&world, GZIP, &gzip(&vec![b' '; 64 << 20]), PASSED).await;
        let entities = "<!DOCTYPE f [<!ENTITY a \"b\">]><feedback>&a;</feedback>";
        send(&world, GZIP, &gzip(entities.as_bytes()), PASSED).await;
        send(&world, GZIP, b"\x1f\x8brubbish", PASSED).await;
        send(&world, GZIP, &gzip(&aggregate(&world, "1", "notrialto.test")), PASSED).await;
        let old = aggregate(&world, "1", "rialto.test");
        let old = String::from_utf8(old).unwrap();
        let old = old.replace(&format!("<begin>{}", now_s(&world)), "<begin>7");
        send(&world, GZIP, old.as_bytes(), PASSED).await;
        let never = old.replace("<begin>7", "<begin>9223372036854775807");
        send(&world, GZIP, never.as_bytes(), PASSED).await;
        assert!(known(&world, "rialto.test").await.is_empty());
        assert_eq!(world.rows(b"T/pr/").await, 0);
        assert_eq!(world.inbox("reports").await.len(), 9, "people may look at them");
        // And what comes then is read all the same.
        send(&world, GZIP, &good, PASSED).await;
        assert_eq!(known(&world, "rialto.test").await.len(), 2);
    });
}
