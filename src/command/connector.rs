//! `rialto connector`.

use super::{ask, change};
use crate::cli::{
    ChangeReach, ConnectorVerb, ReceiveSettings, ReceiveVerb, SendSettings, SendVerb,
};
use crate::client::{Client, escape};
use base::{Error, Result};
use hyper::Method;
use serde_json::{Map, Value, json};

const SEND: &str = "/api/v1/connectors/send";
const RECEIVE: &str = "/api/v1/connectors/receive";

pub(super) async fn run(verb: ConnectorVerb) -> Result<()> {
    match verb {
        ConnectorVerb::Send(verb) => send(verb).await,
        ConnectorVerb::Receive(verb) => receive(verb).await,
    }
}

async fn send(verb: SendVerb) -> Result<()> {
    match verb {
        SendVerb::New(settings) => {
            let body = body(&settings, true)?;
            change(&settings.change, Method::POST, SEND, "", Some(&body)).await?;
            let log = Log::of("send", &settings.name, settings.protocol_log.as_deref());
            log_as(&settings.change, log).await
        }
        SendVerb::Set(settings) => {
            let (body, path) = (body(&settings, false)?, of(SEND, &settings.name));
            let log = Log::of("send", &settings.name, settings.protocol_log.as_deref());
            set(&settings.change, &path, &body, log).await
        }
        SendVerb::Get { name: Some(name), reach } => ask(&reach, &of(SEND, &name)).await,
        SendVerb::Get { name: None, reach } | SendVerb::List(reach) => ask(&reach, SEND).await,
        SendVerb::Remove { name, change: reach } => {
            change(&reach, Method::DELETE, &of(SEND, &name), "", None).await
        }
    }
}

async fn receive(verb: ReceiveVerb) -> Result<()> {
    match verb {
        ReceiveVerb::New(settings) => {
            let body = receive_body(&settings, true)?;
            change(&settings.change, Method::POST, RECEIVE, "", Some(&body)).await?;
            let log = Log::of("receive", &settings.name, settings.protocol_log.as_deref());
            log_as(&settings.change, log).await
        }
        ReceiveVerb::Set(settings) => {
            let (body, path) = (receive_body(&settings, false)?, of(RECEIVE, &settings.name));
            let log = Log::of("receive", &settings.name, settings.protocol_log.as_deref());
            set(&settings.change, &path, &body, log).await
        }
        ReceiveVerb::Get { name: Some(name), reach } => ask(&reach, &of(RECEIVE, &name)).await,
        ReceiveVerb::Get { name: None, reach } | ReceiveVerb::List(reach) => {
            ask(&reach, RECEIVE).await
        }
        ReceiveVerb::Remove { name, change: reach } => {
            change(&reach, Method::DELETE, &of(RECEIVE, &name), "", None).await
        }
    }
}

/// How much of a connector's conversations is to be logged: a setting beside it.
struct Log<'a> {
    setting: String,
    level: &'a str,
}

impl<'a> Log<'a> {
    fn of(kind: &str, connector: &str, level: Option<&'a str>) -> Option<Self> {
        let setting = format!("protocol_log.{kind}.{connector}");
        level.map(|level| Self { setting, level })
    }
}

/// Changes a connector and its log, whichever was named.
async fn set(reach: &ChangeReach, path: &str, body: &Value, log: Option<Log<'_>>) -> Result<()> {
    let changes_nothing = body.as_object().is_some_and(Map::is_empty);
    if log.is_some() && changes_nothing {
        // It must be there all the same.
        Client::new(&reach.reach.data).call(Method::GET, path, None).await?;
    } else {
        change(reach, Method::PATCH, path, "", Some(body)).await?;
    }
    log_as(reach, log).await
}

async fn log_as(reach: &ChangeReach, log: Option<Log<'_>>) -> Result<()> {
    let Some(Log { setting, level }) = log else { return Ok(()) };
    let path = format!("/api/v1/settings/{}", escape(&setting));
    change(reach, Method::PUT, &path, "", Some(&json!({ "value": level }))).await
}

fn of(path: &str, name: &str) -> String {
    format!("{path}/{}", escape(name))
}

/// What is to be said to the node of a receive connector: only what was given.
fn receive_body(settings: &ReceiveSettings, is_new: bool) -> Result<Value> {
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let list = |all: &[String]| (!all.is_empty()).then(|| json!(all));
    set("name", is_new.then(|| json!(settings.name)));
    set("bindings", list(&settings.bindings));
    set("ranges", list(&settings.ranges));
    set("auth", list(&settings.auth));
    set("permissions", list(&settings.permissions));
    set("tls", settings.tls.clone().map(Value::from));
    set("banner", settings.banner.clone().map(Value::from));
    set("helo", settings.helo.clone().map(Value::from));
    set("enabled", settings.enabled.map(Value::from));
    let limits: Result<Map<_, _>> = settings.limits.iter().map(|text| limit(text)).collect();
    set("limits", Some(limits?).filter(|limits| !limits.is_empty()).map(Value::Object));
    Ok(Value::Object(body))
}

/// `NAME=NUMBER` or `NAME=default`.
fn limit(text: &str) -> Result<(String, Value)> {
    let wrong = || {
        let shown = text.escape_debug();
        Error::invalid(format!("\"{shown}\" is no limit: NAME=NUMBER or NAME=default"))
    };
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let value = match value.trim() {
        "default" => Value::Null,
        number => Value::from(number.parse::<u64>().map_err(|_| wrong())?),
    };
    Ok((name.trim().to_owned(), value))
}

/// What is to be said to the node: only what was given.
fn body(settings: &SendSettings, is_new: bool) -> Result<Value> {
    const MB: u64 = 1 << 20;
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    set("name", is_new.then(|| json!(settings.name)));
    set("spaces", (!settings.spaces.is_empty()).then(|| json!(settings.spaces)));
    set("hosts", (settings.mx || !settings.hosts.is_empty()).then(|| json!(settings.hosts)));
    set("enabled", settings.enabled.map(Value::from));
    set("helo", settings.helo.clone().map(Value::from));
    set("port", settings.port.map(Value::from));
    set("tls", settings.tls.clone().map(Value::from));
    set("tls_domain", settings.tls_domain.clone().map(Value::from));
    set("implicit_tls", settings.implicit_tls.map(Value::from));
    set("user", settings.user.clone().map(Value::from));
    set("forget_credentials", settings.no_user.then_some(Value::from(true)));
    let size_bytes = settings.size_mb_max.map(|size_mb| size_mb.saturating_mul(MB));
    set("size_bytes_max", size_bytes.map(Value::from));
    set("connections_max", settings.connections_max.map(Value::from));
    if let Some(path) = &settings.password_file {
        let password = std::fs::read_to_string(path)
            .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
        let password = password.trim_end_matches(['\r', '\n']);
        set("password", Some(json!(password)));
    }
    Ok(Value::Object(body))
}
