//! `/api/v1/connectors/send`: New-, Get-, Set-, Remove-SendConnector.
//!
//! A password goes in and never comes out.

use super::{Admin, Answer, Asked, check_level, settings, would};
use axum::Json;
use axum::extract::Path;
use base::{Error, Kind};
use contract_directory::{Actor, RECIPIENTS_LEVEL};
use contract_transport::connector::{
    AddressSpace, CONNECTIONS_PER_HOP, ConnectorChange, Route, SendConnector,
};
use contract_transport::courier::{Host, Manner, TlsLevel};
use contract_transport::setting::SEND_LOG;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// The cost of an address space that names none.
const COST: u32 = 1;

/// What a connector is made from, or what is to be changed of one.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    name: Option<String>,
    enabled: Option<bool>,
    /// `*`, `*.example.org;5`, `example.org`.
    spaces: Option<Vec<String>>,
    /// Smart hosts, `name`, `name:port` or `[address]:port`; the mail exchangers where empty.
    hosts: Option<Vec<String>>,
    helo: Option<String>,
    port: Option<u16>,
    tls: Option<String>,
    tls_domain: Option<String>,
    implicit_tls: Option<bool>,
    user: Option<String>,
    password: Option<String>,
    /// The credentials go.
    forget_credentials: bool,
    /// 0 is no limit.
    size_bytes_max: Option<u64>,
    connections_max: Option<u32>,
}

pub(super) async fn list(asked: Asked) -> Answer {
    let connectors = asked.admin.connectors.connectors().await?;
    let shown = |connector| settings::with_log(&asked.admin, SEND_LOG, view(connector));
    Ok(Json(Value::Array(connectors.iter().map(|connector| shown(connector)).collect())))
}

pub(super) async fn show(asked: Asked, Path(name): Path<String>) -> Answer {
    let found = find(&asked.admin, &name).await?;
    Ok(Json(settings::with_log(&asked.admin, SEND_LOG, view(&found))))
}

pub(super) async fn create(asked: Asked, Json(settings): Json<Settings>) -> Answer {
    let new = settings.new_connector()?;
    check_level(&asked.admin, level_of(None, &new))?;
    if asked.what_if() {
        let known = asked.admin.connectors.connectors().await?;
        if known.iter().any(|connector| connector.name == new.name) {
            let text = format!("the send connector {} exists already", new.name);
            return Err(Error::new(Kind::AlreadyExists, text).into());
        }
        return would(format!("send mail by the connector {}", new.name));
    }
    let made = asked.admin.connectors.create_connector(&Actor::Operator, new).await?;
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
    check_level(&asked.admin, level_of(Some(&old), &new))?;
    if asked.what_if() {
        return would(json!({ "from": view(&old), "to": view(&new) }));
    }
    let changed = asked.admin.connectors.update_connector(&Actor::Operator, &old.name, change);
    Ok(Json(view(&*changed.await?)))
}

pub(super) async fn remove(asked: Asked, Path(name): Path<String>) -> Answer {
    let connector = find(&asked.admin, &name).await?;
    if asked.what_if() {
        return would(format!("send no more mail by the connector {}", connector.name));
    }
    asked.admin.connectors.remove_connector(&Actor::Operator, &connector.name).await?;
    settings::forget_log(&asked.admin, SEND_LOG, &connector.name).await?;
    Ok(Json(json!({ "removed": connector.name })))
}

/// The feature level that a change needs. To nodes of older versions a connector that asks for DANE
/// is a damaged row: they pass it over, and may send the mail by one that asks for less.
fn level_of(old: Option<&SendConnector>, new: &SendConnector) -> u32 {
    let asks = |one: &SendConnector| one.manner.tls == TlsLevel::Dane;
    match asks(new) && !old.is_some_and(asks) {
        true => RECIPIENTS_LEVEL,
        false => 0,
    }
}

async fn find(admin: &Admin, name: &str) -> Result<Arc<SendConnector>, Error> {
    let name = name.to_lowercase();
    let connectors = admin.connectors.connectors().await?;
    let found = connectors.into_iter().find(|connector| connector.name == name);
    found.ok_or_else(|| Error::not_found(format!("The send connector {name}")))
}

fn view(connector: &SendConnector) -> Value {
    let SendConnector { name, enabled, spaces, route, manner, .. } = connector;
    let spaces: Vec<_> =
        spaces.iter().map(|space| format!("{};{}", space.pattern, space.cost)).collect();
    let hosts = match route {
        Route::MailExchangers => Vec::new(),
        Route::SmartHosts(hosts) => hosts.iter().map(host_text).collect(),
    };
    json!({
        "name": name,
        "enabled": enabled,
        "spaces": spaces,
        "hosts": hosts,
        "helo": manner.helo,
        "port": manner.port,
        "tls": tls_word(manner.tls),
        "tls_domain": manner.tls_domain,
        "implicit_tls": manner.implicit_tls,
        "user": manner.credentials.as_ref().map(|(user, _)| user),
        "size_bytes_max": connector.size_bytes_max,
        "connections_max": connector.connections_max,
    })
}

fn host_text(host: &Host) -> String {
    match host.name.contains(':') {
        true => format!("[{}]:{}", host.name, host.port),
        false => format!("{}:{}", host.name, host.port),
    }
}

/// The levels, by the words that people write.
const TLS_WORDS: [(&str, TlsLevel); 5] = [
    ("opportunistic", TlsLevel::Opportunistic),
    ("encryption", TlsLevel::Encryption),
    ("certificate", TlsLevel::Certificate),
    ("domain", TlsLevel::Domain),
    ("dane", TlsLevel::Dane),
];

fn tls_word(level: TlsLevel) -> &'static str {
    TLS_WORDS.iter().find(|(_, known)| *known == level).map_or("?", |(word, _)| word)
}

fn tls_level(word: &str) -> Result<TlsLevel, Error> {
    let found = TLS_WORDS.iter().find(|(known, _)| *known == word.to_lowercase());
    let words: Vec<_> = TLS_WORDS.iter().map(|(word, _)| *word).collect();
    let text = || Error::invalid(format!("the TLS level is one of {}", words.join(", ")));
    found.map(|(_, level)| *level).ok_or_else(text)
}

fn space(text: &str) -> Result<AddressSpace, Error> {
    let (pattern, cost) = match text.split_once(';') {
        Some((pattern, cost)) => (pattern, cost.trim().parse().ok()),
        None => (text, Some(COST)),
    };
    let shown = || Error::invalid(format!("\"{}\" is no address space", text.escape_debug()));
    Ok(AddressSpace { pattern: pattern.trim().to_lowercase(), cost: cost.ok_or_else(shown)? })
}

fn host(text: &str, port: u16) -> Result<Host, Error> {
    let text = text.trim().to_lowercase();
    let (name, given) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':')),
        // An IPv6 address has more than one colon, and no port without brackets.
        None => match text.split_once(':') {
            Some((name, port)) if !port.contains(':') => (name, Some(port)),
            _ => (text.as_str(), None),
        },
    };
    let port = given.map_or(Some(port), |given| given.parse().ok());
    let shown = || Error::invalid(format!("\"{}\" is no host", text.escape_debug()));
    Ok(Host { name: name.to_owned(), port: port.ok_or_else(shown)? })
}

impl Settings {
    fn new_connector(&self) -> Result<SendConnector, Error> {
        let name = self.name.as_deref().unwrap_or_default().to_lowercase();
        let blank = SendConnector {
            name,
            enabled: true,
            spaces: Vec::new(),
            route: Route::MailExchangers,
            manner: Manner::default(),
            size_bytes_max: None,
            connections_max: CONNECTIONS_PER_HOP,
        };
        let new = self.change_of(&blank)?.applied(&blank);
        new.check()?;
        Ok(new)
    }

    fn change(&self, old: &SendConnector) -> Result<ConnectorChange, Error> {
        match &self.name {
            Some(name) if name.to_lowercase() != old.name => {
                Err(Error::invalid("a connector keeps its name: its queues are called by it"))
            }
            _ => self.change_of(old),
        }
    }

    fn change_of(&self, old: &SendConnector) -> Result<ConnectorChange, Error> {
        let manner = self.manner(&old.manner)?;
        let read =
            |all: &Vec<String>| all.iter().map(|one| space(one)).collect::<Result<_, Error>>();
        let spaces = self.spaces.as_ref().map(read).transpose()?;
        let route = match &self.hosts {
            None => None,
            Some(hosts) if hosts.is_empty() => Some(Route::MailExchangers),
            Some(hosts) => {
                let hosts = hosts.iter().map(|one| host(one, manner.port));
                Some(Route::SmartHosts(hosts.collect::<Result<_, _>>()?))
            }
        };
        Ok(ConnectorChange {
            enabled: self.enabled,
            spaces,
            route,
            manner: Some(manner),
            forget_credentials: self.forget_credentials,
            size_bytes_max: self.size_bytes_max.map(|bytes| (bytes > 0).then_some(bytes)),
            connections_max: self.connections_max,
        })
    }

    fn manner(&self, old: &Manner) -> Result<Manner, Error> {
        let text = |new: &Option<String>, old: &Option<String>| match new {
            Some(new) if new.is_empty() => None,
            Some(new) => Some(new.to_lowercase()),
            None => old.clone(),
        };
        let credentials = match (&self.user, &self.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (None, None) => None,
            _ => return Err(Error::invalid("a user name and a password belong together")),
        };
        Ok(Manner {
            helo: text(&self.helo, &old.helo),
            port: self.port.unwrap_or(old.port),
            tls: self.tls.as_deref().map_or(Ok(old.tls), tls_level)?,
            tls_domain: text(&self.tls_domain, &old.tls_domain),
            implicit_tls: self.implicit_tls.unwrap_or(old.implicit_tls),
            credentials,
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

    #[test]
    fn a_connector_is_read_and_shown_without_its_password() {
        let text = r#"{"name": "Out", "spaces": ["*", "*.Example.org;5"], "tls": "domain",
            "hosts": ["relay.test", "[2001:db8::1]:587", "192.0.2.1:2525"], "port": 26,
            "user": "me", "password": "tell-nobody", "size_bytes_max": 1000}"#;
        let connector = settings(text).new_connector().unwrap();
        assert_eq!(connector.manner.credentials, Some(("me".into(), "tell-nobody".into())));
        let shown = view(&connector);
        assert_eq!(shown["name"], "out");
        assert_eq!(shown["spaces"], json!(["*;1", "*.example.org;5"]));
        assert_eq!(shown["hosts"], json!(["relay.test:26", "[2001:db8::1]:587", "192.0.2.1:2525"]));
        assert_eq!((&shown["user"], &shown["tls"]), (&json!("me"), &json!("domain")));
        assert!(!shown.to_string().contains("tell-nobody"), "{shown}");
    }

    #[test]
    fn only_what_older_nodes_cannot_read_needs_a_level() {
        let of = |tls: &str| {
            let text = format!(r#"{{"name": "out", "spaces": ["*"], "tls": "{tls}"}}"#);
            settings(&text).new_connector().unwrap()
        };
        let check = |old: Option<&str>, new: &str, expect: u32| {
            assert_eq!(level_of(old.map(of).as_ref(), &of(new)), expect, "{old:?} to {new}");
        };
        check(None, "dane", RECIPIENTS_LEVEL);
        check(None, "domain", 0);
        check(Some("domain"), "dane", RECIPIENTS_LEVEL);
        check(Some("dane"), "dane", 0);
        check(Some("dane"), "domain", 0);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let text = r#"{"name": "out", "spaces": ["*"], "helo": "me.test", "tls": "encryption",
            "user": "me", "password": "secret"}"#;
        let old = settings(text).new_connector().unwrap();
        let check = |text: &str, expect: &dyn Fn(&mut SendConnector)| {
            let mut expected = old.clone();
            expect(&mut expected);
            assert_eq!(settings(text).change(&old).unwrap().applied(&old), expected, "{text}");
        };
        check("{}", &|_| {});
        check(r#"{"enabled": false}"#, &|one| one.enabled = false);
        check(r#"{"helo": ""}"#, &|one| one.manner.helo = None);
        check(r#"{"forget_credentials": true}"#, &|one| one.manner.credentials = None);
        check(r#"{"port": 2525}"#, &|one| one.manner.port = 2525);
        check(r#"{"size_bytes_max": 5}"#, &|one| one.size_bytes_max = Some(5));
        check(r#"{"size_bytes_max": 0}"#, &|one| one.size_bytes_max = None);
        let refused = |text: &str| assert!(settings(text).change(&old).is_err(), "{text}");
        refused(r#"{"name": "other"}"#);
        refused(r#"{"tls": "maybe"}"#);
        refused(r#"{"user": "me"}"#);
        refused(r#"{"spaces": ["x;y"]}"#);
        refused(r#"{"hosts": ["x:y"]}"#);
    }
}
