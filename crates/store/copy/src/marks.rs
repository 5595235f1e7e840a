//! The mark in the source: where its data moves or has moved to. A store that has one is not
//! served ([`crate::take_into_use`]), and where several processes may have it open, each of their
//! [`crate::GatedStore`]s refuses to write.

use crate::progress::ProgressRow;
use base::{Error, Kind, Result, wire};
use bytes::Bytes;
use contract_store::{
    Attempt, Body, BodyError, Isolation, Store, StoreResult, Transaction, transact,
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The key of the row.
const KEY: &[u8] = b"\x00copy-moved";

/// The version byte of the row.
const VERSION: u8 = 1;

/// Where the data of a store goes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct MovedRow {
    /// The target, as people name it.
    pub(crate) to: String,
    /// The run of the copy that wrote this.
    pub(crate) run: u128,
    /// Whether the target may be whole: only "it is done" was left to be written there.
    pub(crate) is_moved: bool,
}

impl MovedRow {
    fn encode(&self) -> Result<Bytes> {
        wire::encode_row(VERSION, self)
    }

    pub(crate) async fn read(tx: &dyn Transaction) -> Result<Option<Self>, BodyError> {
        let row = tx.get(KEY, Isolation::Serializable).await?;
        Ok(row.map(|row| wire::decode_row(VERSION, &row)).transpose()?)
    }

    /// Why the store is not served, and what can be done.
    pub(crate) fn refusal(&self) -> Error {
        let Self { to, is_moved, .. } = self;
        let what = if *is_moved { "has moved" } else { "is being copied" };
        let text = format!(
            "The data of this store {what} to {to}. Change [store] and use that one; if the copy \
             was cut off, give the same `rialto store copy` again; to go on with this store, and \
             never with the other one, run `rialto store use`"
        );
        Error::new(Kind::Unavailable, text)
    }
}

/// Whether there is a mark, as far as this transaction sees.
pub(crate) async fn is_there(tx: &dyn Transaction) -> StoreResult<bool> {
    Ok(tx.get(KEY, Isolation::Serializable).await?.is_some())
}

/// Makes the source's mark this run's. Refuses a source that moves elsewhere, and one that is only
/// half a copy itself. Gives whether the target may be whole already.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'c> {
    pub(crate) to: &'c str,
    pub(crate) run: u128,
    /// Whether others may write into the source: then the mark keeps them out from the beginning.
    pub(crate) is_shared: bool,
}

impl Body<bool> for Claim<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<bool, BodyError>> {
        Box::pin(async move {
            if let Some(copy) = ProgressRow::read(tx, Isolation::Serializable).await?
                && !copy.done
            {
                return Err(for_good(copy.unfinished()).into());
            }
            let found = MovedRow::read(tx).await?;
            let is_moved = match &found {
                Some(row) if row.to != self.to => return Err(for_good(row.refusal()).into()),
                Some(row) => row.is_moved,
                None => false,
            };
            if self.is_shared || found.is_some() {
                let row = MovedRow { to: self.to.to_owned(), run: self.run, is_moved };
                tx.set(KEY, &row.encode()?);
            }
            Ok(is_moved)
        })
    }
}

/// Trying again does not help.
fn for_good(error: Error) -> Error {
    Error { kind: Kind::Conflict, ..error }
}

/// Notes in the source that its data is elsewhere from now on.
#[derive(Clone, Copy)]
pub(crate) struct SetMoved<'c>(pub(crate) Claim<'c>);

impl Body<()> for SetMoved<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            let Claim { to, run, is_shared } = self.0;
            match MovedRow::read(tx).await? {
                Some(found) if found.run == run => {}
                None if !is_shared => {}
                _ => {
                    let text = "The source has been opened for writing while it was copied";
                    return Err(Error::new(Kind::Conflict, text).into());
                }
            }
            let row = MovedRow { to: to.to_owned(), run, is_moved: true };
            tx.set(KEY, &row.encode()?);
            Ok(())
        })
    }
}

/// Whose mark the source has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whose {
    Nobodys,
    Ours {
        /// Whether it says that the target may be whole.
        is_moved: bool,
    },
    Anothers,
}

/// Tells whose the source's mark is; with `clears` takes ours away, so that none of ours can land
/// any more either.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) run: u128,
    pub(crate) clears: bool,
}

impl Body<Whose> for Look {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Whose, BodyError>> {
        Box::pin(async move {
            let whose = match MovedRow::read(tx).await? {
                None => Whose::Nobodys,
                Some(found) if found.run == self.run => Whose::Ours { is_moved: found.is_moved },
                Some(_) => Whose::Anothers,
            };
            if self.clears && whose != Whose::Anothers {
                tx.clear(KEY);
            }
            Ok(whose)
        })
    }
}

/// Takes the mark away, whoever's it is: the store is to be used again. Gives where its data had
/// moved; `None` if it had no mark. With `what_if` only tells.
///
/// # Errors
/// The store's.
pub async fn use_again(store: &Arc<dyn Store>, what_if: bool) -> Result<Option<String>> {
    transact(store, UseAgain { what_if }).await
}

struct UseAgain {
    what_if: bool,
}

impl Body<Option<String>> for UseAgain {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Option<String>, BodyError>> {
        Box::pin(async move {
            let found = MovedRow::read(tx).await?;
            if found.is_some() && !self.what_if {
                tx.clear(KEY);
            }
            Ok(found.map(|row| row.to))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_row_keeps_its_shape() {
        let row = MovedRow { to: "there".into(), run: 9, is_moved: true };
        let bytes = row.encode().unwrap();
        assert_eq!(bytes, &b"\x01\x05there\x09\x01"[..]);
        assert_eq!(wire::decode_row::<MovedRow>(VERSION, &bytes).unwrap(), row);
    }
}
