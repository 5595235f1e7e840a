//! Aggregate reports on mail that bears a domain's name (DMARC, RFC 9990): counting messages, and the
//! report of a day.
//!
//! A domain may send its reports anywhere only if whoever is there agrees (RFC 9990 §4): else anybody
//! could have our reports flood a stranger.

use super::send::Draft;
use super::tally::{self, Tally};
use super::{Kind, Reports, Subject, day};
use crate::context::Context;
use crate::service::TransportService;
use base::env::DnsError;
use base::{Error, Result, wire};
use codec_report::dmarc::{Feedback, MEDIA_TYPE, Metadata, Policy, Record, Sender, Signature};
use codec_report::gzip;
use codec_report::records::{Destination, dmarc_destinations, is_dmarc, is_of_suffix};
use contract_transport::reports::ReportSettings;
use contract_transport::reports::dmarc::{
    DmarcMessage, DmarcMessages, Evaluated, PublishedPolicy, SignatureResult,
};
use std::time::Duration;

/// How long an answer of the DNS is waited for.
const DNS_TIME: Duration = Duration::from_secs(20);

/// Questions of one walk up the names (RFC 9989 §4.10).
const WALK_MAX: usize = 8;

impl DmarcMessages for TransportService {
    fn note(&self, message: DmarcMessage) {
        let Reports { gathered, .. } = &self.context.reports;
        if !self.context.reports.wanted().dmarc {
            return;
        }
        let DmarcMessage { domain, evaluated } = message;
        let subject = Subject { kind: Kind::Dmarc, day: day(self.context.env.clock.now()), domain };
        match wire::encode(&evaluated) {
            Ok(record) => gathered.add(subject, record),
            Err(error) => tracing::error!(%error, "a message is not counted"),
        }
    }
}

/// The texts of a name; none where there are none.
///
/// # Errors
/// Where nobody answers.
async fn texts(context: &Context, name: &str) -> Result<Vec<Vec<u8>>> {
    let asking = tokio::time::timeout(DNS_TIME, context.env.dns.texts(name)).await;
    match asking {
        Ok(Ok(found)) => Ok(found.records),
        Ok(Err(DnsError::NoDomain | DnsError::NoRecords)) => Ok(Vec::new()),
        Ok(Err(DnsError::NoAnswer(why))) => Err(Error::unavailable(why)),
        Err(_) => Err(Error::unavailable("no name server answered in time")),
    }
}

/// Where a domain may have its reports sent.
///
/// # Errors
/// Where nobody answers.
async fn destinations(context: &Context, domain: &str) -> Result<Vec<Destination>> {
    let records = texts(context, &format!("_dmarc.{domain}")).await?;
    let mut agreed = Vec::new();
    for one in dmarc_destinations(&records).unwrap_or_default() {
        if agrees(context, domain, &one.domain()).await? {
            agreed.push(one);
        } else {
            tracing::info!(domain, to = one.address, "takes no reports for that domain");
        }
    }
    Ok(agreed)
}

/// Whether whoever is at `there` takes reports for a domain: it belongs to it, or says so.
async fn agrees(context: &Context, domain: &str, there: &str) -> Result<bool> {
    if there == domain
        || organisation(context, there).await? == organisation(context, domain).await?
    {
        return Ok(true);
    }
    let found = texts(context, &format!("{domain}._report._dmarc.{there}")).await?;
    Ok(found.iter().any(|text| is_dmarc(text)))
}

/// The domain to which a name belongs: the topmost with a policy, or below that of a public suffix.
async fn organisation(context: &Context, domain: &str) -> Result<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let mut topmost = domain.to_owned();
    let steps = (0..labels.len()).filter(|at| *at == 0 || labels.len() - at < WALK_MAX);
    for at in steps.take(WALK_MAX) {
        let name = labels[at..].join(".");
        let found = texts(context, &format!("_dmarc.{name}")).await?;
        let Some(record) = found.iter().find(|text| is_dmarc(text)) else { continue };
        if is_of_suffix(record) {
            return Ok(labels[at.saturating_sub(1)..].join("."));
        }
        topmost = name;
    }
    Ok(topmost)
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
    let to = destinations(context, &subject.domain).await?;
    if to.is_empty() {
        return Ok(None);
    }
    let Some(tally) = tally::read::<Evaluated>(&context.store, subject).await? else {
        return Ok(None);
    };
    let report = feedback(settings, subject, tally);
    let packed = gzip(&report.write());
    // As it travels, in base64.
    let size_bytes = packed.len().div_ceil(57) as u64 * 78;
    let fits = |one: &Destination| one.bytes_max.is_none_or(|max| size_bytes <= max);
    Ok(Some(Draft {
        to: to.into_iter().filter(fits).map(|one| one.address).collect(),
        text: text(&report, &subject.domain),
        multipart: "mixed",
        content_type: MEDIA_TYPE,
        extension: "xml.gz",
        file: packed,
        is_tls: false,
    }))
}

fn feedback(settings: &ReportSettings, subject: &Subject, tally: Tally<Evaluated>) -> Feedback {
    let (begin_ms, end_ms) = subject.range_ms();
    let Tally { records, others } = tally;
    // A policy that has changed on the way is told as most messages met it.
    let weight = |policy: &PublishedPolicy| -> u64 {
        let alike = records.iter().filter(|(one, _)| one.policy == *policy);
        alike.map(|(_, count)| count).sum()
    };
    let most = records.iter().map(|(one, _)| &one.policy).max_by_key(|policy| weight(policy));
    let policy = most.map(|policy| published(policy, &subject.domain)).unwrap_or_default();
    let others = (others > 0).then(|| format!("{others} messages are not told apart"));
    Feedback {
        metadata: Metadata {
            organization: settings.organization.clone(),
            email: settings.contact.clone(),
            id: subject.id(),
            begin_s: begin_ms / 1000,
            end_s: end_ms / 1000 - 1,
            errors: others.into_iter().collect(),
        },
        policy,
        records: records.into_iter().map(|(one, count)| record(one, count)).collect(),
    }
}

fn published(policy: &PublishedPolicy, domain: &str) -> Policy {
    let alignment = |is_strict: bool| if is_strict { "s" } else { "r" }.to_owned();
    Policy {
        domain: domain.to_owned(),
        dkim_alignment: alignment(policy.strict_dkim),
        spf_alignment: alignment(policy.strict_spf),
        policy: policy.policy.clone(),
        subdomain_policy: policy.subdomain_policy.clone(),
        testing: policy.testing,
    }
}

fn record(evaluated: Evaluated, count: u64) -> Record {
    let signature = |one: SignatureResult| Signature {
        domain: one.domain,
        selector: one.selector,
        result: one.result,
    };
    let scope = if evaluated.envelope_from.is_some() { "mfrom" } else { "helo" };
    Record {
        source: evaluated.source,
        count,
        disposition: evaluated.disposition,
        dkim: evaluated.dkim,
        spf: evaluated.spf,
        reasons: evaluated.reason.map(|kind| (kind, String::new())).into_iter().collect(),
        header_from: evaluated.header_from,
        envelope_from: evaluated.envelope_from,
        signatures: evaluated.signatures.into_iter().map(signature).collect(),
        sender: Some(Sender {
            domain: evaluated.spf_domain,
            scope: scope.to_owned(),
            result: evaluated.spf_result,
        }),
    }
}

/// For people.
fn text(report: &Feedback, domain: &str) -> String {
    let messages: u64 = report.records.iter().map(|record| record.count).sum();
    let Metadata { organization, email, .. } = &report.metadata;
    format!(
        "This is an aggregate report on mail that bears the name of {domain} (DMARC), by \
         {organization}.\nMessages: {messages}.\n\
         The attached file is for programs. Questions go to {email}.\n"
    )
}
