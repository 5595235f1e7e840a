//! `rialto scanner`.

use super::{ask, change};
use crate::cli::{ScannerSettings, ScannerVerb};
use crate::client::{Client, escape};
use crate::output;
use base::{Error, Result};
use hyper::Method;
use serde_json::{Map, Value, json};

const PATH: &str = "/api/v1/scanners";

pub(super) async fn run(verb: ScannerVerb) -> Result<()> {
    match verb {
        ScannerVerb::New(settings) => {
            let body = body(&settings, true)?;
            change(&settings.change, Method::POST, PATH, "", Some(&body)).await
        }
        ScannerVerb::Set(settings) => {
            let (body, path) = (body(&settings, false)?, of(&settings.name));
            change(&settings.change, Method::PATCH, &path, "", Some(&body)).await
        }
        ScannerVerb::Get { name: Some(name), reach } => ask(&reach, &of(&name)).await,
        ScannerVerb::Get { name: None, reach } | ScannerVerb::List(reach) => {
            ask(&reach, PATH).await
        }
        ScannerVerb::Remove { name, change: reach } => {
            change(&reach, Method::DELETE, &of(&name), "", None).await
        }
        ScannerVerb::Test { name, reach } => {
            let path = format!("{}/test", of(&name));
            let answer = Client::new(&reach.data).call(Method::POST, &path, None).await?;
            output::show(reach.output, &answer);
            let trials = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            // Scripts go by the exit code.
            match trials.iter().any(|trial| trial["answered"] == json!(false)) {
                true => Err(Error::unavailable("the scanner did not answer everything")),
                false => Ok(()),
            }
        }
    }
}

fn of(name: &str) -> String {
    format!("{PATH}/{}", escape(name))
}

/// What is to be said to the node: only what was given.
fn body(settings: &ScannerSettings, is_new: bool) -> Result<Value> {
    const MB: u64 = 1 << 20;
    let mut body = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let deadline = settings.deadline_s.map(|s| match s {
        0.0..=1e6 => Ok((s * 1000.0).round() as u64),
        _ => Err(Error::invalid(format!("{s} is no time in seconds"))),
    });
    set("name", is_new.then(|| json!(settings.name)));
    set("protocol", settings.protocol.clone().map(Value::from));
    set("place", settings.place.clone().map(Value::from));
    set("enabled", settings.enabled.map(Value::from));
    set("order", settings.order.map(Value::from));
    set("sees", settings.sees.clone().map(Value::from));
    set("on_failure", settings.on_failure.clone().map(Value::from));
    set("on_found", settings.on_found.clone().map(Value::from));
    set("deadline_ms", deadline.transpose()?.map(Value::from));
    let size_bytes = settings.size_mb_max.map(|size_mb| size_mb.saturating_mul(MB));
    set("size_bytes_max", size_bytes.map(Value::from));
    set("connections_max", settings.connections_max.map(Value::from));
    Ok(Value::Object(body))
}
