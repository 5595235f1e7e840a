//! Lists: accounts and groups in order of address (by domain, then by local part), domains, audit.

use crate::config::AUDIT_LIST_MAX;
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader, view};
use crate::rows::{AuditRow, DomainRow, NameRow, RemovedRow, Row, Target};
use crate::service::Shared;
use base::{AccountId, Address, Error, Result};
use bytes::Bytes;
use contract_directory::{
    Account, AccountKind, AuditRecord, Domain, Group, GroupId, RemovedAccount,
};
use contract_store::KeyRange;
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::sync::Arc;

/// How many rows one transaction reads.
const PAGE_ROWS: usize = 500;
const LOOKUPS_AT_ONCE: usize = 64;

/// A page of a listing: what was found, and after which key the next page begins.
struct Listed<T> {
    found: Vec<T>,
    next: Option<Bytes>,
}

/// The accepted domains, from the store.
pub(crate) async fn domains(shared: &Shared) -> Result<Vec<Arc<Domain>>> {
    view(&shared.store, |reader| {
        async move {
            let default = reader.default_domain().await?;
            let prefix = keys::domains().begin.len();
            let mut domains = Vec::new();
            for row in reader.rows(&keys::domains(), 0, false).await? {
                let name = String::from_utf8(row.key[prefix..].to_vec())
                    .map_err(|_| Error::corrupt(format!("key {}", row.key.escape_ascii())))?;
                let domain = DomainRow::from_bytes(&row.key, &row.value)?;
                domains.push(Arc::new(domain.domain(name, default.as_deref())));
            }
            Ok(domains)
        }
        .boxed()
    })
    .await
}

/// Accounts in order of their primary address.
pub(crate) async fn accounts(
    shared: &Shared,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Arc<Account>>> {
    let mut range = keys::names();
    start_after(&mut range, after, keys::name)?;
    let mut accounts = Vec::new();
    while accounts.len() < limit {
        let wanted = limit - accounts.len();
        let page = view(&shared.store, |reader| {
            accounts_page(reader, range.clone(), wanted.min(PAGE_ROWS)).boxed()
        })
        .await?;
        accounts.extend(page.found.into_iter().take(wanted).map(Arc::new));
        match page.next {
            Some(begin) => range.begin = begin,
            None => break,
        }
    }
    Ok(accounts)
}

/// The accounts among the next `limit` names, aliases and groups left out.
async fn accounts_page(
    reader: Reader<'_>,
    range: KeyRange,
    limit: usize,
) -> ReadResult<Listed<Account>> {
    let rows = reader.rows(&range, limit, false).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|r| KeyRange::single(&r.key).end);
    let mut ids: Vec<AccountId> = Vec::with_capacity(rows.len());
    for row in &rows {
        if let NameRow { target: Target::Account(id), primary: true } =
            NameRow::from_bytes(&row.key, &row.value)?
        {
            ids.push(id);
        }
    }
    let found: Vec<Option<Account>> =
        futures::stream::iter(ids.into_iter().map(|id| reader.account_owned(id)))
            .buffered(LOOKUPS_AT_ONCE)
            .try_collect()
            .await?;
    let has_mailbox = |account: &Account| account.kind != AccountKind::Contact;
    Ok(Listed { found: found.into_iter().flatten().filter(has_mailbox).collect(), next })
}

/// Contacts in order of their primary address.
pub(crate) async fn contacts(
    shared: &Shared,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Arc<Account>>> {
    let mut range = keys::contacts_in_order();
    start_after(&mut range, after, keys::contact_order)?;
    let mut contacts = Vec::new();
    while contacts.len() < limit {
        let wanted = limit - contacts.len();
        let page = view(&shared.store, |reader| {
            contacts_page(reader, range.clone(), wanted.min(PAGE_ROWS)).boxed()
        })
        .await?;
        contacts.extend(page.found.into_iter().map(Arc::new));
        match page.next {
            Some(begin) => range.begin = begin,
            None => break,
        }
    }
    Ok(contacts)
}

async fn contacts_page(
    reader: Reader<'_>,
    range: KeyRange,
    limit: usize,
) -> ReadResult<Listed<Account>> {
    let rows = reader.rows(&range, limit, false).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|r| KeyRange::single(&r.key).end);
    let mut lookups = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Target::Account(id) = NameRow::from_bytes(&row.key, &row.value)?.target {
            lookups.push(reader.account_owned(id));
        }
    }
    let found: Vec<Option<Account>> =
        futures::stream::iter(lookups).buffered(LOOKUPS_AT_ONCE).try_collect().await?;
    Ok(Listed { found: found.into_iter().flatten().collect(), next })
}

/// Groups in order of address.
pub(crate) async fn groups(
    shared: &Shared,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Arc<Group>>> {
    let mut range = keys::groups_in_order();
    start_after(&mut range, after, keys::group_order)?;
    let mut groups = Vec::new();
    while groups.len() < limit {
        // One group at a time: each may have 10,000 members.
        let page = view(&shared.store, |reader| next_group(reader, range.clone()).boxed()).await?;
        groups.extend(page.found.into_iter().map(Arc::new));
        match page.next {
            Some(begin) => range.begin = begin,
            None => break,
        }
    }
    Ok(groups)
}

async fn next_group(reader: Reader<'_>, range: KeyRange) -> ReadResult<Listed<Group>> {
    let rows = reader.rows(&range, 1, false).await?;
    let Some(row) = rows.first() else {
        return Ok(Listed { found: Vec::new(), next: None });
    };
    let mut found = Vec::new();
    if let Target::Group(id) = NameRow::from_bytes(&row.key, &row.value)?.target {
        found.extend(reader.group(id).await?);
    }
    Ok(Listed { found, next: Some(KeyRange::single(&row.key).end) })
}

/// A group by id, from the store.
pub(crate) async fn group(shared: &Shared, id: GroupId) -> Result<Arc<Group>> {
    let found = view(&shared.store, |reader| async move { reader.group(id).await }.boxed()).await?;
    found.map(Arc::new).ok_or_else(|| Error::not_found(format!("group {}", id.0)))
}

/// Removed accounts in order of id.
pub(crate) async fn removed(
    shared: &Shared,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<RemovedAccount>> {
    let mut range = keys::all_removed();
    if let Some(after) = after {
        range.begin = KeyRange::single(&keys::removed(after)).end;
    }
    if limit == 0 {
        return Ok(Vec::new());
    }
    let rows = view(&shared.store, |reader| {
        let range = range.clone();
        async move { reader.rows(&range, limit.min(PAGE_ROWS), false).await }.boxed()
    })
    .await?;
    let removed = rows.iter().map(|row| {
        let id = keys::removed_id(&row.key)
            .ok_or_else(|| Error::corrupt(format!("key {}", row.key.escape_ascii())))?;
        Ok(RemovedRow::from_bytes(&row.key, &row.value)?.removed(id))
    });
    removed.collect()
}

/// The newest audit records.
pub(crate) async fn audit(shared: &Shared, limit: usize) -> Result<Vec<AuditRecord>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let limit = limit.min(AUDIT_LIST_MAX);
    let rows = view(&shared.store, |reader| {
        async move { reader.rows(&keys::audit(), limit, true).await }.boxed()
    })
    .await?;
    rows.iter().map(|row| Ok(AuditRow::from_bytes(&row.key, &row.value)?.into())).collect()
}

fn start_after(
    range: &mut KeyRange,
    after: Option<&str>,
    key: impl Fn(&Name) -> Bytes,
) -> Result<()> {
    if let Some(after) = after {
        let name = Address::parse_plain(after).as_ref().and_then(Name::of);
        let name = name.ok_or_else(|| Error::invalid("after: not an address"))?;
        range.begin = KeyRange::single(&key(&name)).end;
    }
    Ok(())
}
