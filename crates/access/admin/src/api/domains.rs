//! `/api/v1/domains`: New-, Get-, Remove-AcceptedDomain.

use super::{Admin, Answer, Asked, would};
use axum::Json;
use axum::extract::Path;
use base::{Error, Kind};
use contract_directory::{Actor, Domain, DomainKind};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a new accepted domain is made from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    #[serde(default)]
    kind: DomainKind,
    #[serde(default)]
    default: bool,
}

fn view(domain: &Domain) -> Value {
    json!({ "name": domain.name, "kind": domain.kind, "default": domain.default })
}

pub(super) async fn list(asked: Asked) -> Answer {
    let domains = asked.admin.directory.domains().await?;
    Ok(Json(Value::Array(domains.iter().map(|domain| view(domain)).collect())))
}

pub(super) async fn create(asked: Asked, Json(new): Json<New>) -> Answer {
    let New { name, kind, default } = new;
    let name = name.to_lowercase();
    if asked.what_if() {
        if find(&asked.admin, &name).await?.is_some() {
            return Err(Error::new(Kind::AlreadyExists, format!("{name} exists already")).into());
        }
        return would(format!("accept mail for {name}"));
    }
    let domain = Domain { name, kind, default };
    let domain = asked.admin.changes.create_domain(&Actor::Operator, domain).await?;
    Ok(Json(view(&domain)))
}

pub(super) async fn remove(asked: Asked, Path(name): Path<String>) -> Answer {
    if asked.what_if() {
        return match find(&asked.admin, &name).await? {
            Some(domain) => would(format!("accept no more mail for {}", domain.name)),
            None => Err(Error::not_found(format!("The accepted domain {name}")).into()),
        };
    }
    asked.admin.changes.remove_domain(&Actor::Operator, &name).await?;
    Ok(Json(json!({ "removed": name })))
}

async fn find(admin: &Admin, name: &str) -> Result<Option<Arc<Domain>>, Error> {
    let domains = admin.directory.domains().await?;
    Ok(domains.into_iter().find(|domain| domain.name.eq_ignore_ascii_case(name)))
}
