//! `/api/v1/domains/{name}/dkim`: the keys that sign a domain's mail (New-, Get-,
//! Set-DkimSigningConfig).
//!
//! A private key is made on the server and never comes out.

use super::{Answer, Asked, would};
use axum::Json;
use axum::extract::Path;
use base::Error;
use chrono::{DateTime, SecondsFormat};
use contract_directory::Actor;
use contract_transport::signing::{KeyAlgorithm, KeyState, NewKey, ShownKey};
use serde::Deserialize;
use serde_json::{Value, json};

/// The longest string of a TXT record, in bytes (RFC 1035 §3.3).
const STRING_BYTES_MAX: usize = 255;

/// What a new key is made from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    algorithm: Option<String>,
    selector: Option<String>,
}

pub(super) async fn list(asked: Asked, Path(domain): Path<String>) -> Answer {
    let keys = asked.admin.signing.signing_keys(&domain).await?;
    Ok(Json(Value::Array(keys.iter().map(row).collect())))
}

pub(super) async fn create(
    asked: Asked,
    Path(domain): Path<String>,
    Json(New { algorithm, selector }): Json<New>,
) -> Answer {
    let algorithm = algorithm.as_deref().map_or(Ok(KeyAlgorithm::Rsa), read_algorithm)?;
    let new = NewKey { domain, selector: selector.map(|name| name.to_lowercase()), algorithm };
    if asked.what_if() {
        let name = asked.admin.signing.check_signing_key(&new).await?;
        return would(format!("make the {} key of the record {name}", algorithm.word()));
    }
    let key = asked.admin.signing.create_signing_key(&Actor::Operator, new).await?;
    Ok(Json(view(&key)))
}

pub(super) async fn steer(
    asked: Asked,
    Path((domain, selector, verb)): Path<(String, String, String)>,
) -> Answer {
    let state = match verb.as_str() {
        "activate" => KeyState::Active,
        "retire" => KeyState::Retired,
        _ => return Err(Error::not_found(format!("The verb {verb}")).into()),
    };
    let key = find(&asked, &domain, &selector).await?;
    if asked.what_if() {
        let name = key.name();
        return match state {
            KeyState::Active => would(format!("sign with {name}, and with no other of its kind")),
            _ => would(format!("sign with {name} no more")),
        };
    }
    let (signing, actor) = (&asked.admin.signing, Actor::Operator);
    let key = match state {
        KeyState::Active => signing.activate_signing_key(&actor, &domain, &selector).await?,
        _ => signing.retire_signing_key(&actor, &domain, &selector).await?,
    };
    Ok(Json(view(&key)))
}

pub(super) async fn remove(
    asked: Asked,
    Path((domain, selector)): Path<(String, String)>,
) -> Answer {
    let key = find(&asked, &domain, &selector).await?;
    if asked.what_if() {
        return would(format!("destroy the key of {}", key.name()));
    }
    asked.admin.signing.remove_signing_key(&Actor::Operator, &domain, &selector).await?;
    Ok(Json(json!({ "removed": key.name() })))
}

async fn find(asked: &Asked, domain: &str, selector: &str) -> Result<ShownKey, Error> {
    let keys = asked.admin.signing.signing_keys(domain).await?;
    let found = keys.into_iter().find(|key| key.selector.eq_ignore_ascii_case(selector));
    found.ok_or_else(|| Error::not_found(format!("The DKIM key {selector} of {domain}")))
}

fn read_algorithm(word: &str) -> Result<KeyAlgorithm, Error> {
    let found = KeyAlgorithm::ALL.into_iter().find(|one| one.word().eq_ignore_ascii_case(word));
    found.ok_or_else(|| Error::invalid("the algorithm is rsa or ed25519"))
}

/// A key in a list.
fn row(key: &ShownKey) -> Value {
    let created = DateTime::from_timestamp_millis(key.created.unix_ms).unwrap_or_default();
    json!({
        "selector": key.selector,
        "algorithm": key.algorithm.word(),
        "state": key.state.word(),
        "created": created.to_rfc3339_opts(SecondsFormat::Secs, true),
        "record": key.name(),
    })
}

/// A key, with what to publish.
fn view(key: &ShownKey) -> Value {
    let mut view = row(key);
    view["txt"] = strings(&key.record).into();
    view
}

/// A text as the strings of a TXT record, quoted as zone files have them.
pub(super) fn strings(text: &str) -> String {
    let mut all = Vec::new();
    let mut rest = text;
    loop {
        let (one, after) = rest.split_at(rest.floor_char_boundary(STRING_BYTES_MAX));
        all.push(format!("\"{}\"", one.replace('\\', "\\\\").replace('"', "\\\"")));
        rest = after;
        if rest.is_empty() {
            return all.join(" ");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Timestamp;

    #[test]
    fn a_record_is_parted_into_strings() {
        let check = |text: &str, expect: &str| assert_eq!(strings(text), expect);
        check("", "\"\"");
        check("v=DKIM1; p=x", "\"v=DKIM1; p=x\"");
        check("a\"b\\c", "\"a\\\"b\\\\c\"");
        let long = "x".repeat(600);
        let lengths: Vec<_> = strings(&long).split(' ').map(str::len).collect();
        assert_eq!(lengths, [257, 257, 92]);
        assert_eq!(strings(&long).replace(['"', ' '], ""), long);
        check(&"x".repeat(255), &format!("\"{}\"", "x".repeat(255)));
    }

    #[test]
    fn a_key_is_shown_with_what_to_publish() {
        let key = ShownKey {
            domain: "rialto.test".into(),
            selector: "s1".into(),
            algorithm: KeyAlgorithm::Ed25519,
            record: "v=DKIM1; k=ed25519; p=AAAA".into(),
            state: KeyState::Prepared,
            created: Timestamp { unix_ms: 1_795_392_000_000 },
        };
        let expect = json!({
            "selector": "s1",
            "algorithm": "ed25519",
            "state": "prepared",
            "created": "2026-11-23T00:00:00Z",
            "record": "s1._domainkey.rialto.test",
            "txt": "\"v=DKIM1; k=ed25519; p=AAAA\"",
        });
        assert_eq!(view(&key), expect);
        assert!(read_algorithm("RSA").is_ok() && read_algorithm("dsa").is_err());
    }
}
