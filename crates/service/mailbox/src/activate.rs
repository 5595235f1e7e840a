//! Bringing a mailbox into memory; the first time, making its folders.

use crate::cache::Cache;
use crate::context::Context;
use crate::retry::{self, GivenUp};
use crate::rows::keys::Keys;
use crate::rows::{self, Summary};
use crate::unit::Unit;
use crate::write::folder;
use base::{AccountId, Error, Kind, Result, Timestamp};
use contract_control::Fence;
use contract_directory::Account;
use contract_mailbox::{Keywords, Principal, default_folders};
use contract_store::{Attempt, Body, BodyError, Transaction};
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// How often the fence may turn out to have been renewed while one thing is done. Once is rare.
pub(crate) const RENEWALS_MAX: u32 = 10;

/// Loads a mailbox, or makes it if its account has never been used. The fence may have been renewed
/// for the sake of another mailbox of the slot; then the newest takes its place.
///
/// # Errors
/// [`Kind::NotFound`] if there is no such account, [`Kind::Fenced`] if the slot is another's.
pub(crate) async fn load_or_create(
    context: &Context,
    fence: &mut Fence,
    account: AccountId,
) -> Result<Cache> {
    let owner = context.directory.account(account).await?;
    let mut renewals = 0;
    loop {
        let body = Activation { context, fence, owner: &owner };
        match retry::transact(&context.store, body).await {
            Ok(cache) => return Ok(cache),
            Err(GivenUp { error, .. }) if error.kind == Kind::Fenced && renewals < RENEWALS_MAX => {
                renewals += 1;
                *fence = context.control.renew(fence.slot, fence).await?;
            }
            Err(GivenUp { error, late, .. }) => {
                if late {
                    context.suspects.lock().insert(account);
                }
                return Err(error);
            }
        }
    }
}

struct Activation<'a> {
    context: &'a Context,
    fence: &'a Fence,
    owner: &'a Account,
}

impl Body<Cache> for Activation<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Cache, BodyError>> {
        Box::pin(async move {
            let fence = self.fence.check(tx).await;
            #[cfg(feature = "mutants")]
            let fence = self.context.config.overlook(fence);
            fence?;
            match Cache::load(tx, Keys(self.owner.id)).await? {
                Some(cache) => Ok(cache),
                None => Ok(self.create(tx)?),
            }
        })
    }
}

impl Activation<'_> {
    /// Writes the rows of an empty mailbox. Running it again after an unknown commit finds them.
    fn create(&self, tx: &dyn Transaction) -> Result<Cache> {
        let mut cache = empty()?;
        let mut unit = Unit::new(tx, self.context, self.owner, Principal::System, &cache);
        unit.summary().swept = unit.now;
        folder::create_defaults(&mut unit);
        let draft = unit.flush()?;
        draft.apply(&mut cache);
        Ok(cache)
    }
}

fn empty() -> Result<Cache> {
    let summary = Summary {
        writes: 0,
        next_item: 1,
        next_change: 1,
        next_folder: default_folders().len() as u64 + 1,
        last_uid_validity: 0,
        size_bytes: 0,
        items: 0,
        recoverable_bytes: 0,
        swept: Timestamp::default(),
    };
    let summary_row = rows::encode(&summary)
        .map_err(|error| Error::internal(format!("the first summary: {error}")))?;
    Ok(Cache {
        summary,
        summary_row,
        folders: Arc::new(BTreeMap::new()),
        searches: BTreeSet::new(),
        keywords: Arc::new(Keywords::default()),
        subscriptions: Arc::new(BTreeSet::new()),
        blocks: HashMap::new(),
        lineage: crate::cache::new_lineage(),
    })
}
