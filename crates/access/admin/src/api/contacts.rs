//! `/api/v1/contacts`: New-, Get-, Set-, Remove-MailContact.

use super::{
    Answer, Asked, attributes, check_free, check_level, find_contact, parse_address, restrictions,
    would,
};
use axum::Json;
use axum::extract::Path;
use contract_directory::{
    Account, AccountChange, Actor, FILTERS_LEVEL, FlowChange, NewContact, RECIPIENTS_LEVEL,
};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a new contact is made from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// Of ours, or the external one; that is also meant where it is absent.
    address: Option<String>,
    #[serde(default)]
    display_name: String,
    external: String,
}

/// What is to be changed of a contact.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    display_name: Option<String>,
    external: Option<String>,
    add_aliases: Vec<String>,
    remove_aliases: Vec<String>,
    authenticated_only: Option<bool>,
    restrictions: restrictions::Said,
    attributes: attributes::Said,
}

fn view(contact: &Account) -> Value {
    json!({
        "address": contact.address.to_string(),
        "display_name": contact.display_name,
        "external": contact.flow.external.as_ref().map(ToString::to_string),
        "aliases": contact.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "authenticated_only": contact.flow.authenticated_only,
        "attributes": attributes::view(&contact.attributes),
        "id": contact.id.to_string(),
    })
}

pub(super) async fn list(asked: Asked) -> Answer {
    let Asked { admin, options } = asked;
    let contacts = admin.changes.list_contacts(options.after.as_deref(), options.limit()).await?;
    Ok(Json(Value::Array(contacts.iter().map(|contact| view(contact)).collect())))
}

pub(super) async fn show(asked: Asked, Path(address): Path<String>) -> Answer {
    let contact = find_contact(&asked.admin, &address).await?;
    let mut shown = view(&contact);
    shown["restrictions"] = restrictions::view(&asked.admin, &contact.flow.restrictions).await;
    Ok(Json(shown))
}

pub(super) async fn create(asked: Asked, Json(new): Json<New>) -> Answer {
    let Asked { admin, options } = asked;
    check_level(&admin, RECIPIENTS_LEVEL)?;
    let external = parse_address(&new.external)?;
    let address = match &new.address {
        Some(address) => parse_address(address)?,
        None => external.clone(),
    };
    if options.what_if {
        if address != external {
            check_free(&admin, &address).await?;
        }
        return would(format!("make the contact {address} for {external}"));
    }
    let new = NewContact { address, display_name: new.display_name, external };
    let contact = admin.changes.create_contact(&Actor::Operator, new).await?;
    Ok(Json(view(&contact)))
}

pub(super) async fn change(
    asked: Asked,
    Path(address): Path<String>,
    Json(change): Json<Change>,
) -> Answer {
    let Asked { admin, options } = asked;
    let contact = find_contact(&admin, &address).await?;
    let addresses = |texts: &[String]| {
        texts.iter().map(|text| parse_address(text)).collect::<Result<Vec<_>, _>>()
    };
    let external = change.external.as_deref().map(parse_address).transpose()?;
    let flow = FlowChange {
        external,
        authenticated_only: change.authenticated_only,
        restrictions: change.restrictions.change(&admin).await?,
        ..FlowChange::default()
    };
    let change = AccountChange {
        display_name: change.display_name,
        add_aliases: addresses(&change.add_aliases)?,
        remove_aliases: addresses(&change.remove_aliases)?,
        flow,
        attributes: attributes::change(change.attributes)?,
        ..AccountChange::default()
    };
    if !change.attributes.is_empty() {
        check_level(&admin, FILTERS_LEVEL)?;
    }
    if options.what_if {
        for alias in &change.add_aliases {
            check_free(&admin, alias).await?;
        }
        return would(format!("change the contact {}", contact.address));
    }
    let contact = admin.changes.update_account(&Actor::Operator, contact.id, change).await?;
    Ok(Json(view(&contact)))
}

pub(super) async fn remove(asked: Asked, Path(address): Path<String>) -> Answer {
    let Asked { admin, options } = asked;
    let contact = find_contact(&admin, &address).await?;
    if options.what_if {
        return would(format!("remove the contact {}", contact.address));
    }
    admin.changes.remove_account(&Actor::Operator, contact.id).await?;
    Ok(Json(json!({ "removed": contact.address.to_string() })))
}
