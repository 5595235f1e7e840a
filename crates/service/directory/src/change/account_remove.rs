//! Removing an account's entry: its addresses, password, rights and memberships go at once. A row
//! remains that tells which mailbox is to be purged, and when it may be. Grants to the id are
//! harmless, because ids are never reused.

use super::{Effects, Plan, membership, run};
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader, view};
use crate::rows::{Changed, RemovedRow, Row, Target};
use crate::service::Shared;
use crate::shares;
use async_trait::async_trait;
use base::{AccountId, Error, Kind, Result, Timestamp};
use contract_directory::{Account, AccountKind, Actor};
use futures::FutureExt;

/// Removes the entry.
pub(crate) async fn remove(shared: &Shared, actor: &Actor, id: AccountId) -> Result<()> {
    let found = view(&shared.store, |reader| reader.account_owned(id).boxed()).await?;
    let account = found.ok_or_else(|| not_found(id))?;
    check_hold(&account)?;
    membership::leave_most(shared, actor, names(&account)).await?;
    run(shared, actor, &RemoveAccount { id }).await.map(|_| ())
}

/// Forgets what was removed.
pub(crate) async fn forget(shared: &Shared, actor: &Actor, id: AccountId) -> Result<()> {
    let key = keys::removed(id);
    let is_there = view(&shared.store, |reader| {
        let key = key.clone();
        async move { Ok(reader.row::<RemovedRow>(&key).await?.is_some()) }.boxed()
    });
    if is_there.await? {
        run(shared, actor, &ForgetRemoved { id }).await?;
    }
    Ok(())
}

fn names(account: &Account) -> Vec<Name> {
    account.addresses().filter_map(Name::of).collect()
}

fn not_found(id: AccountId) -> Error {
    Error::not_found(format!("account {id}"))
}

fn check_hold(account: &Account) -> Result<()> {
    if account.litigation_hold {
        let text = format!("account {}: it is on litigation hold; end that first", account.address);
        return Err(Error::new(Kind::Conflict, text));
    }
    Ok(())
}

struct RemoveAccount {
    id: AccountId,
}

#[async_trait]
impl Plan for RemoveAccount {
    fn action(&self) -> &'static str {
        "account.remove"
    }

    async fn apply(&self, reader: Reader<'_>, now: Timestamp) -> ReadResult<Effects> {
        let account = reader.account(self.id).await?.ok_or_else(|| not_found(self.id))?;
        check_hold(&account)?;
        let tx = reader.tx;
        let names = names(&account);
        for name in &names {
            let row = reader.name(name).await?;
            if row.is_some_and(|row| row.target == Target::Account(self.id)) {
                tx.clear(&keys::name(name));
            }
        }
        let mut changed = vec![Changed::Account(self.id)];
        changed.extend(membership::changed(membership::leave_some(reader, &names).await?));
        tx.clear(&keys::account(self.id));
        tx.clear(&keys::password(self.id));
        tx.clear(&keys::administrator(self.id));
        shares::forget(tx, &account);
        match (account.kind, Name::of(&account.address)) {
            // There is no mailbox to be purged.
            (AccountKind::Contact, name) => {
                name.iter().for_each(|name| tx.clear(&keys::contact_order(name)));
            }
            _ => tx.set(&keys::removed(self.id), &RemovedRow::new(&account, now).to_bytes()?),
        }
        Ok(Effects {
            id: self.id.0,
            target: format!("{} ({})", account.address, self.id),
            parameters: format!("groups={}", changed.len() - 1),
            changed,
        })
    }
}

struct ForgetRemoved {
    id: AccountId,
}

#[async_trait]
impl Plan for ForgetRemoved {
    fn action(&self) -> &'static str {
        "account.purge"
    }

    async fn apply(&self, reader: Reader<'_>, _: Timestamp) -> ReadResult<Effects> {
        reader.tx.clear(&keys::removed(self.id));
        Ok(Effects {
            id: self.id.0,
            changed: Vec::new(),
            target: self.id.to_string(),
            parameters: String::new(),
        })
    }
}
