//! `/api/v1/mailboxes`: New-, Get-, Set-, Remove-Mailbox.

use super::{Admin, Answer, Asked, check_free, find_account, find_accounts, parse_address, would};
use axum::Json;
use axum::extract::Path;
use base::Error;
use contract_directory::{
    Account, AccountChange, AccountKind, Actor, NewAccount, Quota, Role, Secret,
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
    administrator: Option<bool>,
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
        "smtp_sent_copy": account.smtp_sent_copy,
        "administrator": account.role == Role::OrganizationManagement,
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
    let change = resolve(&admin, change).await?;
    if options.what_if {
        for alias in &change.add_aliases {
            check_free(&admin, alias).await?;
        }
        return would(format!("change the mailbox {}", account.address));
    }
    let account = admin.changes.update_account(&Actor::Operator, account.id, change).await?;
    Ok(Json(view(&account)))
}

async fn resolve(admin: &Admin, change: Change) -> Result<AccountChange, Error> {
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
