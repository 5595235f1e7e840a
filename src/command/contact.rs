//! `rialto contact`.

use super::{ask, ask_all, change};
use crate::cli::{AttributeValues, ContactSet, ContactVerb, Restrict};
use crate::client::escape;
use base::Result;
use hyper::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/contacts";

pub(super) async fn run(verb: ContactVerb) -> Result<()> {
    let of = |address: &str| format!("{PATH}/{}", escape(address));
    match verb {
        ContactVerb::New { external, address, name, change: reach } => {
            let body = json!({ "external": external, "address": address, "display_name": name });
            change(&reach, Method::POST, PATH, "", Some(&body)).await
        }
        ContactVerb::Get { address: Some(address), reach } => ask(&reach, &of(&address)).await,
        ContactVerb::Get { address: None, reach } => ask_all(&reach, PATH, "address").await,
        ContactVerb::Set(set) => {
            let ContactSet { external, name, add_aliases, remove_aliases, restrict, .. } = &*set;
            let body = json!({
                "external": external,
                "display_name": name,
                "add_aliases": add_aliases,
                "remove_aliases": remove_aliases,
                "authenticated_only": restrict.authenticated_only,
                "restrictions": restrictions(restrict),
                "attributes": attributes(&set.attributes),
            });
            change(&set.change, Method::PATCH, &of(&set.address), "", Some(&body)).await
        }
        ContactVerb::Remove { address, change: reach } => {
            change(&reach, Method::DELETE, &of(&address), "", None).await
        }
    }
}

/// What was said of somebody's attributes.
pub(super) fn attributes(said: &AttributeValues) -> Value {
    let AttributeValues { department, company, office, title, city, state, country, custom } = said;
    let named = [
        ("department", department),
        ("company", company),
        ("office", office),
        ("title", title),
        ("city", city),
        ("state", state),
        ("country", country),
    ];
    let named = named
        .into_iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| (name.to_owned(), json!(value))));
    let custom = custom.iter().map(|(number, value)| (format!("custom{number}"), json!(value)));
    Value::Object(named.chain(custom).collect())
}

/// What was said of who may write to somebody.
pub(super) fn restrictions(restrict: &Restrict) -> Value {
    let Restrict { accept_from, reject_from, receive_mb_max, .. } = restrict;
    json!({
        "accept_from": accept_from,
        "reject_from": reject_from,
        "receive_bytes_max": receive_mb_max.map(|mb| mb.saturating_mul(1 << 20)),
    })
}
