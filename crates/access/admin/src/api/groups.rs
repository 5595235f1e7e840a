//! `/api/v1/groups`: New-, Get-, Set-, Remove-DistributionGroup and its members.

use super::{
    Admin, Answer, Asked, check_free, check_level, find_group, parse_address, restrictions, would,
};
use axum::Json;
use axum::extract::Path;
use base::{Address, Error};
use contract_directory::{
    Actor, Dynamic, FILTERS_LEVEL, Filter, Group, GroupChange, NewDynamicGroup, NewGroup,
    RECIPIENTS_LEVEL, RestrictionsChange,
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
    /// Of a dynamic group: who its members are.
    filter: Option<String>,
    /// Of a dynamic group: only those in this domain.
    in_domain: Option<String>,
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
    /// Of a dynamic group: who its members are.
    filter: Option<String>,
    /// Of a dynamic group: only those in this domain; empty: in all.
    in_domain: Option<String>,
}

fn view(group: &Group) -> Value {
    json!({
        "address": group.address.to_string(),
        "display_name": group.display_name,
        "members": group.members.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "authenticated_only": group.authenticated_only,
        "filter": group.dynamic.as_ref().map(|dynamic| &dynamic.filter),
        "in_domain": group.dynamic.as_ref().and_then(|dynamic| dynamic.domain.as_ref()),
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
    if new.filter.is_some() || new.in_domain.is_some() {
        return create_dynamic(&admin, options.what_if, address, new).await;
    }
    if options.what_if {
        check_free(&admin, &address).await?;
        return would(format!("make the group {address} with {} members", members.len()));
    }
    let New { display_name, authenticated_only, .. } = new;
    let new = NewGroup { address, display_name, members, authenticated_only };
    let group = admin.changes.create_group(&Actor::Operator, new).await?;
    Ok(Json(view(&group)))
}

/// New-DynamicDistributionGroup.
async fn create_dynamic(admin: &Admin, what_if: bool, address: Address, new: New) -> Answer {
    check_level(admin, FILTERS_LEVEL)?;
    let New { display_name, authenticated_only, filter, in_domain: domain, members, .. } = new;
    let filter = filter.ok_or_else(|| Error::invalid("a dynamic group needs a filter"))?;
    if !members.is_empty() {
        let text = "the members of a dynamic group are found by its filter, and not listed";
        return Err(Error::invalid(text).into());
    }
    Filter::parse(&filter)?;
    if what_if {
        check_free(admin, &address).await?;
        return would(format!("make the dynamic group {address} of {filter}"));
    }
    let dynamic = Dynamic { filter, domain };
    let new = NewDynamicGroup { address, display_name, authenticated_only, dynamic };
    let group = admin.changes.create_dynamic_group(&Actor::Operator, new).await?;
    Ok(Json(view(&group)))
}

/// What is to become of by what a dynamic group's members are found; `None` where nothing was said.
///
/// # Errors
/// [`base::Kind::Invalid`] for another group, or a filter that cannot be understood.
fn find_by(group: &Group, change: &mut Change) -> Result<Option<Dynamic>, Error> {
    let (filter, domain) = (change.filter.take(), change.in_domain.take());
    if filter.is_none() && domain.is_none() {
        return Ok(None);
    }
    let not_found = || format!("group {}: its members are listed, not found", group.address);
    let mut dynamic = group.dynamic.clone().ok_or_else(|| Error::invalid(not_found()))?;
    if let Some(filter) = filter {
        Filter::parse(&filter)?;
        dynamic.filter = filter;
    }
    if let Some(domain) = domain {
        dynamic.domain = Some(domain).filter(|domain| !domain.is_empty());
    }
    Ok(Some(dynamic))
}

/// Who gets what is written to the group, groups within it expanded (Exchange:
/// Get-DynamicDistributionGroupMember). A page is found from a place on, which the page before has
/// told; it may have fewer members than were asked for, and not be the last.
pub(super) async fn members(asked: Asked, Path(address): Path<String>) -> Answer {
    let Asked { admin, options } = asked;
    let group = find_group(&admin, &address).await?;
    let from = match options.after.as_deref() {
        None => 0,
        Some(text) => text.parse().map_err(|_| Error::invalid("after: not a place"))?,
    };
    let piece = admin.directory.expand(group.id, from, options.limit()).await?;
    let members: Vec<_> = piece.members.iter().map(ToString::to_string).collect();
    // Greater than what every client can tell apart as a number.
    Ok(Json(json!({ "members": members, "next": piece.next.map(|next| next.to_string()) })))
}

pub(super) async fn change(
    asked: Asked,
    Path(address): Path<String>,
    Json(mut change): Json<Change>,
) -> Answer {
    let Asked { admin, options } = asked;
    let group = find_group(&admin, &address).await?;
    let dynamic = find_by(&group, &mut change)?;
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
    let change =
        GroupChange { add, remove, display_name, authenticated_only, restrictions, dynamic };
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
