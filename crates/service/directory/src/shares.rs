//! To whose mailboxes somebody has Full Access: rows beside the accounts, written in the same
//! transaction as the grant, so that nobody has to look through all accounts.
//!
//! Accounts that were granted before there were such rows get them once, when trimming begins.

use crate::keys;
use crate::read::{Reader, view};
use crate::rows::{AccountRow, Row};
use crate::service::Shared;
use base::{AccountId, Result};
use bytes::Bytes;
use contract_directory::Account;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Transaction, transact,
};
use futures::FutureExt;
use futures::future::BoxFuture;

/// How many accounts one transaction looks at.
const PAGE_ACCOUNTS: usize = 200;

/// The owners.
pub(crate) async fn owners(
    shared: &Shared,
    guest: AccountId,
    limit: usize,
) -> Result<Vec<AccountId>> {
    let rows = view(&shared.store, |reader| read(reader, guest, limit).boxed()).await?;
    Ok(rows.iter().filter_map(|key| keys::full_access_owner(key)).collect())
}

async fn read(reader: Reader<'_>, guest: AccountId, limit: usize) -> Result<Vec<Bytes>, BodyError> {
    let rows = reader.rows(&keys::full_access_of(guest), limit, false).await?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

/// Writes what a change of Full Access makes of the rows.
pub(crate) fn change(tx: &dyn Transaction, owner: AccountId, old: &[AccountId], new: &[AccountId]) {
    for guest in old.iter().filter(|guest| !new.contains(guest)) {
        tx.clear(&keys::full_access(*guest, owner));
    }
    for guest in new {
        tx.set(&keys::full_access(*guest, owner), &[]);
    }
}

/// What goes with an account: what it has given, and what it was given.
pub(crate) fn forget(tx: &dyn Transaction, account: &Account) {
    change(tx, account.id, &account.full_access, &[]);
    tx.clear_range(&keys::full_access_of(account.id));
}

/// Writes the rows of accounts that have none yet.
///
/// # Errors
/// The store's; the next call makes up for it.
pub(crate) async fn complete(shared: &Shared) -> Result<()> {
    let mut from = keys::accounts().begin;
    while let Some(next) = transact(&shared.store, Complete { from: from.clone() }).await? {
        from = next;
    }
    Ok(())
}

/// A page of accounts, and where the next one begins. May run twice: it writes what is so.
struct Complete {
    from: Bytes,
}

impl Body<Option<Bytes>> for Complete {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _: Attempt,
    ) -> BoxFuture<'a, Result<Option<Bytes>, BodyError>> {
        async move {
            tx.set_batch_priority();
            let done = keys::FULL_ACCESS_COMPLETE;
            if tx.get(done, Isolation::Serializable).await?.is_some() {
                return Ok(None);
            }
            let range = KeyRange::new(self.from.clone(), keys::accounts().end);
            let read = RangeRead::all(&range).limit(PAGE_ACCOUNTS);
            let page = tx.get_range(&read, Isolation::Serializable).await?;
            for row in &page.rows {
                let account = Account::from(AccountRow::from_bytes(&row.key, &row.value)?);
                change(tx, account.id, &[], &account.full_access);
            }
            Ok(match page.rows.last() {
                Some(last) if page.more => Some(KeyRange::single(&last.key).end),
                _ => {
                    tx.set(done, &[]);
                    None
                }
            })
        }
        .boxed()
    }
}
