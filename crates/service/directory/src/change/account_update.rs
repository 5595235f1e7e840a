//! Changing an account. What is already as asked stays so without complaint, so a change may be
//! asked for again.

use super::{Effects, Plan, check_domain, check_free, flow, membership, run, set_name};
use crate::config::{ALIASES_MAX, GRANTS_MAX, LEAVE_CHUNK};
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader};
use crate::rows::{AccountRow, Changed, PasswordRow, Row, Target};
use crate::service::Shared;
use crate::shares;
use crate::validate::{self, shown};
use async_trait::async_trait;
use base::{AccountId, Address, Error, Kind, Result, Timestamp};
use contract_directory::{Account, AccountChange, AccountKind, Actor, FlowChange, Role};
use std::fmt::Write;

/// Makes the change.
pub(crate) async fn update(
    shared: &Shared,
    actor: &Actor,
    id: AccountId,
    change: AccountChange,
) -> Result<()> {
    if let Some(name) = &change.display_name {
        validate::display_name(name)?;
    }
    if let Some(quota) = &change.quota {
        validate::quota(quota)?;
    }
    for (attribute, value) in &change.attributes {
        validate::attribute(*attribute, value)?;
    }
    let add = change
        .add_aliases
        .iter()
        .map(|alias| Ok((validate::own_address(alias)?, alias.clone())))
        .collect::<Result<Vec<_>>>()?;
    let mut password = None;
    if let Some(secret) = &change.password {
        validate::password(secret)?;
        let phc = shared.login.hasher.hash(secret, &*shared.env.random).await?;
        password = Some(PasswordRow { phc, shared_salt: false });
    }
    run(shared, actor, &UpdateAccount { id, change, add, password }).await.map(|_| ())
}

struct UpdateAccount {
    id: AccountId,
    change: AccountChange,
    add: Vec<(Name, Address)>,
    password: Option<PasswordRow>,
}

#[async_trait]
impl Plan for UpdateAccount {
    fn action(&self) -> &'static str {
        "account.update"
    }

    async fn apply(&self, reader: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        let found = reader.account(self.id).await?;
        let mut account = found.ok_or_else(|| Error::not_found(format!("account {}", self.id)))?;
        let mut changed = vec![Changed::Account(self.id)];
        self.remove_aliases(reader, &mut account, &mut changed).await?;
        self.add_aliases(reader, &mut account).await?;
        self.grant(reader, &mut account).await?;
        self.set_password(reader, &mut account)?;
        self.set_role(reader, &mut account);
        let AccountChange { display_name, enabled, quota, smtp_sent_copy, litigation_hold, .. } =
            &self.change;
        if let Some(name) = display_name {
            account.display_name.clone_from(name);
        }
        account.enabled = enabled.unwrap_or(account.enabled);
        account.quota = quota.unwrap_or(account.quota);
        account.smtp_sent_copy = smtp_sent_copy.unwrap_or(account.smtp_sent_copy);
        account.litigation_hold = litigation_hold.unwrap_or(account.litigation_hold);
        for (attribute, value) in &self.change.attributes {
            account.attributes.set(*attribute, value);
        }
        let (known, asked) = (&account.flow.restrictions, &self.change.flow.restrictions);
        flow::check_parties(reader, known, asked).await?;
        flow::change(&mut account, &self.change.flow)?;
        let FlowChange { external, forwarding, .. } = &self.change.flow;
        if !self.add.is_empty() || external.is_some() || forwarding.is_some() {
            flow::check_round(reader, &account).await?;
        }
        reader.tx.set(&keys::account(self.id), &AccountRow::from(&account).to_bytes()?);
        Ok(Effects {
            id: self.id.0,
            changed,
            target: format!("{} ({})", account.address, self.id),
            parameters: self.describe(),
        })
    }
}

impl UpdateAccount {
    /// Takes addresses away. Groups that list one list the primary address instead: they mean the
    /// person.
    async fn remove_aliases(
        &self,
        reader: Reader<'_>,
        account: &mut Account,
        changed: &mut Vec<Changed>,
    ) -> ReadResult<()> {
        for alias in &self.change.remove_aliases {
            let Some(name) = Name::of(alias) else {
                continue;
            };
            if name.is_of(&account.address) {
                let text = format!("{} is the primary address, not an alias", shown(alias));
                return Err(Error::invalid(text).into());
            }
            if !account.aliases.iter().any(|kept| name.is_of(kept)) {
                continue;
            }
            account.aliases.retain(|kept| !name.is_of(kept));
            reader.tx.clear(&keys::name(&name));
            let groups = membership::leave_some(reader, &[name]).await?;
            if changed.len() + groups.len() > LEAVE_CHUNK {
                let text = format!("{} is listed in too many groups", shown(alias));
                return Err(Error::new(Kind::Limit, text).into());
            }
            let primary: Vec<_> = Name::of(&account.address)
                .map(|name| (name, account.address.clone()))
                .into_iter()
                .collect();
            for group in &groups {
                membership::join(reader.tx, *group, &primary)?;
            }
            changed.extend(membership::changed(groups));
        }
        Ok(())
    }

    async fn add_aliases(&self, reader: Reader<'_>, account: &mut Account) -> ReadResult<()> {
        let me = Target::Account(self.id);
        for (name, alias) in &self.add {
            check_domain(reader, &name.domain).await?;
            if check_free(reader, name, alias, Some(me)).await? {
                continue;
            }
            set_name(reader.tx, name, me, false)?;
            account.aliases.push(Address::new(alias.local.as_str(), &name.domain));
        }
        if account.aliases.len() > ALIASES_MAX {
            let text = format!("account {}: more than {ALIASES_MAX} aliases", account.address);
            return Err(Error::new(Kind::Limit, text).into());
        }
        Ok(())
    }

    async fn grant(&self, reader: Reader<'_>, account: &mut Account) -> ReadResult<()> {
        let AccountChange { send_as, full_access, .. } = &self.change;
        let had_full_access = account.full_access.clone();
        for (asked, kept, what) in [
            (send_as, &mut account.send_as, "Send As"),
            (full_access, &mut account.full_access, "Full Access"),
        ] {
            let Some(asked) = asked else { continue };
            let mut grants = asked.clone();
            grants.sort_unstable();
            grants.dedup();
            if grants.len() > GRANTS_MAX {
                let text = format!("{what}: more than {GRANTS_MAX} accounts");
                return Err(Error::new(Kind::Limit, text).into());
            }
            for id in &grants {
                // Those who had the right before may be gone by now; that is no reason to refuse.
                if !kept.contains(id) && reader.account(*id).await?.is_none() {
                    return Err(Error::not_found(format!("{what}: account {id}")).into());
                }
            }
            *kept = grants;
        }
        if full_access.is_some() {
            shares::change(reader.tx, account.id, &had_full_access, &account.full_access);
        }
        Ok(())
    }

    fn set_password(&self, reader: Reader<'_>, account: &mut Account) -> Result<()> {
        let Some(password) = &self.password else {
            return Ok(());
        };
        if account.kind != AccountKind::User {
            let text = format!("account {}: only a user mailbox has a password", account.address);
            return Err(Error::invalid(text));
        }
        reader.tx.set(&keys::password(self.id), &password.to_bytes()?);
        // Sessions that were begun with the old password end.
        account.credentials = account.credentials.saturating_add(1);
        Ok(())
    }

    fn set_role(&self, reader: Reader<'_>, account: &mut Account) {
        let Some(role) = self.change.role else { return };
        account.role = role;
        let key = keys::administrator(self.id);
        match role {
            Role::None => reader.tx.clear(&key),
            Role::OrganizationManagement => reader.tx.set(&key, &[]),
        }
    }

    /// The parameters for the audit.
    fn describe(&self) -> String {
        let AccountChange {
            display_name,
            password,
            enabled,
            quota,
            add_aliases,
            remove_aliases,
            send_as,
            full_access,
            smtp_sent_copy,
            litigation_hold,
            role,
            flow,
            attributes,
        } = &self.change;
        let mut text = String::new();
        let mut say = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                // Writing to a string cannot fail.
                let _ = write!(text, "{}{name}={value}", if text.is_empty() { "" } else { " " });
            }
        };
        say("display_name", display_name.as_ref().map(|v| format!("{v:?}")));
        say("password", password.as_ref().map(|_| "set".to_owned()));
        say("enabled", enabled.map(|v| v.to_string()));
        say("quota", quota.map(|v| format!("{v:?}")));
        say("add_aliases", list(add_aliases));
        say("remove_aliases", list(remove_aliases));
        say("send_as", send_as.as_ref().map(|v| format!("{v:?}")));
        say("full_access", full_access.as_ref().map(|v| format!("{v:?}")));
        say("smtp_sent_copy", smtp_sent_copy.map(|v| v.to_string()));
        say("litigation_hold", litigation_hold.map(|v| v.to_string()));
        say("role", role.map(|v| format!("{v:?}")));
        let attributes = (!attributes.is_empty()).then_some(attributes);
        say("attributes", attributes.map(super::flow::shown_change));
        say("mail_flow", (*flow != FlowChange::default()).then(|| super::flow::shown_change(flow)));
        text
    }
}

/// Addresses for the audit, as many as a row can hold; `None` where there are none.
fn list(addresses: &[Address]) -> Option<String> {
    (!addresses.is_empty()).then(|| super::group::listed(addresses))
}
