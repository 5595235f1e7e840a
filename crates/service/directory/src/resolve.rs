//! What an address means here.
//!
//! In this order: the exact address; for `user+detail` the account `user`; for `postmaster` the
//! oldest enabled administrator (RFC 5321 §4.5.1 wants the mailbox to exist in every domain). Only
//! exact names are cached, so that strangers cannot fill the cache with invented details.
//!
//! A disabled account is [`Resolved::Unknown`]: mail to it bounces with 5.1.1, as Exchange does
//! for a disabled mailbox, instead of waiting for a person who may never come back. It is not
//! handed on to a connector either where the domain is an internal relay: the address is ours.

use crate::keys;
use crate::names::{DOMAIN_BYTES_MAX, Name};
use crate::read::{ReadResult, Reader, view};
use crate::rows::Target;
use crate::service::Shared;
use crate::telemetry;
use base::{Address, Result};
use contract_directory::{Account, AccountKind, DomainKind, Group, Resolved, Role};
use futures::FutureExt;
use std::sync::Arc;

/// How many administrators are looked at for an enabled one.
const POSTMASTERS_TRIED: usize = 100;

/// Resolves an address: a positive answer may come from the cache.
pub(crate) async fn resolve(shared: &Shared, address: &Address) -> Result<Resolved> {
    let cached = from_cache(shared, address);
    let was_cached = cached.is_some();
    let resolved = match cached {
        Some(resolved) => resolved,
        None => from_store(shared, address).await?,
    };
    let answer = match &resolved {
        Resolved::Account(_) => "account",
        Resolved::Group(_) => "group",
        Resolved::Contact(_) => "contact",
        Resolved::Unknown => "unknown",
        Resolved::Elsewhere => "elsewhere",
    };
    telemetry::lookup(answer, was_cached);
    Ok(resolved)
}

/// A positive answer, if the cache has one.
pub(crate) fn from_cache(shared: &Shared, address: &Address) -> Option<Resolved> {
    let name = Name::of(address)?;
    let now_ms = shared.now_ms();
    if let Some(account) = shared.cache.account_named(&name, now_ms) {
        return account.enabled.then(|| person(account));
    }
    shared.cache.group_named(&name, now_ms).map(Resolved::Group)
}

/// The answer as it stands in the store now.
pub(crate) async fn from_store(shared: &Shared, address: &Address) -> Result<Resolved> {
    let ticket = shared.cache.ticket();
    let name = Name::of(address);
    let domain = address.domain.clone();
    let found = view(&shared.store, |reader| {
        let (name, domain) = (name.clone(), domain.clone());
        async move { look(reader, name.as_ref(), &domain).await }.boxed()
    })
    .await?;
    let resolved = match found {
        Found::Account { account, exact } => {
            let account = Arc::new(*account);
            shared.cache.keep_account(ticket, name.as_ref().filter(|_| exact), &account);
            if account.enabled { person(account) } else { Resolved::Unknown }
        }
        Found::Group(group) => {
            let group = Arc::new(*group);
            if let Some(name) = &name {
                shared.cache.keep_group(ticket, name, &group);
            }
            Resolved::Group(group)
        }
        Found::Nobody(Some(DomainKind::Authoritative)) => Resolved::Unknown,
        Found::Nobody(_) => Resolved::Elsewhere,
    };
    Ok(resolved)
}

/// A mailbox or a contact.
fn person(account: Arc<Account>) -> Resolved {
    match account.kind {
        AccountKind::Contact => Resolved::Contact(account),
        _ => Resolved::Account(account),
    }
}

/// Whether it is a contact of its own address elsewhere; what stands beside that is not ours.
fn is_foreign(account: &Account) -> bool {
    account.flow.external.as_ref().and_then(Name::of) == Name::of(&account.address)
}

enum Found {
    Account {
        account: Box<Account>,
        exact: bool,
    },
    Group(Box<Group>),
    /// And the kind of the domain, if it is accepted.
    Nobody(Option<DomainKind>),
}

async fn look(reader: Reader<'_>, name: Option<&Name>, domain: &str) -> ReadResult<Found> {
    let Some(name) = name else {
        // Not even a key can be made of it.
        if domain.len() > DOMAIN_BYTES_MAX {
            return Ok(Found::Nobody(None));
        }
        return Ok(Found::Nobody(reader.domain(domain).await?.map(|row| row.kind)));
    };
    let user = name.without_detail();
    let of_user = async {
        match &user {
            Some(user) => reader.name(user).await,
            None => Ok(None),
        }
    };
    let (row, of_user, domain) =
        futures::try_join!(reader.name(name), of_user, reader.domain(&name.domain))?;
    let kind = domain.map(|row| row.kind);
    match (row.map(|row| row.target), of_user.map(|row| row.target)) {
        (Some(Target::Account(id)), _) => {
            if let Some(account) = reader.account(id).await? {
                return Ok(Found::Account { account: Box::new(account), exact: true });
            }
        }
        (Some(Target::Group(id)), _) => {
            if let Some(group) = reader.group(id).await? {
                return Ok(Found::Group(Box::new(group)));
            }
        }
        (None, Some(Target::Account(id))) => {
            let account = reader.account(id).await?;
            if let Some(account) = account.filter(|account| !is_foreign(account)) {
                return Ok(Found::Account { account: Box::new(account), exact: false });
            }
        }
        (None, _) if name.is_postmaster() && kind.is_some_and(|k| !is_external(k)) => {
            if let Some(account) = postmaster(reader).await? {
                return Ok(Found::Account { account: Box::new(account), exact: false });
            }
        }
        _ => {}
    }
    Ok(Found::Nobody(kind))
}

fn is_external(kind: DomainKind) -> bool {
    kind == DomainKind::ExternalRelay
}

/// The oldest enabled administrator; ids grow, so that is the first.
async fn postmaster(reader: Reader<'_>) -> ReadResult<Option<Account>> {
    for row in reader.rows(&keys::administrators(), POSTMASTERS_TRIED, false).await? {
        let Some(id) = keys::administrator_id(&row.key) else {
            continue;
        };
        let account = reader.account(id).await?;
        if let Some(account) = account.filter(|a| a.enabled && a.role != Role::None) {
            return Ok(Some(account));
        }
    }
    Ok(None)
}
