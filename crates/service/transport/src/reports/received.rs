//! Reports about our own domains that others send: read when they come to the address that is set
//! for them, and kept as sums.
//!
//! Anybody may write there. So a report counts only where its sender is who it says (DKIM or DMARC,
//! RFC 8460 §3, RFC 9990 §5), each counts once, what is unpacked and read has a bound, and what is
//! kept of a day has one. The mail itself is delivered as any other.

use super::{Kind, Subject, day, tally};
use crate::context::Context;
use crate::service::TransportService;
use base::{Error, Result, Timestamp, wire};
use codec_mime::decode::{TransferEncoding, whole};
use codec_mime::{ParsedMessage, Part, PartKind};
use codec_report::dmarc::Feedback;
use codec_report::tls::Report;
use codec_report::unpack;
use contract_transport::reports::{RECEIVED_DAYS_MAX, RECEIVED_MAX, ReceivedReport};
use contract_transport::{QueueEntry, authentication};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest message that is looked at, and what its file may unpack to, in bytes.
const MESSAGE_BYTES_MAX: u64 = 12 << 20;
const FILE_BYTES_MAX: usize = 4 << 20;

/// How many files of a message are looked at.
const FILES_MAX: usize = 3;

/// The longest name, in characters.
const NAME_MAX: usize = 100;

/// The most rows that are taken from one message.
const ROWS_MAX: usize = 500;

/// How long delivery waits for a message's reports to be kept; what takes longer is lost.
const TAKE_TIME: Duration = Duration::from_secs(10);

/// What is counted of reports.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
struct Row {
    reporter: String,
    source: String,
    passed: bool,
    detail: String,
}

/// What a file says of one domain and day.
struct Found {
    kind: Kind,
    domain: String,
    begin_s: i64,
    /// Which report it is, among all of its reporter's.
    id: String,
    rows: Vec<(Row, u64)>,
}

/// Whether a message is for the address where reports come.
pub(crate) fn is_for_us(context: &Context, entry: &QueueEntry) -> bool {
    let Some(inbox) = context.reports.wanted().inbox() else { return false };
    let inbox = inbox.folded();
    entry.envelope.recipients.iter().any(|recipient| recipient.address.folded() == inbox)
        && entry.content.size_bytes() <= MESSAGE_BYTES_MAX
}

/// Keeps what a message says that came to the address for reports. What cannot be read is left: the
/// message is delivered all the same.
pub(crate) async fn take(context: &Context, entry: &QueueEntry, parsed: &ParsedMessage) {
    let told = |result: &'static str| {
        metrics::counter!("rialto_reports_received_total", "result" => result).increment(1);
        tracing::info!(queue = %entry.queue, result, "a message to the address for reports");
    };
    let Some(reporter) = vouched_for(context, entry) else { return told("unauthenticated") };
    let taking = take_files(context, entry, parsed, &reporter);
    told(tokio::time::timeout(TAKE_TIME, taking).await.unwrap_or("late"));
}

async fn take_files(
    context: &Context,
    entry: &QueueEntry,
    parsed: &ParsedMessage,
    reporter: &str,
) -> &'static str {
    let mut files = Vec::new();
    files_of(&parsed.root, &mut files);
    let (mut result, mut room) = ("no report", ROWS_MAX);
    for part in files {
        match take_file(context, entry, part, reporter, &mut room).await {
            Ok(0) => {}
            Ok(_) => result = "read",
            Err(error) => {
                tracing::info!(queue = %entry.queue, %error, "a report cannot be read");
                result = "failed";
            }
        }
    }
    result
}

/// The domain that we have found out has sent it; what a report calls itself says nothing.
fn vouched_for(context: &Context, entry: &QueueEntry) -> Option<String> {
    if entry.envelope.source.ip.is_none() && entry.envelope.authenticated.is_none() {
        return Some(context.config.host_name.clone());
    }
    let results = authentication::results(&entry.content).unwrap_or_default();
    verified(&String::from_utf8_lossy(&results))
}

/// The domain that passes by our own results: the author's by DMARC, or else that of a signature.
fn verified(results: &str) -> Option<String> {
    let passed = |method: &str, property: &str| {
        // We begin a line with each result; values of strangers are quoted, and have no lines.
        results.split(";\r\n\t").find_map(|one| {
            let mut words = one.split_whitespace();
            let domain = (words.next() == Some(method))
                .then(|| words.find_map(|word| word.strip_prefix(property)))??;
            let domain = name(domain.trim_end_matches('.')).to_ascii_lowercase();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            Some(domain).filter(|domain| !domain.is_empty() && domain.chars().all(is_plain))
        })
    };
    passed("dmarc=pass", "header.from=").or_else(|| passed("dkim=pass", "header.d="))
}

/// The parts that may be reports, by their types and names.
fn files_of<'p>(part: &'p Part, found: &mut Vec<&'p Part>) {
    match &part.kind {
        PartKind::Multipart(parts) => parts.iter().for_each(|part| files_of(part, found)),
        PartKind::Leaf if found.len() < FILES_MAX && may_be_report(part) => found.push(part),
        PartKind::Leaf | PartKind::Message { .. } => {}
    }
}

fn may_be_report(part: &Part) -> bool {
    const TYPES: [&str; 10] = [
        "application/tlsrpt+gzip",
        "application/tlsrpt+json",
        "application/json",
        "application/gzip",
        "application/x-gzip",
        "application/zip",
        "application/x-zip",
        "application/x-zip-compressed",
        "application/xml",
        "text/xml",
    ];
    const ENDS: [&str; 5] = [".gz", ".zip", ".xml", ".json", ".gzip"];
    let kind = part.content_type.media_type().to_ascii_lowercase();
    let name = part.filename().unwrap_or_default().to_ascii_lowercase();
    TYPES.contains(&kind.as_str()) || ENDS.iter().any(|end| name.ends_with(end))
}

/// Reads a file and keeps what it says of our domains; gives how many rows that is.
async fn take_file(
    context: &Context,
    entry: &QueueEntry,
    part: &Part,
    reporter: &str,
    room: &mut usize,
) -> Result<usize> {
    let turn = context.reports.reading.clone().acquire_owned().await.map_err(Error::internal)?;
    let content = entry.content.slice(part.body.clone());
    let bytes = content.read_all(&context.blobs, MESSAGE_BYTES_MAX).await?;
    let encoding = TransferEncoding::from_header(part.encoding.as_deref());
    let reporter = reporter.to_owned();
    // Unpacking takes its time; others are served meanwhile. Whoever stops waiting does not end it.
    let reading = tokio::task::spawn_blocking(move || {
        let found = read(&whole(encoding, &bytes), &reporter);
        drop(turn);
        found
    });
    let all = reading.await.map_err(Error::internal)?.map_err(Error::invalid)?;
    let ours = context.directory.domains().await?;
    let names = ours.iter().filter_map(|one| idna::domain_to_ascii(&one.name).ok());
    let names: Vec<String> = names.collect();
    let mut count = 0;
    for mut found in all {
        let is_it = |name: &str| {
            let above = found.domain.strip_suffix(name);
            above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
        };
        let Some(domain) = names.iter().filter(|name| is_it(name)).max_by_key(|name| name.len())
        else {
            continue;
        };
        found.rows.truncate(*room);
        *room -= found.rows.len();
        count += keep(context, Found { domain: domain.clone(), ..found }).await?;
    }
    Ok(count)
}

async fn keep(context: &Context, found: Found) -> Result<usize> {
    let Found { kind, domain, begin_s, id, rows } = found;
    let begin_ms = begin_s.checked_mul(1000);
    let unix_ms = begin_ms.ok_or_else(|| Error::invalid("the report is about no time"))?;
    let (today, of) = (day(context.env.clock.now()), day(Timestamp { unix_ms }));
    if of > today + 1 || of + RECEIVED_DAYS_MAX < today {
        return Err(Error::invalid("the report is about another time"));
    }
    let subject = Subject { kind, day: of, domain };
    let count = rows.len();
    let mut counted = Vec::with_capacity(count);
    for (row, messages) in rows {
        counted.push((wire::encode(&row)?, messages));
    }
    tally::add_once(&context.store, &subject, counted, &id).await?;
    Ok(count)
}

/// Reads a file, whatever it is packed in.
fn read(file: &[u8], reporter: &str) -> Result<Vec<Found>, String> {
    let bytes = unpack(file, FILE_BYTES_MAX).map_err(|why| format!("{why:?}"))?;
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'{') => Ok(of_tls(Report::read(&bytes)?, reporter)),
        _ => Feedback::read(&bytes).map(|feedback| vec![of_dmarc(feedback, reporter)]),
    }
}

fn of_dmarc(feedback: Feedback, reporter: &str) -> Found {
    let Feedback { metadata, policy, records } = feedback;
    let word = |passes: bool| if passes { "pass" } else { "fail" };
    let row = |record: &codec_report::dmarc::Record| {
        let (dkim, spf) = (word(record.dkim), word(record.spf));
        let disposition = name(&record.disposition);
        Row {
            reporter: reporter.to_owned(),
            source: record.source.to_canonical().to_string(),
            passed: record.dkim || record.spf,
            detail: format!("dkim={dkim} spf={spf} disposition={disposition}"),
        }
    };
    Found {
        kind: Kind::DmarcReceived,
        domain: policy.domain.trim_end_matches('.').to_ascii_lowercase(),
        begin_s: metadata.begin_s,
        id: format!("{reporter} {}", metadata.id),
        rows: records.iter().take(ROWS_MAX).map(|record| (row(record), record.count)).collect(),
    }
}

fn of_tls(report: Report, reporter: &str) -> Vec<Found> {
    let begin_s = report.date_range.begin_s().unwrap_or_default();
    let all = report.policies.into_iter().enumerate();
    all.map(|(place, results)| {
        let row = |source: &str, passed, detail: &str| Row {
            reporter: reporter.to_owned(),
            source: name(source),
            passed,
            detail: name(detail),
        };
        let good = results.summary.total_successful_session_count;
        let mut rest = results.summary.total_failure_session_count;
        let mut rows = vec![(row("", true, &results.policy.policy_type), good)];
        for failure in results.failure_details.iter().take(ROWS_MAX) {
            let count = failure.failed_session_count;
            rest = rest.saturating_sub(count);
            rows.push((row(&failure.receiving_mx_hostname, false, &failure.result_type), count));
        }
        rows.push((row("", false, "unspecified"), rest));
        rows.retain(|(_, count)| *count > 0);
        Found {
            kind: Kind::TlsReceived,
            domain: results.policy.policy_domain.trim_end_matches('.').to_ascii_lowercase(),
            begin_s,
            id: format!("{reporter} {} {place}", report.report_id),
            rows,
        }
    })
    .collect()
}

/// A stranger's word, as it is kept.
fn name(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(NAME_MAX).collect()
}

/// What was reported of a domain in the last days, the latest first.
///
/// # Errors
/// The store's.
pub(super) async fn list(
    service: &TransportService,
    domain: &str,
    days: u32,
) -> Result<Vec<ReceivedReport>> {
    let context = &service.context;
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase());
    let today = day(context.env.clock.now());
    let mut all = Vec::new();
    for of in (today.saturating_sub(days.min(RECEIVED_DAYS_MAX))..=today + 1).rev() {
        for kind in [Kind::DmarcReceived, Kind::TlsReceived] {
            let subject = Subject { kind, day: of, domain: domain.clone() };
            let Some(tally) = tally::read::<Row>(&context.store, &subject).await? else {
                continue;
            };
            let (begin_ms, _) = subject.range_ms();
            let report = |row: Row, count| ReceivedReport {
                day: Timestamp { unix_ms: begin_ms },
                kind: kind.word().to_owned(),
                reporter: row.reporter,
                source: row.source,
                passed: row.passed,
                detail: row.detail,
                count,
            };
            let mut records = tally.records;
            records.sort();
            all.extend(records.into_iter().map(|(row, count)| report(row, count)));
            if all.len() >= RECEIVED_MAX {
                all.truncate(RECEIVED_MAX);
                return Ok(all);
            }
            if tally.others > 0 {
                let row = Row {
                    reporter: String::new(),
                    source: String::new(),
                    passed: false,
                    detail: "not told apart".to_owned(),
                };
                all.push(report(row, tally.others));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::verified;

    #[test]
    fn the_reporter_is_who_was_verified() {
        let check = |results: &str, expected: Option<&str>| {
            let found = verified(&format!(" mx;\r\n\t{results}\r\n"));
            assert_eq!(found.as_deref(), expected, "{results}");
        };
        check("dkim=pass\r\n\theader.d=X.test\r\n\theader.s=s", Some("x.test"));
        let both = "dkim=pass header.d=x.test;\r\n\tdmarc=pass (p=none) header.from=y.test";
        check(both, Some("y.test"));
        check("dkim=fail header.d=x.test;\r\n\tdmarc=none header.from=x.test", None);
        check("dkim=pass", None);
        check("spf=pass smtp.mailfrom=\"a; dkim=pass header.d=y.test\"", None);
        check("dkim=pass header.d=\"x header.d=y.test\"", None);
    }
}
