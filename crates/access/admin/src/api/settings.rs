//! `/api/v1/settings`: settings of the organisation that are one word each (Get-, Set-TransportConfig).

use super::{Admin, Answer, Asked, would};
use axum::Json;
use axum::extract::Path;
use base::Error;
use contract_directory::Actor;
use contract_transport::setting::{KNOWN, OrganisationSettings, Setting, known};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a setting is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    value: String,
}

/// Those that are set, and those that could be.
pub(super) async fn list(asked: Asked) -> Answer {
    let set = asked.admin.settings.settings().await?;
    let mut rows: Vec<Value> = set.iter().map(|one| row(&one.name, Some(&one.value))).collect();
    let unset = KNOWN
        .iter()
        .filter(|known| !known.name.ends_with('.') && set.iter().all(|one| one.name != known.name));
    rows.extend(unset.map(|known| row(known.name, None)));
    rows.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    Ok(Json(Value::Array(rows)))
}

fn row(name: &str, value: Option<&str>) -> Value {
    let known = known(name).ok();
    let default = known.map(|known| known.default.unwrap_or("as each node's file says"));
    json!({
        "name": name,
        "value": value.or(default),
        "set": value.is_some(),
        "values": known.map(|known| known.values),
        "about": known.map(|known| known.about),
    })
}

pub(super) async fn set(
    asked: Asked,
    Path(name): Path<String>,
    Json(wanted): Json<Wanted>,
) -> Answer {
    let setting = Setting::new(&name, &wanted.value)?;
    let before = value(&*asked.admin.settings, &setting.name).await?;
    let answer = json!({ "name": setting.name, "from": before, "to": setting.value });
    if asked.what_if() {
        return would(answer);
    }
    asked.admin.settings.set(&Actor::Operator, setting).await?;
    Ok(Json(answer))
}

pub(super) async fn reset(asked: Asked, Path(name): Path<String>) -> Answer {
    let name = name.to_lowercase();
    let known = known(&name)?;
    let before = value(&*asked.admin.settings, &name).await?;
    let before = before.ok_or_else(|| Error::not_found(format!("The setting {name}")))?;
    if asked.what_if() {
        let default = known.default.unwrap_or("what each node's file says");
        return would(json!({ "name": name, "from": before, "to": default }));
    }
    asked.admin.settings.reset(&Actor::Operator, &name).await?;
    Ok(Json(json!({ "reset": name })))
}

/// What a setting is now, in the store.
pub(super) async fn value(
    settings: &dyn OrganisationSettings,
    name: &str,
) -> Result<Option<String>, Error> {
    let all = settings.settings().await?;
    Ok(all.into_iter().find(|one| one.name == name).map(|one| one.value))
}

/// A connector as it is shown, with how much of its conversations is logged.
pub(super) fn with_log(admin: &Admin, kind: &str, mut view: Value) -> Value {
    let name = format!("{kind}{}", view["name"].as_str().unwrap_or_default());
    let level = admin.settings.setting(&name).unwrap_or_else(|| "none".to_owned());
    view["protocol_log"] = Value::String(level);
    view
}

/// Takes back what is set of the log of a connector that is removed.
pub(super) async fn forget_log(admin: &Admin, kind: &str, connector: &str) -> Result<(), Error> {
    let name = format!("{kind}{connector}");
    if value(&*admin.settings, &name).await?.is_none() {
        return Ok(());
    }
    admin.settings.reset(&Actor::Operator, &name).await
}
