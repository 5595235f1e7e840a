//! `rialto connector`.

use super::{ask, change};
use crate::cli::{ConnectorVerb, SendSettings, SendVerb};
use crate::client::escape;
use base::{Error, Result};
use hyper::Method;
use serde_json::{Map, Value, json};

const PATH: &str = "/api/v1/connectors/send";

pub(super) async fn run(verb: ConnectorVerb) -> Result<()> {
    let ConnectorVerb::Send(verb) = verb;
    match verb {
        SendVerb::New(settings) => {
            let body = body(&settings, true)?;
            change(&settings.change, Method::POST, PATH, "", Some(&body)).await
        }
        SendVerb::Set(settings) => {
            let (body, path) = (body(&settings, false)?, of(&settings.name));
            change(&settings.change, Method::PATCH, &path, "", Some(&body)).await
        }
        SendVerb::Get { name: Some(name), reach } => ask(&reach, &of(&name)).await,
        SendVerb::Get { name: None, reach } | SendVerb::List(reach) => ask(&reach, PATH).await,
        SendVerb::Remove { name, change: reach } => {
            change(&reach, Method::DELETE, &of(&name), "", None).await
        }
    }
}

fn of(name: &str) -> String {
    format!("{PATH}/{}", escape(name))
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
