//! Reports on TLS (RFC 8460): counting sessions, and the report of a day.

use super::send::Draft;
use super::tally::{self, Tally};
use super::{DOMAINS_MAX, Kind, Reports, Subject, day};
use crate::context::Context;
use crate::service::TransportService;
use base::env::DnsError;
use base::{Result, wire};
use codec_report::records::{Destination, tls_destinations};
use codec_report::tls::{FailureDetails, MEDIA_TYPE, Policy, PolicyResults, Report, Summary};
use codec_report::{DateRange, gzip};
use contract_transport::reports::ReportSettings;
use contract_transport::reports::tls::{TlsFailure, TlsPolicy, TlsSession, TlsSessions};
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// For how long is remembered whether a domain wants reports.
const REMEMBER: Duration = Duration::from_secs(3 * 3600);

/// How many domains are asked for at once whether they want reports.
const QUESTIONS_MAX: usize = 16;

/// How long an answer of the DNS is waited for.
const DNS_TIME: Duration = Duration::from_secs(20);

/// What is counted: how often under which policy what happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Record {
    policy: TlsPolicy,
    failure: Option<TlsFailure>,
}

impl TlsSessions for TransportService {
    fn note(&self, session: TlsSession) {
        let Reports { gathered, .. } = &self.context.reports;
        if !self.context.reports.wanted().tls {
            return;
        }
        let TlsSession { domain, policy, failure } = session;
        let subject = Subject { kind: Kind::Tls, day: day(self.context.env.clock.now()), domain };
        match wire::encode(&Record { policy, failure }) {
            Ok(record) => gathered.add(subject, record),
            Err(error) => tracing::error!(%error, "a session is not counted"),
        }
    }
}

/// Where a domain wants its reports; `None` where it wants none.
///
/// # Errors
/// Where nobody answers.
async fn destinations(context: &Context, domain: &str) -> Result<Option<Vec<Destination>>> {
    let name = format!("_smtp._tls.{domain}");
    let asking = tokio::time::timeout(DNS_TIME, context.env.dns.texts(&name)).await;
    match asking {
        Ok(Ok(found)) => Ok(tls_destinations(&found.records)),
        Ok(Err(DnsError::NoDomain | DnsError::NoRecords)) => Ok(None),
        Ok(Err(DnsError::NoAnswer(why))) => Err(base::Error::unavailable(why)),
        Err(_) => Err(base::Error::unavailable("no name server answered in time")),
    }
}

/// Those of some domains that want reports. Where nobody answers, it is as if they did not.
pub(super) async fn wanting(context: &Context, domains: BTreeSet<&str>) -> BTreeSet<String> {
    let wants = |domain: &str| {
        let domain = domain.to_owned();
        async move {
            let now = context.env.clock.monotonic();
            let known = context.reports.wishes.get(&domain);
            let fresh = |since: Duration| now.saturating_sub(since) < REMEMBER;
            if let Some((_, wants)) = known.filter(|(since, _)| fresh(*since)) {
                return wants.then_some(domain);
            }
            let wants = match destinations(context, &domain).await {
                Ok(found) => found.is_some(),
                Err(error) => {
                    tracing::debug!(domain, %error, "whether it wants reports cannot be told");
                    return known.is_some_and(|(_, wants)| wants).then_some(domain);
                }
            };
            context.reports.wishes.put(domain.clone(), (now, wants), 1);
            wants.then_some(domain)
        }
    };
    let asked = domains.into_iter().take(DOMAINS_MAX).map(wants);
    stream::iter(asked).buffer_unordered(QUESTIONS_MAX).filter_map(async |one| one).collect().await
}

/// The report; `None` where nobody wants it any more or there is nothing to tell.
///
/// # Errors
/// The store's; where the DNS does not answer.
pub(super) async fn draft(
    context: &Context,
    settings: &ReportSettings,
    subject: &Subject,
) -> Result<Option<Draft>> {
    let Some(to) = destinations(context, &subject.domain).await? else { return Ok(None) };
    let Some(tally) = tally::read::<Record>(&context.store, subject).await? else {
        return Ok(None);
    };
    let others = tally.others;
    let report = report(settings, subject, tally);
    let packed = gzip(&report.write());
    let to =
        to.into_iter().filter(|one| one.bytes_max.is_none_or(|max| packed.len() as u64 <= max));
    Ok(Some(Draft {
        to: to.map(|one| one.address).collect(),
        text: text(&report, &subject.domain, others),
        multipart: "report; report-type=\"tlsrpt\"",
        content_type: MEDIA_TYPE,
        extension: "json.gz",
        file: packed,
        is_tls: true,
    }))
}

fn report(settings: &ReportSettings, subject: &Subject, tally: Tally<Record>) -> Report {
    let (begin_ms, end_ms) = subject.range_ms();
    let mut policies: Vec<(TlsPolicy, PolicyResults)> = Vec::new();
    for (Record { policy, failure }, count) in tally.records {
        let place = policies.iter().position(|(known, _)| *known == policy);
        let place = place.unwrap_or_else(|| {
            policies.push((policy.clone(), results(&policy, &subject.domain)));
            policies.len() - 1
        });
        let Some((_, results)) = policies.get_mut(place) else { continue };
        let Summary { total_successful_session_count, total_failure_session_count } =
            &mut results.summary;
        match failure {
            None => *total_successful_session_count += count,
            Some(failure) => {
                *total_failure_session_count += count;
                results.failure_details.push(details(failure, count));
            }
        }
    }
    Report {
        organization_name: settings.organization.clone(),
        date_range: DateRange::new(begin_ms / 1000, end_ms / 1000),
        contact_info: settings.contact.clone(),
        report_id: subject.id(),
        policies: policies.into_iter().map(|(_, results)| results).collect(),
    }
}

fn results(policy: &TlsPolicy, domain: &str) -> PolicyResults {
    let TlsPolicy { kind, strings, exchangers } = policy.clone();
    let policy = Policy {
        policy_type: kind.word().to_owned(),
        policy_string: strings,
        policy_domain: domain.to_owned(),
        mx_host: exchangers,
    };
    PolicyResults { policy, ..PolicyResults::default() }
}

fn details(failure: TlsFailure, count: u64) -> FailureDetails {
    let TlsFailure { fault, exchanger, receiving_ip, reason } = failure;
    FailureDetails {
        result_type: fault.word().to_owned(),
        // A node behind a translator does not know which address others see.
        sending_mta_ip: String::new(),
        receiving_mx_hostname: exchanger,
        receiving_ip: receiving_ip.map_or(String::new(), |ip| ip.to_string()),
        failed_session_count: count,
        failure_reason_code: reason.unwrap_or_default(),
    }
}

/// For people.
fn text(report: &Report, domain: &str, others: u64) -> String {
    let sum = |count: fn(&Summary) -> u64| -> u64 {
        report.policies.iter().map(|one| count(&one.summary)).sum()
    };
    let good = sum(|summary| summary.total_successful_session_count);
    let bad = sum(|summary| summary.total_failure_session_count);
    let Report { organization_name, contact_info, .. } = report;
    let mut text = format!(
        "This is a report on TLS for mail to {domain} (RFC 8460), by {organization_name}.\n\
         Sessions that were encrypted as the domain asks: {good}. Sessions that were not: {bad}.\n"
    );
    if others > 0 {
        text.push_str(&format!("Sessions that are not told apart: {others}.\n"));
    }
    text.push_str(&format!("The attached file is for programs. Questions go to {contact_info}.\n"));
    text
}
