//! Removing an account's entry: its addresses, password and rights go at once. A row remains that
//! tells which mailbox is to be swept. Groups that list the address keep it, as they would keep a
//! stranger's; grants to the id are harmless, because ids are never reused.

use super::{Effects, Plan};
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader};
use crate::rows::{Changed, RemovedRow, Row, Target};
use async_trait::async_trait;
use base::{AccountId, Error, Timestamp};

pub(crate) struct RemoveAccount {
    pub(crate) id: AccountId,
}

#[async_trait]
impl Plan for RemoveAccount {
    fn action(&self) -> &'static str {
        "account.remove"
    }

    async fn apply(&self, reader: Reader<'_>, now: Timestamp) -> ReadResult<Effects> {
        let found = reader.account(self.id).await?;
        let account = found.ok_or_else(|| Error::not_found(format!("account {}", self.id)))?;
        let tx = reader.tx;
        for name in account.addresses().filter_map(Name::of) {
            let row = reader.name(&name).await?;
            if row.is_some_and(|row| row.target == Target::Account(self.id)) {
                tx.clear(&keys::name(&name));
            }
        }
        tx.clear(&keys::account(self.id));
        tx.clear(&keys::password(self.id));
        tx.clear(&keys::administrator(self.id));
        tx.set(&keys::removed(self.id), &RemovedRow::new(&account, now).to_bytes()?);
        Ok(Effects {
            id: self.id.0,
            changed: vec![Changed::Account(self.id)],
            target: format!("{} ({})", account.address, self.id),
            parameters: String::new(),
        })
    }
}
