//! `/api/v1/reporting`: what the organisation wants of reports about authentication and TLS; and
//! `/api/v1/domains/{name}/reports`: what others have reported of a domain.

use super::{Answer, Asked, would};
use axum::Json;
use axum::extract::Path;
use base::Error;
use chrono::DateTime;
use contract_directory::Actor;
use contract_transport::reports::{ReceivedReport, ReportChange, ReportSettings};
use serde::Deserialize;
use serde_json::{Value, json};

/// What is to be changed.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    organization: Option<String>,
    contact: Option<String>,
    tls: Option<bool>,
    dmarc: Option<bool>,
    inbox: Option<String>,
}

fn view(settings: &ReportSettings) -> Value {
    let ReportSettings { organization, contact, tls, dmarc, inbox } = settings;
    json!({
        "organization": organization,
        "contact": contact,
        "tls": tls,
        "dmarc": dmarc,
        "inbox": inbox,
    })
}

/// How many days are shown where nothing else is asked for.
const DAYS: u32 = 7;

/// What others have reported of a domain.
pub(super) async fn received(asked: Asked, Path(domain): Path<String>) -> Answer {
    let domain = domain.trim_end_matches('.').to_lowercase();
    let accepted = asked.admin.directory.domains().await?;
    if !accepted.iter().any(|one| one.name == domain) {
        return Err(Error::not_found(format!("The accepted domain {domain}")).into());
    }
    let days = asked.options.days.unwrap_or(DAYS);
    let all = asked.admin.reports.received_reports(&domain, days).await?;
    Ok(Json(Value::Array(all.iter().map(row).collect())))
}

fn row(report: &ReceivedReport) -> Value {
    let day = DateTime::from_timestamp_millis(report.day.unix_ms).unwrap_or_default();
    json!({
        "day": day.format("%Y-%m-%d").to_string(),
        "kind": report.kind,
        "reporter": report.reporter,
        "source": report.source,
        "result": if report.passed { "pass" } else { "fail" },
        "detail": report.detail,
        "count": report.count,
    })
}

pub(super) async fn show(asked: Asked) -> Answer {
    Ok(Json(view(&*asked.admin.reports.report_settings().await?)))
}

pub(super) async fn change(asked: Asked, Json(change): Json<Change>) -> Answer {
    let Change { organization, contact, tls, dmarc, inbox } = change;
    let folded = |address: Option<String>| address.map(|one| one.trim().to_owned());
    let (contact, inbox) = (folded(contact), folded(inbox));
    let change = ReportChange { organization, contact, tls, dmarc, inbox };
    let reports = &asked.admin.reports;
    if asked.what_if() {
        let changed = reports.report_settings().await?.changed(&change);
        changed.check()?;
        return would(view(&changed));
    }
    Ok(Json(view(&*reports.change_reports(&Actor::Operator, &change).await?)))
}
