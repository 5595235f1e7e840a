//! `rialto mailbox`.

use super::contact::{attributes, restrictions};
use super::{ask, ask_all, change};
use crate::cli::{MailboxSet, MailboxVerb};
use crate::client::escape;
use base::Result;
use hyper::Method;
use serde_json::{Map, Value, json};

const PATH: &str = "/api/v1/mailboxes";

pub(super) async fn run(verb: MailboxVerb) -> Result<()> {
    match verb {
        MailboxVerb::New { address, name, password, kind, administrator, change: reach } => {
            let body = json!({
                "address": address,
                "display_name": name,
                "password": password,
                "kind": kind,
                "administrator": administrator,
            });
            change(&reach, Method::POST, PATH, "", Some(&body)).await
        }
        MailboxVerb::Get { address: Some(address), reach } => {
            ask(&reach, &format!("{PATH}/{}", escape(&address))).await
        }
        MailboxVerb::Get { address: None, reach } => ask_all(&reach, PATH, "address").await,
        MailboxVerb::Set(set) => {
            let path = format!("{PATH}/{}", escape(&set.address));
            change(&set.change, Method::PATCH, &path, "", Some(&changes(&set))).await
        }
        MailboxVerb::Remove { address, change: reach } => {
            let path = format!("{PATH}/{}", escape(&address));
            change(&reach, Method::DELETE, &path, "", None).await
        }
    }
}

/// Only what was named.
fn changes(set: &MailboxSet) -> Value {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    put("display_name", set.name.as_ref().map(|name| json!(name)));
    put("password", set.password.as_ref().map(|password| json!(password)));
    put("enabled", set.enabled.map(Value::from));
    put("quota", set.quota_mb.as_deref().map(quota));
    put("add_aliases", Some(json!(set.add_aliases)));
    put("remove_aliases", Some(json!(set.remove_aliases)));
    put("send_as", set.send_as.as_ref().map(|accounts| json!(accounts)));
    put("full_access", set.full_access.as_ref().map(|accounts| json!(accounts)));
    put("smtp_sent_copy", set.smtp_sent_copy.map(Value::from));
    put("forward_to", set.forward_to.as_ref().map(|to| json!(to)));
    put("keep_copy", set.keep_copy.map(Value::from));
    let bytes = |mb: u64| mb.saturating_mul(1 << 20);
    put("send_bytes_max", set.send_mb_max.map(bytes).map(Value::from));
    put("recipients_max", set.recipients_max.map(Value::from));
    put("authenticated_only", set.restrict.authenticated_only.map(Value::from));
    put("restrictions", Some(restrictions(&set.restrict)));
    put("attributes", Some(attributes(&set.attributes)));
    put("litigation_hold", set.litigation_hold.map(Value::from));
    put("administrator", set.administrator.map(Value::from));
    Value::Object(body)
}

fn quota(megabytes: &[u64]) -> Value {
    let bytes = |place: usize| megabytes.get(place).map(|mb| mb.saturating_mul(1 << 20));
    json!({ "warn_bytes": bytes(0), "no_send_bytes": bytes(1), "no_receive_bytes": bytes(2) })
}
