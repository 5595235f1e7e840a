//! `/api/v1/remote-domains`: New-, Get-, Set-, Remove-RemoteDomain.

use super::{Admin, Answer, Asked, check_level, would};
use axum::Json;
use axum::extract::Path;
use base::{Error, Kind};
use contract_directory::{Actor, RECIPIENTS_LEVEL};
use contract_transport::remote::{RemoteDomain, RemoteDomainChange};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What an entry is made from; everything may go there where nothing is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    pattern: String,
    forwards: Option<bool>,
    failures: Option<bool>,
    reports: Option<bool>,
}

/// What is to be changed of one.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    forwards: Option<bool>,
    failures: Option<bool>,
    reports: Option<bool>,
}

fn view(remote: &RemoteDomain) -> Value {
    let RemoteDomain { pattern, forwards, failures, reports } = remote;
    json!({ "pattern": pattern, "forwards": forwards, "failures": failures, "reports": reports })
}

pub(super) async fn list(asked: Asked) -> Answer {
    let all = asked.admin.remote_domains.remote_domains().await?;
    Ok(Json(Value::Array(all.iter().map(|one| view(one)).collect())))
}

pub(super) async fn create(asked: Asked, Json(new): Json<New>) -> Answer {
    check_level(&asked.admin, RECIPIENTS_LEVEL)?;
    let New { pattern, forwards, failures, reports } = new;
    let change = RemoteDomainChange { forwards, failures, reports };
    let new = RemoteDomain::open(pattern.to_lowercase()).changed(change);
    new.check()?;
    if asked.what_if() {
        if find(&asked.admin, &new.pattern).await.is_ok() {
            let text = format!("the remote domain {} exists already", new.pattern);
            return Err(Error::new(Kind::AlreadyExists, text).into());
        }
        return would(view(&new));
    }
    let made = asked.admin.remote_domains.create_remote_domain(&Actor::Operator, new).await?;
    Ok(Json(view(&made)))
}

pub(super) async fn change(
    asked: Asked,
    Path(pattern): Path<String>,
    Json(change): Json<Change>,
) -> Answer {
    check_level(&asked.admin, RECIPIENTS_LEVEL)?;
    let Change { forwards, failures, reports } = change;
    let change = RemoteDomainChange { forwards, failures, reports };
    let pattern = pattern.to_lowercase();
    if asked.what_if() {
        return would(view(&find(&asked.admin, &pattern).await?.changed(change)));
    }
    let domains = &asked.admin.remote_domains;
    let made = domains.update_remote_domain(&Actor::Operator, &pattern, change).await?;
    Ok(Json(view(&made)))
}

pub(super) async fn remove(asked: Asked, Path(pattern): Path<String>) -> Answer {
    let pattern = pattern.to_lowercase();
    if asked.what_if() {
        let found = find(&asked.admin, &pattern).await?;
        return would(format!("remove the remote domain {}", found.pattern));
    }
    asked.admin.remote_domains.remove_remote_domain(&Actor::Operator, &pattern).await?;
    Ok(Json(json!({ "removed": pattern })))
}

async fn find(admin: &Admin, pattern: &str) -> Result<Arc<RemoteDomain>, Error> {
    let all = admin.remote_domains.remote_domains().await?;
    let found = all.into_iter().find(|one| one.pattern == pattern);
    found.ok_or_else(|| Error::not_found(format!("The remote domain {pattern}")))
}
