//! Reports on TLS (RFC 8460): who gets one, what it says, and that it goes once.

use crate::courier::{Outside, Taken};
use crate::outgoing::{is_empty, outside};
use crate::signing::{activate, made};
use crate::world::World;
use base::Kind;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use codec_report::tls::Report;
use contract_directory::{Actor, DirectoryAdmin};
use contract_store::{Isolation, KeyRange, KeyValue, RangeRead};
use contract_transport::Notify;
use contract_transport::reports::tls::{
    PolicyKind, TlsFailure, TlsFault, TlsPolicy, TlsSession, TlsSessions,
};
use contract_transport::reports::{ReportAdmin, ReportChange};
use contract_transport::signing::KeyAlgorithm;
use std::time::Duration;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
const ROWS: &[u8] = b"T/p";

/// Everything that reports need, and a domain that wants some.
async fn reporting(world: &World) {
    wanted(world).await;
    let key = made(world, KeyAlgorithm::Ed25519, 1).await;
    activate(world, &key).await;
}

async fn wanted(world: &World) {
    let dns = &world.simulation.dns;
    dns.set_texts("_smtp._tls.y.test", &["v=TLSRPTv1; rua=mailto:tls@y.test,mailto:tls@z.test"]);
    let change = ReportChange {
        organization: Some("Rialto".into()),
        contact: Some("reports@rialto.test".into()),
        tls: Some(true),
        ..ReportChange::default()
    };
    world.node.transport.change_reports(&Actor::Operator, &change).await.unwrap();
}

fn note(world: &World, domain: &str, fault: Option<TlsFault>) {
    let failure = fault.map(|fault| TlsFailure {
        fault,
        exchanger: format!("mx.{domain}"),
        receiving_ip: Some("192.0.2.1".parse().unwrap()),
        reason: None,
    });
    let policy = TlsPolicy {
        kind: PolicyKind::Sts,
        strings: vec!["version: STSv1".into(), "mode: testing".into()],
        exchangers: vec!["*.y.test".into()],
    };
    world.node.transport.note(TlsSession { domain: domain.into(), policy, failure });
}

/// Sleeps until so long after the next midnight.
pub(crate) async fn next_day(world: &World, after: Duration) {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let now = world.env.clock.now().unix_ms;
    let rest = u64::try_from(DAY_MS - now % DAY_MS).unwrap();
    world.later(Duration::from_millis(rest)).await;
    world.env.clock.sleep(after).await;
}

pub(crate) async fn all_rows(world: &World) -> Vec<KeyValue> {
    let tx = world.dynamic.begin();
    let read = RangeRead::all(&KeyRange::prefix(ROWS));
    tx.get_range(&read, Isolation::Snapshot).await.unwrap().rows
}

/// The messages to an address, whole.
pub(crate) async fn mail(world: &World, outside: &Outside, to: &str) -> Vec<(Taken, String)> {
    let mut found = Vec::new();
    for taken in outside.taken() {
        if taken.recipients.iter().any(|one| one == to) {
            let bytes = taken.content.read_all(&world.blobs, 1 << 20).await.unwrap();
            found.push((taken, String::from_utf8(bytes.to_vec()).unwrap()));
        }
    }
    found
}

/// The file that a message brings, unpacked.
pub(crate) fn file(message: &str) -> Vec<u8> {
    let (_, file) = message.split_once("attachment;").unwrap();
    let (_, file) = file.split_once("\r\n\r\n").unwrap();
    let (file, _) = file.split_once("\r\n--").unwrap();
    let packed = BASE64_STANDARD.decode(file.replace("\r\n", "")).unwrap();
    codec_report::unpack(&packed, 1 << 20).unwrap()
}

fn attached(message: &str) -> Report {
    Report::read(&file(message)).unwrap()
}

#[test]
fn a_day_is_told_once_and_signed() {
    outside(901, async |world, outside| {
        reporting(&world).await;
        next_day(&world, HOUR).await;
        for _ in 0..3 {
            note(&world, "y.test", None);
        }
        world.env.clock.sleep(HOUR).await;
        note(&world, "y.test", Some(TlsFault::CertificateExpired));
        note(&world, "y.test", None);
        note(&world, "silent.test", None);
        world.env.clock.sleep(HOUR).await;
        assert!(mail(&world, &outside, "tls@y.test").await.is_empty());
        next_day(&world, HOUR * 5).await;
        is_empty(&world).await;
        let sent = mail(&world, &outside, "tls@y.test").await;
        assert_eq!((sent.len(), mail(&world, &outside, "tls@z.test").await.len()), (1, 1));
        let (taken, message) = &sent[0];
        assert!(taken.ignores_policies);
        let never = Notify { success: false, failure: false, delay: false };
        assert_eq!(taken.notify, [never]);
        for expected in [
            "DKIM-Signature: v=1;",
            "\r\nTLS-Required: No\r\n",
            "\r\nTLS-Report-Domain: y.test\r\nTLS-Report-Submitter: rialto.test\r\n",
            "\r\nFrom: Rialto <reports@rialto.test>\r\nTo: tls@y.test, tls@z.test\r\n",
            "\r\nSubject: Report Domain: y.test Submitter: rialto.test Report-ID:",
            "multipart/report; report-type=\"tlsrpt\";",
            "\r\nContent-Type: application/tlsrpt+gzip\r\n",
        ] {
            assert!(message.contains(expected), "{expected}: {message}");
        }
        let report = attached(message);
        assert_eq!((report.organization_name.as_str(), report.policies.len()), ("Rialto", 1));
        let policy = &report.policies[0];
        let summary = policy.summary;
        let counts = (summary.total_successful_session_count, summary.total_failure_session_count);
        assert_eq!(counts, (4, 1));
        assert_eq!((policy.policy.policy_type.as_str(), policy.policy.mx_host.len()), ("sts", 1));
        let details = &policy.failure_details[0];
        assert_eq!(details.result_type, "certificate-expired");
        assert_eq!(details.receiving_ip, "192.0.2.1");
        let name = format!("rialto.test!y.test!{}!", report.date_range.begin_s().unwrap());
        assert!(message.contains(&name), "{name}: {message}");
        assert!(world.inbox("alice").await.is_empty());
        // Nothing has happened on the next day.
        next_day(&world, HOUR * 5).await;
        assert_eq!(mail(&world, &outside, "tls@y.test").await.len(), 1);
        assert!(mail(&world, &outside, "tls@silent.test").await.is_empty());
    });
}

/// A node dies after it has sent a report and before it has noted that.
#[test]
fn a_crash_sends_no_report_twice() {
    outside(902, async |mut world, outside| {
        reporting(&world).await;
        note(&world, "y.test", None);
        world.env.clock.sleep(Duration::from_secs(120)).await;
        let before = all_rows(&world).await;
        next_day(&world, HOUR * 5).await;
        is_empty(&world).await;
        assert_eq!(mail(&world, &outside, "tls@y.test").await.len(), 1);
        assert!(all_rows(&world).await.len() < before.len());
        let tx = world.dynamic.begin();
        before.iter().for_each(|row| tx.set(&row.key, &row.value));
        tx.commit().await.unwrap();
        world.restart().await;
        world.env.clock.sleep(HOUR).await;
        is_empty(&world).await;
        assert_eq!(mail(&world, &outside, "tls@y.test").await.len(), 1);
        assert!(all_rows(&world).await.len() < before.len(), "it is not tried for ever");
    });
}

#[test]
fn nothing_goes_unsigned_or_too_late() {
    outside(903, async |world, outside| {
        wanted(&world).await;
        note(&world, "y.test", None);
        next_day(&world, HOUR * 6).await;
        assert!(mail(&world, &outside, "tls@y.test").await.is_empty(), "nobody vouches for it");
        let key = made(&world, KeyAlgorithm::Ed25519, 1).await;
        activate(&world, &key).await;
        world.env.clock.sleep(HOUR).await;
        is_empty(&world).await;
        assert_eq!(mail(&world, &outside, "tls@y.test").await.len(), 1);
        // Nobody knows where the next one goes, for too long.
        note(&world, "y.test", None);
        world.env.clock.sleep(Duration::from_secs(120)).await;
        world.simulation.dns.break_host("_smtp._tls.y.test");
        next_day(&world, HOUR * 6).await;
        let rows = all_rows(&world).await.len();
        world.later(HOUR * 17).await;
        world.env.clock.sleep(HOUR).await;
        assert!(all_rows(&world).await.len() < rows, "it is given up");
        world.simulation.dns.mend_host("_smtp._tls.y.test");
        world.env.clock.sleep(HOUR).await;
        assert_eq!(mail(&world, &outside, "tls@y.test").await.len(), 1);
    });
}

#[test]
fn nothing_is_counted_for_nobody() {
    outside(904, async |world, _| {
        let dns = &world.simulation.dns;
        dns.set_texts("_smtp._tls.y.test", &["v=TLSRPTv1; rua=mailto:tls@y.test"]);
        note(&world, "y.test", None);
        world.env.clock.sleep(Duration::from_secs(120)).await;
        assert!(all_rows(&world).await.is_empty(), "reports are off");
        wanted(&world).await;
        let settings = all_rows(&world).await.len();
        note(&world, "x.test", None);
        world.env.clock.sleep(Duration::from_secs(120)).await;
        assert_eq!(all_rows(&world).await.len(), settings, "x.test wants none");
        note(&world, "y.test", None);
        world.env.clock.sleep(Duration::from_secs(120)).await;
        assert!(all_rows(&world).await.len() > settings);
        // What is never sent is forgotten.
        let off = ReportChange { tls: Some(false), ..ReportChange::default() };
        world.node.transport.change_reports(&Actor::Operator, &off).await.unwrap();
        world.later(HOUR * 24 * 5).await;
        world.env.clock.sleep(HOUR * 2).await;
        assert_eq!(all_rows(&world).await.len(), settings);
    });
}

#[test]
fn what_is_wanted_is_checked_and_audited() {
    outside(905, async |world, _| {
        let transport = &world.node.transport;
        assert!(!transport.report_settings().await.unwrap().tls);
        let on = ReportChange { tls: Some(true), ..ReportChange::default() };
        let refused = transport.change_reports(&Actor::Operator, &on).await.unwrap_err();
        assert_eq!(refused.kind, Kind::Invalid);
        wanted(&world).await;
        let settings = transport.report_settings().await.unwrap();
        assert_eq!((settings.contact.as_str(), settings.dmarc), ("reports@rialto.test", false));
        let audit = world.directory.audit(10).await.unwrap();
        let is_it = |one: &contract_directory::AuditRecord| {
            one.action == "domain.reporting.update" && one.parameters.contains("tls=true")
        };
        assert!(audit.iter().any(is_it), "{audit:?}");
    });
}
