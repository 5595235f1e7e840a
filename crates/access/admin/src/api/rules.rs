//! `/api/v1/rules`: New-, Get-, Set-, Remove-TransportRule, Test-Message.

use super::{Admin, Answer, Asked, check_level, parse_address, would};
use axum::Json;
use axum::extract::Path;
use base::{Error, Kind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use contract_directory::Actor;
use contract_transport::rule::{Mode, TransportRule, Trial};
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// The largest request to try the rules on a message, in bytes: 50 MB in base64.
pub(super) const TRIAL_BYTES_MAX: usize = 72 << 20;

pub(super) async fn list(asked: Asked) -> Answer {
    let rules = asked.admin.rules.rules().await?;
    let row = |rule: &Arc<TransportRule>| {
        json!({
            "priority": rule.priority,
            "name": rule.name,
            "enabled": rule.enabled,
            "mode": rule.mode,
            "conditions": rule.conditions.len(),
            "exceptions": rule.exceptions.len(),
            "actions": rule.actions.len(),
            "stop": rule.stop,
            "comments": rule.comments,
        })
    };
    Ok(Json(Value::Array(rules.iter().map(row).collect())))
}

pub(super) async fn export(asked: Asked) -> Answer {
    let rules = asked.admin.rules.rules().await?;
    Ok(Json(Value::Array(rules.iter().map(|rule| view(rule)).collect::<Result<_, _>>()?)))
}

pub(super) async fn show(asked: Asked, Path(name): Path<String>) -> Answer {
    Ok(Json(view(&*find(&asked.admin, &name).await?)?))
}

pub(super) async fn create(asked: Asked, Json(new): Json<Value>) -> Answer {
    let new = parse(new)?;
    check_level(&asked.admin, new.level())?;
    if asked.what_if() {
        let known = asked.admin.rules.rules().await?;
        if known.iter().any(|rule| rule.name == new.name) {
            let text = format!("the transport rule {} exists already", new.name);
            return Err(Error::new(Kind::AlreadyExists, text).into());
        }
        asked.admin.rules.check_rule(&new).await?;
        return would(json!({ "make the rule": view(&new)? }));
    }
    Ok(Json(view(&*asked.admin.rules.create_rule(&Actor::Operator, new).await?)?))
}

pub(super) async fn replace(
    asked: Asked,
    Path(name): Path<String>,
    Json(new): Json<Value>,
) -> Answer {
    let old = find(&asked.admin, &name).await?;
    let new = parse(new)?;
    if new.name != old.name {
        let text = format!("the rule is called \"{}\", not \"{}\"", old.name, new.name);
        return Err(Error::invalid(text).into());
    }
    put(asked, &old, new).await
}

/// What can be changed of a rule without naming all of it.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    enabled: Option<bool>,
    mode: Option<Mode>,
    priority: Option<u32>,
}

pub(super) async fn change(
    asked: Asked,
    Path(name): Path<String>,
    Json(settings): Json<Settings>,
) -> Answer {
    let old = find(&asked.admin, &name).await?;
    let new = TransportRule {
        enabled: settings.enabled.unwrap_or(old.enabled),
        mode: settings.mode.unwrap_or(old.mode),
        priority: settings.priority.unwrap_or(old.priority),
        ..(*old).clone()
    };
    put(asked, &old, new).await
}

async fn put(asked: Asked, old: &TransportRule, new: TransportRule) -> Answer {
    check_level(&asked.admin, new.level())?;
    if asked.what_if() {
        asked.admin.rules.check_rule(&new).await?;
        return would(json!({ "from": view(old)?, "to": view(&new)? }));
    }
    Ok(Json(view(&*asked.admin.rules.replace_rule(&Actor::Operator, new).await?)?))
}

pub(super) async fn remove(asked: Asked, Path(name): Path<String>) -> Answer {
    let rule = find(&asked.admin, &name).await?;
    if asked.what_if() {
        return would(format!("remove the rule {}", rule.name));
    }
    asked.admin.rules.remove_rule(&Actor::Operator, &rule.name).await?;
    Ok(Json(json!({ "removed": rule.name })))
}

/// A message on which the rules are to be tried.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Try {
    /// Absent for the null sender.
    sender: Option<String>,
    #[serde(default)]
    is_authenticated: bool,
    /// From where it would have come.
    #[serde(default)]
    ip: Option<IpAddr>,
    recipients: Vec<String>,
    /// In base64.
    message: String,
}

pub(super) async fn trial(asked: Asked, Json(wanted): Json<Try>) -> Answer {
    let message = STANDARD.decode(&wanted.message);
    let message = message.map_err(|error| Error::invalid(format!("the message: {error}")))?;
    if wanted.recipients.is_empty() {
        return Err(Error::invalid("a message has recipients").into());
    }
    let recipients = wanted.recipients.iter().map(|text| parse_address(text));
    let trial = Trial {
        sender: wanted.sender.as_deref().map(parse_address).transpose()?,
        is_authenticated: wanted.is_authenticated,
        ip: wanted.ip,
        recipients: recipients.collect::<Result<_, _>>()?,
        message: message.into(),
    };
    let verdicts = asked.admin.rules.try_rules(trial).await?;
    let row = |verdict: &contract_transport::rule::Verdict| {
        json!({
            "recipient": verdict.recipient.to_string(),
            "rules": verdict.rules,
            "actions": verdict.actions,
        })
    };
    Ok(Json(Value::Array(verdicts.iter().map(row).collect())))
}

fn parse(document: Value) -> Result<TransportRule, Error> {
    let rule: TransportRule = serde_json::from_value(document)
        .map_err(|error| Error::invalid(format!("this is no rule: {error}")))?;
    rule.check()?;
    Ok(rule)
}

fn view(rule: &TransportRule) -> Result<Value, Error> {
    serde_json::to_value(rule).map_err(|error| Error::internal(format!("a rule: {error}")))
}

async fn find(admin: &Admin, name: &str) -> Result<Arc<TransportRule>, Error> {
    let rules = admin.rules.rules().await?;
    let found = rules.into_iter().find(|rule| rule.name == name);
    found.ok_or_else(|| Error::not_found(format!("The transport rule {name}")))
}
