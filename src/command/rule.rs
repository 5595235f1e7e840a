//! `rialto rule`.

use super::{ask, change};
use crate::cli::{RuleTest, RuleVerb};
use crate::client::{Client, escape};
use crate::output;
use base::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::Path;

const PATH: &str = "/api/v1/rules";

pub(super) async fn run(verb: RuleVerb) -> Result<()> {
    match verb {
        RuleVerb::New(rule) => {
            let document = document(&rule.file)?;
            change(&rule.change, Method::POST, PATH, "", Some(&document)).await
        }
        RuleVerb::Replace(rule) => {
            let document = document(&rule.file)?;
            let name = document["name"].as_str().ok_or_else(|| Error::invalid("it has no name"))?;
            change(&rule.change, Method::PUT, &of(name), "", Some(&document)).await
        }
        RuleVerb::Get { name, reach } => ask(&reach, &of(&name)).await,
        RuleVerb::List(reach) => ask(&reach, PATH).await,
        RuleVerb::Export(reach) => ask(&reach, "/api/v1/rule-documents").await,
        RuleVerb::Set { name, enabled, mode, priority, change: reach } => {
            let mut body = Map::new();
            let mut set = |key: &str, value: Option<Value>| {
                if let Some(value) = value {
                    body.insert(key.to_owned(), value);
                }
            };
            set("enabled", enabled.map(Value::from));
            set("mode", mode.map(Value::from));
            set("priority", priority.map(Value::from));
            change(&reach, Method::PATCH, &of(&name), "", Some(&Value::Object(body))).await
        }
        RuleVerb::Remove { name, change: reach } => {
            change(&reach, Method::DELETE, &of(&name), "", None).await
        }
        RuleVerb::Test(test) => try_rules(&test).await,
    }
}

async fn try_rules(test: &RuleTest) -> Result<()> {
    let message = read(&test.file)?;
    let body = json!({
        "sender": test.sender,
        "is_authenticated": test.authenticated,
        "ip": test.ip,
        "recipients": test.recipients,
        "message": STANDARD.encode(message),
    });
    let client = Client::new(&test.reach.data);
    let answer = client.call(Method::POST, "/api/v1/rule-trials", Some(&body)).await?;
    output::show(test.reach.output, &answer);
    Ok(())
}

fn of(name: &str) -> String {
    format!("{PATH}/{}", escape(name))
}

/// A rule as it stands in a file.
fn document(file: &Path) -> Result<Value> {
    let text = String::from_utf8(read(file)?)
        .map_err(|_| Error::invalid(format!("{}: this is no UTF-8", file.display())))?;
    let wrong = |error: String| Error::invalid(format!("{}: {error}", file.display()));
    match text.trim_start().starts_with('{') {
        true => serde_json::from_str(&text).map_err(|error| wrong(error.to_string())),
        false => toml::from_str(&text).map_err(|error| wrong(error.to_string())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let read = match file == Path::new("-") {
        true => {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
        false => std::fs::read(file),
    };
    read.map_err(|error| Error::invalid(format!("{}: {error}", file.display())))
}
