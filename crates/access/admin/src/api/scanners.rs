//! `/api/v1/scanners`: programs that look at mail before it is accepted.

use super::{Admin, Answer, Asked, check_level, would};
use axum::Json;
use axum::extract::Path;
use base::{Error, Kind};
use contract_directory::{Actor, RECIPIENTS_LEVEL};
use contract_transport::scanner::scanning::Standing;
use contract_transport::scanner::{
    Language, OnFailure, OnFound, Scanner, ScannerChange, ScannerPlace, Sees,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a scanner is made from, or what is to be changed of one.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    name: Option<String>,
    /// `clamd`, `rspamd`, `milter`.
    protocol: Option<String>,
    /// `host:port` or `unix:/path`.
    place: Option<String>,
    enabled: Option<bool>,
    order: Option<u32>,
    /// `strangers`, `ours`, `all`.
    sees: Option<String>,
    /// `accept`, `defer`, `junk`.
    on_failure: Option<String>,
    /// `refuse`, `discard`, `junk`.
    on_found: Option<String>,
    deadline_ms: Option<u64>,
    size_bytes_max: Option<u64>,
    connections_max: Option<u32>,
}

pub(super) async fn list(asked: Asked) -> Answer {
    let all = asked.admin.scanner_settings.scanners().await?;
    let row = |scanner: &Arc<Scanner>| with_standing(&asked.admin, scanner);
    Ok(Json(Value::Array(all.iter().map(row).collect())))
}

pub(super) async fn show(asked: Asked, Path(name): Path<String>) -> Answer {
    Ok(Json(with_standing(&asked.admin, &*find(&asked.admin, &name).await?)))
}

pub(super) async fn create(asked: Asked, Json(settings): Json<Settings>) -> Answer {
    check_level(&asked.admin, RECIPIENTS_LEVEL)?;
    let new = settings.new_scanner()?;
    if asked.what_if() {
        let known = asked.admin.scanner_settings.scanners().await?;
        if known.iter().any(|scanner| scanner.name == new.name) {
            let text = format!("the scanner {} exists already", new.name);
            return Err(Error::new(Kind::AlreadyExists, text).into());
        }
        return would(view(&new));
    }
    let made = asked.admin.scanner_settings.create_scanner(&Actor::Operator, new).await?;
    Ok(Json(view(&made)))
}

pub(super) async fn change(
    asked: Asked,
    Path(name): Path<String>,
    Json(settings): Json<Settings>,
) -> Answer {
    let old = find(&asked.admin, &name).await?;
    let change = settings.change(&old)?;
    let new = change.applied(&old);
    new.check()?;
    if asked.what_if() {
        return would(json!({ "from": view(&old), "to": view(&new) }));
    }
    let changed = asked.admin.scanner_settings.update_scanner(&Actor::Operator, &old.name, change);
    Ok(Json(view(&*changed.await?)))
}

pub(super) async fn remove(asked: Asked, Path(name): Path<String>) -> Answer {
    let scanner = find(&asked.admin, &name).await?;
    if asked.what_if() {
        return would(format!("show no more mail to {}", scanner.name));
    }
    asked.admin.scanner_settings.remove_scanner(&Actor::Operator, &scanner.name).await?;
    Ok(Json(json!({ "removed": scanner.name })))
}

/// Shows it messages that every such program knows.
pub(super) async fn test(asked: Asked, Path(name): Path<String>) -> Answer {
    let scanner = find(&asked.admin, &name).await?;
    let trials = asked.admin.scanners.test(&scanner).await;
    let row = trials.iter().map(|trial| {
        json!({
            "what": trial.what,
            "answered": trial.answered,
            "outcome": trial.outcome,
            "took_ms": trial.took_ms,
        })
    });
    Ok(Json(Value::Array(row.collect())))
}

async fn find(admin: &Admin, name: &str) -> Result<Arc<Scanner>, Error> {
    let name = name.to_lowercase();
    let all = admin.scanner_settings.scanners().await?;
    let found = all.iter().find(|scanner| scanner.name == name).cloned();
    found.ok_or_else(|| Error::not_found(format!("The scanner {name}")))
}

fn view(scanner: &Scanner) -> Value {
    json!({
        "name": scanner.name,
        "enabled": scanner.enabled,
        "order": scanner.order,
        "protocol": scanner.language.word(),
        "place": scanner.place.to_string(),
        "sees": scanner.sees.word(),
        "on_failure": scanner.on_failure.word(),
        "on_found": scanner.on_found.word(),
        "deadline_ms": scanner.deadline_ms,
        "size_bytes_max": scanner.size_bytes_max,
        "connections_max": scanner.connections_max,
    })
}

/// A scanner, and how it is as this node knows.
fn with_standing(admin: &Admin, scanner: &Scanner) -> Value {
    told(view(scanner), &admin.scanners.standing(&scanner.name))
}

fn told(mut view: Value, standing: &Standing) -> Value {
    let state = match (standing.rests_ms, standing.failures) {
        (Some(_), _) => "passed over",
        (None, 0) => "ok",
        (None, _) => "failing",
    };
    view["state"] = json!(state);
    view["failures"] = json!(standing.failures);
    view["asked_again_in_ms"] = json!(standing.rests_ms);
    view["trouble"] = json!(standing.trouble);
    view["answered"] = json!(standing.answered);
    view["failed"] = json!(standing.failed);
    view
}

impl Settings {
    fn new_scanner(&self) -> Result<Scanner, Error> {
        let needs = |what: &str| Error::invalid(format!("a scanner needs a {what}"));
        let name = self.name.as_deref().ok_or_else(|| needs("name"))?.to_lowercase();
        let language = self.protocol.as_deref().ok_or_else(|| needs("protocol"))?;
        let place = self.place.as_deref().ok_or_else(|| needs("place"))?;
        let blank = Scanner::new(&name, Language::of_word(language)?, place.parse()?);
        let new = self.change_of()?.applied(&blank);
        new.check()?;
        Ok(new)
    }

    fn change(&self, old: &Scanner) -> Result<ScannerChange, Error> {
        if self.name.as_ref().is_some_and(|name| name.to_lowercase() != old.name) {
            return Err(Error::invalid("a scanner keeps its name: logs and audit call it by that"));
        }
        let language = self.protocol.as_deref().map(Language::of_word).transpose()?;
        if language.is_some_and(|language| language != old.language) {
            return Err(Error::invalid("a scanner keeps its protocol; make another one"));
        }
        self.change_of()
    }

    fn change_of(&self) -> Result<ScannerChange, Error> {
        Ok(ScannerChange {
            enabled: self.enabled,
            order: self.order,
            place: self.place.as_deref().map(str::parse::<ScannerPlace>).transpose()?,
            sees: self.sees.as_deref().map(Sees::of_word).transpose()?,
            on_failure: self.on_failure.as_deref().map(OnFailure::of_word).transpose()?,
            on_found: self.on_found.as_deref().map(OnFound::of_word).transpose()?,
            deadline_ms: self.deadline_ms,
            size_bytes_max: self.size_bytes_max,
            connections_max: self.connections_max,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        serde_json::from_str(text).unwrap()
    }

    const AV: &str = r#"{"name": "AV", "protocol": "Clamd", "place": "unix:/run/clamd.ctl",
        "sees": "Strangers", "on_failure": "accept", "deadline_ms": 5000}"#;

    #[test]
    fn a_scanner_is_read_and_shown() {
        let new = settings(AV).new_scanner().unwrap();
        let expect = json!({
            "name": "av", "enabled": true, "order": 100, "protocol": "clamd",
            "place": "unix:/run/clamd.ctl", "sees": "strangers", "on_failure": "accept",
            "on_found": "refuse", "deadline_ms": 5000, "size_bytes_max": 26_214_400,
            "connections_max": 50,
        });
        assert_eq!(view(&new), expect);
        let standing = Standing { failures: 5, rests_ms: Some(7), ..Standing::default() };
        let shown = told(view(&new), &standing);
        assert_eq!(
            (&shown["state"], &shown["asked_again_in_ms"]),
            (&json!("passed over"), &json!(7))
        );
        assert_eq!(told(view(&new), &Standing::default())["state"], "ok");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |text: &str, expect: &str| {
            let error = settings(text).new_scanner().unwrap_err();
            assert!(error.text.contains(expect), "{text}: {}", error.text);
        };
        check("{}", "needs a name");
        check(r#"{"name": "a"}"#, "needs a protocol");
        check(r#"{"name": "a", "protocol": "clamd"}"#, "needs a place");
        check(r#"{"name": "a", "protocol": "x", "place": "h:1"}"#, "no protocol of a scanner");
        check(r#"{"name": "a", "protocol": "clamd", "place": "h"}"#, "HOST:PORT");
        check(&AV.replace("accept", "hope"), "no choice for failures");
        check(&AV.replace("5000", "5"), "100 to 120000 ms");
    }

    #[test]
    fn a_scanner_keeps_its_name_and_protocol() {
        let old = settings(AV).new_scanner().unwrap();
        let change = |text: &str| settings(text).change(&old);
        let new = change(r#"{"name": "av", "protocol": "clamd", "order": 7}"#).unwrap();
        assert_eq!(new.applied(&old), Scanner { order: 7, ..old.clone() });
        assert!(change(r#"{"name": "other"}"#).is_err());
        assert!(change(r#"{"protocol": "rspamd"}"#).is_err());
    }
}
