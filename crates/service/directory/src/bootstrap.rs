//! The first start: a domain and its first accounts, made where they are missing.

use crate::names::Name;
use crate::read::{ReadResult, Reader, view};
use crate::service::{DirectoryService, Shared};
use crate::validate::shown;
use base::{Error, Kind, Result};
use contract_directory::{Actor, Directory, DirectoryAdmin, Domain, DomainKind, NewAccount};
use futures::{FutureExt, StreamExt, TryStreamExt};

/// How many addresses one transaction looks up.
const LOOKUPS: usize = 500;
const LOOKUPS_AT_ONCE: usize = 64;
/// How often it starts anew because another node made some of the same accounts meanwhile.
const ROUNDS: usize = 5;

/// What a new installation begins with.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// The first domain, authoritative; becomes the default where there is none.
    pub domain: String,
    /// Accounts to make where their address is free.
    pub accounts: Vec<NewAccount>,
}

impl DirectoryService {
    /// Makes what is missing of `first`, as [`Actor::System`]; safe to repeat, and from several
    /// nodes at once. What exists stays as it is, changed passwords among it. Tells how many
    /// accounts this call made (in its last round, where another node did the same meanwhile).
    ///
    /// # Errors
    /// As [`DirectoryAdmin::create_domain`] and [`DirectoryAdmin::create_accounts`], but for
    /// [`Kind::AlreadyExists`].
    pub async fn bootstrap(&self, first: Bootstrap) -> Result<u64> {
        let domains = self.domains().await?;
        if !domains.iter().any(|domain| domain.name == first.domain.to_lowercase()) {
            let default = !domains.iter().any(|domain| domain.default);
            let new = Domain { name: first.domain, kind: DomainKind::Authoritative, default };
            match self.create_domain(&Actor::System, new).await {
                Err(error) if error.kind == Kind::AlreadyExists => {}
                other => drop(other?),
            }
        }
        let mut accounts = first.accounts;
        let mut outcome = Ok(0);
        for _ in 0..ROUNDS {
            accounts = missing(&self.shared, accounts).await?;
            if accounts.is_empty() {
                return Ok(0);
            }
            outcome = self.create_accounts(&Actor::System, accounts.clone()).await;
            match &outcome {
                Err(error) if error.kind == Kind::AlreadyExists => {}
                _ => break,
            }
        }
        outcome
    }
}

/// Those whose address is free.
async fn missing(shared: &Shared, accounts: Vec<NewAccount>) -> Result<Vec<NewAccount>> {
    let mut missing = Vec::new();
    for chunk in accounts.chunks(LOOKUPS) {
        let names: Vec<Name> = chunk
            .iter()
            .map(|new| {
                Name::of(&new.address).ok_or_else(|| {
                    Error::invalid(format!("bootstrap: address {}", shown(&new.address)))
                })
            })
            .collect::<Result<_>>()?;
        let free: Vec<bool> = view(&shared.store, |reader| {
            let lookups: Vec<_> = names.iter().map(|n| is_free(reader, n.clone())).collect();
            futures::stream::iter(lookups).buffered(LOOKUPS_AT_ONCE).try_collect().boxed()
        })
        .await?;
        let free = chunk.iter().zip(free).filter(|(_, free)| *free);
        missing.extend(free.map(|(new, _)| new.clone()));
    }
    Ok(missing)
}

async fn is_free(reader: Reader<'_>, name: Name) -> ReadResult<bool> {
    Ok(reader.name(&name).await?.is_none())
}
