//! Accounts by id, and who may send as whom.

use crate::read::view;
use crate::resolve;
use crate::service::Shared;
use base::{AccountId, Address, Error, Result};
use contract_directory::{Account, Resolved};
use futures::FutureExt;
use std::sync::Arc;

/// The account, from the cache or the store.
pub(crate) async fn account(shared: &Shared, id: AccountId) -> Result<Arc<Account>> {
    if let Some(account) = shared.cache.account(id, shared.now_ms()) {
        return Ok(account);
    }
    let ticket = shared.cache.ticket();
    let found = view(&shared.store, |reader| reader.account_owned(id).boxed()).await?;
    let account = Arc::new(found.ok_or_else(|| Error::not_found(format!("account {id}")))?);
    shared.cache.keep_account(ticket, None, &account);
    Ok(account)
}

/// Whether the address is the account's own (sub-addresses and the postmaster's address where it
/// is this account's among them), or one of an account that lets it send.
pub(crate) async fn may_send_as(shared: &Shared, id: AccountId, from: &Address) -> Result<bool> {
    let allows = |resolved: &Resolved| match resolved {
        Resolved::Account(owner) => owner.id == id || owner.send_as.contains(&id),
        _ => false,
    };
    if let Some(cached) = resolve::from_cache(shared, from)
        && allows(&cached)
    {
        return Ok(true);
    }
    Ok(allows(&resolve::from_store(shared, from).await?))
}
