//! `/api/v1/connectors/receive`: New-, Get-, Set-, Remove-ReceiveConnector.

use super::{Admin, Answer, Asked, settings, would};
use axum::Json;
use axum::extract::Path;
use base::{Error, Kind};
use contract_directory::Actor;
use contract_transport::receive::{
    Limit, Limits, Mechanism, Permissions, ReceiveChange, ReceiveConnector, Role, TlsDemand,
};
use contract_transport::setting::RECEIVE_LOG;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

/// What a connector is made from, or what is to be changed of one.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    name: Option<String>,
    enabled: Option<bool>,
    /// `server`, `submission`, a port, `address:port`.
    bindings: Option<Vec<String>>,
    /// `10.1.2.0/24`, `10.1.2.3`, `10.1.2.3-10.1.2.9`.
    ranges: Option<Vec<String>>,
    /// `plain`, `login`; nobody signs in where empty or `none`.
    auth: Option<Vec<String>>,
    permissions: Option<Vec<String>>,
    tls: Option<String>,
    /// The usual one where empty.
    banner: Option<String>,
    /// The node's name where empty.
    helo: Option<String>,
    /// By name; the node's own where null.
    limits: BTreeMap<String, Option<u64>>,
}

pub(super) async fn list(asked: Asked) -> Answer {
    let table = asked.admin.receive.receive_connectors().await?;
    let shown = |connector| settings::with_log(&asked.admin, RECEIVE_LOG, view(connector));
    Ok(Json(Value::Array(table.connectors().map(|connector| shown(connector)).collect())))
}

pub(super) async fn show(asked: Asked, Path(name): Path<String>) -> Answer {
    let found = find(&asked.admin, &name).await?;
    Ok(Json(settings::with_log(&asked.admin, RECEIVE_LOG, view(&found))))
}

pub(super) async fn create(asked: Asked, Json(settings): Json<Settings>) -> Answer {
    let new = settings.new_connector()?;
    if asked.what_if() {
        let known = asked.admin.receive.receive_connectors().await?;
        if known.get(&new.name).is_some() {
            let text = format!("the receive connector {} exists already", new.name);
            return Err(Error::new(Kind::AlreadyExists, text).into());
        }
        known.check_beside(&new)?;
        return would(view(&new));
    }
    let made = asked.admin.receive.create_receive_connector(&Actor::Operator, new).await?;
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
        asked.admin.receive.receive_connectors().await?.check_beside(&new)?;
        return would(json!({ "from": view(&old), "to": view(&new) }));
    }
    let changed = asked.admin.receive.update_receive_connector(&Actor::Operator, &old.name, change);
    Ok(Json(view(&*changed.await?)))
}

pub(super) async fn remove(asked: Asked, Path(name): Path<String>) -> Answer {
    let connector = find(&asked.admin, &name).await?;
    if asked.what_if() && !ReceiveConnector::is_default(&connector.name) {
        return would(format!("take no more mail by the connector {}", connector.name));
    }
    asked.admin.receive.remove_receive_connector(&Actor::Operator, &connector.name).await?;
    settings::forget_log(&asked.admin, RECEIVE_LOG, &connector.name).await?;
    Ok(Json(json!({ "removed": connector.name })))
}

async fn find(admin: &Admin, name: &str) -> Result<Arc<ReceiveConnector>, Error> {
    let name = name.to_lowercase();
    let table = admin.receive.receive_connectors().await?;
    let found = table.get(&name).cloned();
    found.ok_or_else(|| Error::not_found(format!("The receive connector {name}")))
}

fn view(connector: &ReceiveConnector) -> Value {
    let ReceiveConnector { name, enabled, bindings, ranges, permissions, banner, helo, .. } =
        connector;
    let auth: Vec<_> =
        connector.auth.iter().map(|mechanism| mechanism.name().to_lowercase()).collect();
    let words: Vec<_> = bindings.iter().map(ToString::to_string).collect();
    let limits = connector.limits.iter();
    let limits: Map<_, _> =
        limits.map(|(limit, value)| (limit.row().name.to_owned(), json!(value))).collect();
    json!({
        "name": name,
        "enabled": enabled,
        "bindings": words,
        "ranges": ranges,
        "auth": auth,
        "permissions": permissions.words(),
        "tls": tls_word(connector.tls),
        "banner": banner,
        "helo": helo,
        "limits": limits,
    })
}

/// What is wanted of encryption, by the words that people write.
const TLS_WORDS: [(&str, TlsDemand); 3] =
    [("none", TlsDemand::None), ("offered", TlsDemand::Offered), ("required", TlsDemand::Required)];

fn tls_word(demand: TlsDemand) -> &'static str {
    TLS_WORDS.iter().find(|(_, known)| *known == demand).map_or("?", |(word, _)| word)
}

fn tls_demand(word: &str) -> Result<TlsDemand, Error> {
    let found = TLS_WORDS.iter().find(|(known, _)| *known == word.to_lowercase());
    let wrong = || Error::invalid("TLS is none, offered or required");
    found.map(|(_, demand)| *demand).ok_or_else(wrong)
}

fn mechanisms(words: &[String]) -> Result<Vec<Mechanism>, Error> {
    let known = |word: &String| {
        let upper = word.to_uppercase();
        let found = Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == upper);
        let text = || format!("\"{}\" is no mechanism: plain, login", word.escape_debug());
        found.ok_or_else(|| Error::invalid(text()))
    };
    match words {
        [none] if none.eq_ignore_ascii_case("none") => Ok(Vec::new()),
        words => words.iter().map(known).collect(),
    }
}

/// Each word once, read.
fn read_all<T: FromStr<Err = Error> + PartialEq>(words: &[String]) -> Result<Vec<T>, Error> {
    let mut all: Vec<T> = Vec::with_capacity(words.len());
    for word in words {
        let one = word.trim().to_lowercase().parse()?;
        if !all.contains(&one) {
            all.push(one);
        }
    }
    Ok(all)
}

impl Settings {
    fn new_connector(&self) -> Result<ReceiveConnector, Error> {
        let blank = ReceiveConnector {
            name: self.name.as_deref().unwrap_or_default().to_lowercase(),
            bindings: Vec::new(),
            ranges: Vec::new(),
            permissions: Permissions::NONE,
            limits: Limits::new(),
            ..ReceiveConnector::of_role(Role::Server)
        };
        let new = self.change_of()?.applied(&blank);
        new.check()?;
        Ok(new)
    }

    fn change(&self, old: &ReceiveConnector) -> Result<ReceiveChange, Error> {
        match &self.name {
            Some(name) if name.to_lowercase() != old.name => {
                Err(Error::invalid("a connector keeps its name: logs and audit call it by that"))
            }
            _ => self.change_of(),
        }
    }

    fn change_of(&self) -> Result<ReceiveChange, Error> {
        let text = |text: &Option<String>| {
            text.as_ref().map(|text| (!text.is_empty()).then(|| text.clone()))
        };
        let groups = |words: &Vec<String>| Permissions::of_words(words.iter().map(String::as_str));
        let limits = self.limits.iter();
        let limits = limits.map(|(name, value)| Ok::<_, Error>((Limit::named(name)?, *value)));
        Ok(ReceiveChange {
            enabled: self.enabled,
            bindings: self.bindings.as_ref().map(|words| read_all(words)).transpose()?,
            ranges: self.ranges.as_ref().map(|words| read_all(words)).transpose()?,
            auth: self.auth.as_ref().map(|words| mechanisms(words)).transpose()?,
            permissions: self.permissions.as_ref().map(groups).transpose()?,
            tls: self.tls.as_deref().map(tls_demand).transpose()?,
            banner: text(&self.banner),
            helo: text(&self.helo.as_ref().map(|helo| helo.to_lowercase())),
            limits: limits.collect::<Result<_, _>>()?,
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

    fn limit(one: &mut ReceiveConnector, limit: Limit, value: u64) {
        one.limits.insert(limit, value);
    }

    const PRINTERS: &str = r#"{"name": "Printers", "bindings": ["Server", "2525"],
        "ranges": ["10.1.2.0/24", "10.1.2.0-10.1.2.255", "10.9.9.1-10.9.9.4"],
        "permissions": ["anonymous", "relay"], "limits": {"tarpit_ms": 0}}"#;

    #[test]
    fn a_connector_is_read_and_shown() {
        let shown = view(&settings(PRINTERS).new_connector().unwrap());
        let expect = json!({
            "name": "printers", "enabled": true, "bindings": ["server", "2525"],
            "ranges": ["10.1.2.0/24", "10.9.9.1-10.9.9.4"], "auth": [],
            "permissions": ["anonymous", "relay"], "tls": "offered", "banner": null, "helo": null,
            "limits": { "tarpit_ms": 0 },
        });
        assert_eq!(shown, expect);
        let submission = view(&ReceiveConnector::of_role(Role::Submission));
        assert_eq!(submission["auth"], json!(["plain", "login"]));
        // What is shown can be said again.
        for shown in [shown, submission] {
            let again: Settings = serde_json::from_value(shown.clone()).unwrap();
            assert_eq!(view(&again.new_connector().unwrap()), shown);
        }
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let old = settings(PRINTERS).new_connector().unwrap();
        let check = |text: &str, expect: &dyn Fn(&mut ReceiveConnector)| {
            let mut expected = old.clone();
            expect(&mut expected);
            assert_eq!(settings(text).change(&old).unwrap().applied(&old), expected, "{text}");
        };
        check("{}", &|_| {});
        check(r#"{"enabled": false}"#, &|one| one.enabled = false);
        check(r#"{"tls": "Required"}"#, &|one| one.tls = TlsDemand::Required);
        check(r#"{"auth": ["LOGIN"]}"#, &|one| one.auth = vec![Mechanism::Login]);
        check(r#"{"auth": ["none"]}"#, &|one| one.auth.clear());
        check(r#"{"banner": "Hello World"}"#, &|one| one.banner = Some("Hello World".into()));
        check(r#"{"banner": "", "helo": ""}"#, &|_| {});
        check(r#"{"limits": {"tarpit_ms": null}}"#, &|one| one.limits.clear());
        check(r#"{"limits": {"hops_max": 9}}"#, &|one| limit(one, Limit::Hops, 9));
        for (text, expect) in [
            (r#"{"name": "other"}"#, "keeps its name"),
            (r#"{"tls": "maybe"}"#, "offered"),
            (r#"{"auth": ["cram-md5"]}"#, "cram-md5"),
            (r#"{"permissions": ["everybody"]}"#, "everybody"),
            (r#"{"bindings": ["smtp"]}"#, "smtp"),
            (r#"{"ranges": ["10.1.2.3/24"]}"#, "10.1.2.0/24"),
            (r#"{"limits": {"size": 1}}"#, "message_bytes_max"),
        ] {
            let error = settings(text).change(&old).unwrap_err();
            assert!(error.text.contains(expect), "{text}: {error}");
        }
        assert!(settings(r#"{"name": "x"}"#).new_connector().is_err(), "for nobody");
    }
}
