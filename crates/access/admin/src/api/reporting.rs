//! `/api/v1/reporting`: what the organisation wants of reports about authentication and TLS.

use super::{Answer, Asked, would};
use axum::Json;
use contract_directory::Actor;
use contract_transport::reports::{ReportChange, ReportSettings};
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
