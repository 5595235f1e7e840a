//! Those whom dynamic groups find: accounts in order of id, looked at a page after the other.
//!
//! Every piece of an expansion looks at [`LOOKED_AT_MAX`] accounts at the most, whether anybody is
//! found among them or not, so no message makes anybody wait for a look at everybody. Ids only
//! grow: who comes or goes between two pieces shifts nobody else.

use crate::keys;
use crate::read::view;
use crate::rows::{AccountRow, Row};
use crate::service::Shared;
use base::{Address, Result};
use contract_directory::{Account, Dynamic, Expansion, Filter};
use contract_store::KeyRange;
use futures::FutureExt;

/// From here on cursors tell the account at which the next piece begins. Below are the hashes of
/// those who are listed.
pub(crate) const FIRST: u64 = u64::MAX - (1 << 40);

/// How many accounts one piece looks at.
const LOOKED_AT_MAX: usize = 5_000;

/// How many rows one transaction reads.
const PAGE_ROWS: usize = 500;

/// At which account a piece begins, if its cursor is behind those who are listed.
pub(crate) fn place(cursor: u64) -> Option<u64> {
    cursor.checked_sub(FIRST)
}

/// A filter that has been understood, and in which domain.
struct Search {
    filter: Filter,
    domain: Option<String>,
}

impl Search {
    fn finds(&self, account: &Account) -> bool {
        let is_there = self.domain.as_ref().is_none_or(|domain| *domain == account.address.domain);
        is_there && self.filter.matches(account)
    }
}

/// Looks for `limit` people from an account on.
///
/// # Errors
/// The store's; [`base::Kind::Invalid`] for a filter that cannot be understood here.
pub(crate) async fn look(
    shared: &Shared,
    dynamic: &[Dynamic],
    from: u64,
    limit: usize,
) -> Result<Expansion> {
    let search = |one: &Dynamic| {
        Ok(Search { filter: Filter::parse(&one.filter)?, domain: one.domain.clone() })
    };
    let searches = dynamic.iter().map(search).collect::<Result<Vec<_>>>()?;
    let mut members: Vec<Address> = Vec::new();
    let (mut next, mut looked_at) = (Some(from), 0);
    while let Some(from) = next
        && !searches.is_empty()
        && looked_at < LOOKED_AT_MAX
        && members.len() < limit
    {
        let (accounts, following) = page(shared, from).await?;
        looked_at += accounts.len();
        next = following;
        for account in accounts {
            if !account.enabled || !searches.iter().any(|search| search.finds(&account)) {
                continue;
            }
            if members.len() == limit {
                next = Some(account.id.0);
                break;
            }
            members.push(account.address);
        }
    }
    let next = next.filter(|_| !searches.is_empty());
    Ok(Expansion { members, next: next.map(|from| FIRST.saturating_add(from)) })
}

/// Some accounts in order, and where the following ones begin, if there may be any.
async fn page(shared: &Shared, from: u64) -> Result<(Vec<Account>, Option<u64>)> {
    view(&shared.store, |reader| {
        async move {
            let range = KeyRange::new(keys::account(base::AccountId(from)), keys::accounts().end);
            let rows = reader.rows(&range, PAGE_ROWS, false).await?;
            let mut accounts = Vec::with_capacity(rows.len());
            for row in &rows {
                accounts.push(Account::from(AccountRow::from_bytes(&row.key, &row.value)?));
            }
            let last = accounts.last().filter(|_| rows.len() == PAGE_ROWS);
            let next = last.map(|account| account.id.0 + 1);
            Ok((accounts, next))
        }
        .boxed()
    })
    .await
}
