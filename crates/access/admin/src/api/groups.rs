//! `/api/v1/groups`: New-, Get-, Set-, Remove-DistributionGroup and its members.

use super::{
    Answer, Asked, check_free, check_level, find_group, parse_address, restrictions, would,
};
use axum::Json;
use axum::extract::Path;
use base::{Address, Error};
use contract_directory::{
    Actor, Group, GroupChange, NewGroup, RECIPIENTS_LEVEL, RestrictionsChange,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a new group is made from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    address: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    members: Vec<String>,
    /// Exchange's default: only people who have signed in may write to a group.
    #[serde(default = "yes")]
    authenticated_only: bool,
}

fn yes() -> bool {
    true
}

/// What is to be changed of a group.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    add: Vec<String>,
    remove: Vec<String>,
    display_name: Option<String>,
    authenticated_only: Option<bool>,
    restrictions: restrictions::Said,
}

fn view(group: &Group) -> Value {
    json!({
        "address": group.address.to_string(),
        "display_name": group.display_name,
        "members": group.members.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "authenticated_only": group.authenticated_only,
    })
}

fn addresses(texts: &[String]) -> Result<Vec<Address>, Error> {
    texts.iter().map(|text| parse_address(text)).collect()
}

pub(super) async fn list(asked: Asked) -> Answer {
    let Asked { admin, options } = asked;
    let groups = admin.changes.list_groups(options.after.as_deref(), options.limit()).await?;
    Ok(Json(Value::Array(groups.iter().map(|group| view(group)).collect())))
}

pub(super) async fn show(asked: Asked, Path(address): Path<String>) -> Answer {
    let admin = asked.admin;
    let group = find_group(&admin, &address).await?;
    let mut shown = view(&group);
    shown["restrictions"] = restrictions::view(&admin, &group.restrictions).await;
    Ok(Json(shown))
}

pub(super) async fn create(asked: Asked, Json(new): Json<New>) -> Answer {
    let Asked { admin, options } = asked;
    let address = parse_address(&new.address)?;
    let members = addresses(&new.members)?;
    if options.what_if {
        check_free(&admin, &address).await?;
        return would(format!("make the group {address} with {} members", members.len()));
    }
    let New { display_name, authenticated_only, .. } = new;
    let new = NewGroup { address, display_name, members, authenticated_only };
    let group = admin.changes.create_group(&Actor::Operator, new).await?;
    Ok(Json(view(&group)))
}

pub(super) async fn change(
    asked: Asked,
    Path(address): Path<String>,
    Json(change): Json<Change>,
) -> Answer {
    let Asked { admin, options } = asked;
    let group = find_group(&admin, &address).await?;
    let (add, remove) = (addresses(&change.add)?, addresses(&change.remove)?);
    let restrictions = change.restrictions.change(&admin).await?;
    if restrictions != RestrictionsChange::default() {
        check_level(&admin, RECIPIENTS_LEVEL)?;
    }
    if options.what_if {
        let (more, fewer) = (add.len(), remove.len());
        return would(format!("change {}: add {more} members, remove {fewer}", group.address));
    }
    let Change { display_name, authenticated_only, .. } = change;
    let change = GroupChange { add, remove, display_name, authenticated_only, restrictions };
    let group = admin.changes.update_group(&Actor::Operator, group.id, change).await?;
    Ok(Json(view(&group)))
}

pub(super) async fn remove(asked: Asked, Path(address): Path<String>) -> Answer {
    let Asked { admin, options } = asked;
    let group = find_group(&admin, &address).await?;
    if options.what_if {
        return would(format!("remove the group {}", group.address));
    }
    admin.changes.remove_group(&Actor::Operator, group.id).await?;
    Ok(Json(json!({ "removed": group.address.to_string() })))
}
