//! `/api/v1/mailboxes`: New-, Get-, Set-, Remove-Mailbox.

use super::restrictions::{self, limit};
use super::{
    Admin, Answer, Asked, attributes, check_free, check_level, find_account, find_accounts,
    parse_address, would,
};
use axum::Json;
use axum::extract::Path;
use base::Error;
use contract_directory::{
    Account, AccountChange, AccountKind, Actor, FILTERS_LEVEL, FlowChange, Forwarding, NewAccount,
    Quota, RECIPIENTS_LEVEL, Role, Secret,
};
use contract_mailbox::{MailboxHandle, Principal};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a new mailbox is made from.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    address: String,
    #[serde(default)]
    display_name: String,
    password: Option<Secret>,
    #[serde(default)]
    kind: AccountKind,
    quota: Option<QuotaLevels>,
    #[serde(default)]
    administrator: bool,
}

/// Quota levels in bytes; an absent one is unlimited.
#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields)]
pub(super) struct QuotaLevels {
    warn_bytes: Option<u64>,
    no_send_bytes: Option<u64>,
    no_receive_bytes: Option<u64>,
}

impl From<QuotaLevels> for Quota {
    fn from(levels: QuotaLevels) -> Self {
        let QuotaLevels { warn_bytes, no_send_bytes, no_receive_bytes } = levels;
        Self { warn_bytes, no_send_bytes, no_receive_bytes }
    }
}

/// What is to be changed of a mailbox.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Change {
    display_name: Option<String>,
    password: Option<Secret>,
    enabled: Option<bool>,
    quota: Option<QuotaLevels>,
    add_aliases: Vec<String>,
    remove_aliases: Vec<String>,
    send_as: Option<Vec<String>>,
    full_access: Option<Vec<String>>,
    smtp_sent_copy: Option<bool>,
    litigation_hold: Option<bool>,
    /// Where its mail goes on to; empty: nowhere.
    forward_to: Option<String>,
    /// Whether it gets forwarded mail too.
    keep_copy: Option<bool>,
    authenticated_only: Option<bool>,
    restrictions: restrictions::Said,
    /// 0 for no limit.
    send_bytes_max: Option<u64>,
    /// 0 for no limit.
    recipients_max: Option<u32>,
    administrator: Option<bool>,
    attributes: attributes::Said,
}

fn role(administrator: bool) -> Role {
    if administrator { Role::OrganizationManagement } else { Role::None }
}

fn view(account: &Account) -> Value {
    json!({
        "address": account.address.to_string(),
        "display_name": account.display_name,
        "kind": account.kind,
        "enabled": account.enabled,
        "aliases": account.aliases.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "quota": account.quota,
        "litigation_hold": account.litigation_hold,
        "forward_to": account.flow.forwarding.as_ref().map(|one| one.to.to_string()),
        "keep_copy": account.flow.forwarding.as_ref().map(|one| one.keep_copy),
        "authenticated_only": account.flow.authenticated_only,
        "send_bytes_max": account.flow.send_bytes_max,
        "recipients_max": account.flow.recipients_max,
        "smtp_sent_copy": account.smtp_sent_copy,
        "administrator": account.role == Role::OrganizationManagement,
        "attributes": attributes::view(&account.attributes),
        "id": account.id.to_string(),
    })
}

pub(super) async fn list(asked: Asked) -> Answer {
    let Asked { admin, options } = asked;
    let accounts = admin.changes.list_accounts(options.after.as_deref(), options.limit()).await?;
    Ok(Json(Value::Array(accounts.iter().map(|account| view(account)).collect())))
}

pub(super) async fn show(asked: Asked, Path(address): Path<String>) -> Answer {
    let admin = asked.admin;
    let account = find_account(&admin, &address).await?;
    let mailboxes = admin.mailboxes.clone();
    let handle = MailboxHandle::new(mailboxes, account.id, Principal::System, admin.session);
    let usage = handle.usage().await?;
    let mut shown = view(&account);
    shown["usage"] = json!(usage);
    shown["restrictions"] = restrictions::view(&admin, &account.flow.restrictions).await;
    let slot = admin.placement.slot_of_account(account.id);
    shown["slot"] = json!(slot.number());
    shown["owner"] = json!(admin.placement.owner(slot).map(|owner| owner.node.to_string()));
    Ok(Json(shown))
}

pub(super) async fn create(asked: Asked, Json(new): Json<New>) -> Answer {
    let Asked { admin, options } = asked;
    let address = parse_address(&new.address)?;
    if options.what_if {
        check_free(&admin, &address).await?;
        return would(format!("make the mailbox {address}"));
    }
    let new = NewAccount {
        address,
        display_name: new.display_name,
        password: new.password,
        kind: new.kind,
        quota: new.quota.map(Quota::from),
        role: role(new.administrator),
    };
    let account = admin.changes.create_account(&Actor::Operator, new).await?;
    Ok(Json(view(&account)))
}

pub(super) async fn change(
    asked: Asked,
    Path(address): Path<String>,
    Json(change): Json<Change>,
) -> Answer {
    let Asked { admin, options } = asked;
    let account = find_account(&admin, &address).await?;
    let change = resolve(&admin, &account, change).await?;
    if change.flow != FlowChange::default() {
        check_level(&admin, RECIPIENTS_LEVEL)?;
    }
    if !change.attributes.is_empty() {
        check_level(&admin, FILTERS_LEVEL)?;
    }
    if options.what_if {
        for alias in &change.add_aliases {
            check_free(&admin, alias).await?;
        }
        return would(format!("change the mailbox {}", account.address));
    }
    let account = admin.changes.update_account(&Actor::Operator, account.id, change).await?;
    Ok(Json(view(&account)))
}

/// What is to become of forwarding; `None` leaves it as it is.
fn forwarding(
    known: Option<&Forwarding>,
    to: Option<&str>,
    keep_copy: Option<bool>,
) -> Result<Option<Option<Forwarding>>, Error> {
    let keeps = keep_copy.unwrap_or_else(|| known.is_some_and(|known| known.keep_copy));
    match (to, known) {
        (None, _) if keep_copy.is_none() => Ok(None),
        (None, None) => Err(Error::invalid("Its mail is not forwarded: where to?")),
        (None, Some(known)) => {
            Ok(Some(Some(Forwarding { to: known.to.clone(), keep_copy: keeps })))
        }
        (Some(""), _) => Ok(Some(None)),
        (Some(to), _) => Ok(Some(Some(Forwarding { to: parse_address(to)?, keep_copy: keeps }))),
    }
}

async fn resolve(admin: &Admin, account: &Account, change: Change) -> Result<AccountChange, Error> {
    let known = account.flow.forwarding.as_ref();
    let forwarding = forwarding(known, change.forward_to.as_deref(), change.keep_copy)?;
    let addresses = |texts: &[String]| {
        texts.iter().map(|text| parse_address(text)).collect::<Result<Vec<_>, _>>()
    };
    let send_as = match &change.send_as {
        Some(texts) => Some(find_accounts(admin, texts).await?),
        None => None,
    };
    let full_access = match &change.full_access {
        Some(texts) => Some(find_accounts(admin, texts).await?),
        None => None,
    };
    Ok(AccountChange {
        display_name: change.display_name,
        password: change.password,
        enabled: change.enabled,
        quota: change.quota.map(Quota::from),
        add_aliases: addresses(&change.add_aliases)?,
        remove_aliases: addresses(&change.remove_aliases)?,
        send_as,
        full_access,
        smtp_sent_copy: change.smtp_sent_copy,
        litigation_hold: change.litigation_hold,
        role: change.administrator.map(role),
        flow: FlowChange {
            forwarding,
            authenticated_only: change.authenticated_only,
            restrictions: change.restrictions.change(admin).await?,
            send_bytes_max: change.send_bytes_max.map(limit),
            recipients_max: change.recipients_max.map(limit),
            external: None,
        },
        attributes: attributes::change(change.attributes)?,
    })
}

pub(super) async fn remove(asked: Asked, Path(address): Path<String>) -> Answer {
    let Asked { admin, options } = asked;
    let account = find_account(&admin, &address).await?;
    if options.what_if {
        return would(format!("remove the mailbox {}", account.address));
    }
    admin.changes.remove_account(&Actor::Operator, account.id).await?;
    Ok(Json(json!({ "removed": account.address.to_string() })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::Address;

    #[test]
    fn forwarding_is_changed_by_what_is_said() {
        let to = |text: &str, keep_copy| {
            Some(Forwarding { to: Address::parse_plain(text).unwrap(), keep_copy })
        };
        let check = |known: Option<Forwarding>, said: Option<&str>, keep, expect| {
            let found = forwarding(known.as_ref(), said, keep);
            assert_eq!(found.ok(), expect, "{known:?} {said:?} {keep:?}");
        };
        check(None, None, None, Some(None));
        check(None, Some("a@x.test"), None, Some(Some(to("a@x.test", false))));
        check(None, Some("a@x.test"), Some(true), Some(Some(to("a@x.test", true))));
        check(None, None, Some(true), None);
        check(None, Some("nobody"), None, None);
        let known = to("a@x.test", true);
        check(known.clone(), None, None, Some(None));
        check(known.clone(), Some("b@x.test"), None, Some(Some(to("b@x.test", true))));
        check(known.clone(), None, Some(false), Some(Some(to("a@x.test", false))));
        check(known, Some(""), None, Some(Some(None)));
    }
}
