//! The progress row: where a copy stands. It is in the target until a node takes that into use.

use crate::digest::Digest;
use crate::marks::MovedRow;
use base::{Error, Kind, Result, wire};
use bytes::Bytes;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, KeySelector, Store, StoreResult, Transaction,
    transact,
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The key of the row, before everything else that is stored. All rows of this crate begin so; they
/// are never copied.
pub(crate) const KEY: &[u8] = b"\x00copy";

/// The version byte of the row.
const VERSION: u8 = 2;

/// What the target knows of a copy into it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ProgressRow {
    /// Names the data that is copied.
    pub(crate) source: String,
    /// The first key of the source that has not been copied; `None` when all have been.
    pub(crate) next: Option<Bytes>,
    /// What has been written.
    pub(crate) written: Digest,
    /// How many rows were given a new stamp.
    pub(crate) stamps: u64,
    /// Whether all of it was compared and found the same.
    pub(crate) done: bool,
    /// Whose it is: every run of a copy begins by making the row its own, so that nothing of an
    /// earlier one can land any more. 0: nobody's.
    pub(crate) run: u128,
}

impl ProgressRow {
    pub(crate) fn new(source: &str, run: u128) -> Self {
        let (next, written) = (Some(Bytes::new()), Digest::default());
        Self { source: source.to_owned(), next, written, stamps: 0, done: false, run }
    }

    pub(crate) fn encode(&self) -> Result<Bytes> {
        wire::encode_row(VERSION, self)
    }

    pub(crate) async fn read(
        tx: &dyn Transaction,
        isolation: Isolation,
    ) -> Result<Option<Self>, BodyError> {
        let row = tx.get(KEY, isolation).await?;
        Ok(row.map(|row| wire::decode_row(VERSION, &row)).transpose()?)
    }

    /// What is said of a store that holds this and is not whole.
    pub(crate) fn unfinished(&self) -> Error {
        let text = format!(
            "The store holds an unfinished copy of {} ({} rows so far): run `rialto store copy` \
             again to finish it",
            self.source, self.written.rows
        );
        Error::new(Kind::Unavailable, text)
    }
}

/// What a copy is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Rows are read from the source and written to the target.
    #[default]
    Copying,
    /// Both are read again and compared.
    Verifying,
    /// All is there and was found to be the same.
    Done,
}

/// How far a copy has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Rows that are in the target.
    pub rows: u64,
    /// Their keys and values, in bytes.
    pub bytes: u64,
    /// Rows of the target that have been read again.
    pub verified_rows: u64,
    /// A store does not answer; what failed is tried again.
    pub is_waiting: bool,
}

/// Refuses a store that is not to be served: the target of an unfinished copy, which holds some of
/// the data only, and one whose data has moved, or is moving, to another store. From the target of
/// a finished copy it takes the mark away, since from now on it holds more than was copied.
///
/// # Errors
/// [`Kind::Unavailable`] naming the copy; the store's.
pub async fn take_into_use(store: &Arc<dyn Store>) -> Result<()> {
    transact(store, TakeIntoUse).await
}

struct TakeIntoUse;

impl Body<()> for TakeIntoUse {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            if let Some(moved) = MovedRow::read(tx).await? {
                return Err(moved.refusal().into());
            }
            match ProgressRow::read(tx, Isolation::Serializable).await? {
                None => Ok(()),
                Some(found) if found.done => {
                    tx.clear(KEY);
                    Ok(())
                }
                Some(found) => Err(found.unfinished().into()),
            }
        })
    }
}

/// What keeps a store from being served, in words for people; `None` where nothing does.
///
/// # Errors
/// The store's.
pub async fn why_not_served(store: &Arc<dyn Store>) -> Result<Option<String>> {
    transact(store, WhyNotServed).await
}

struct WhyNotServed;

impl Body<Option<String>> for WhyNotServed {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Option<String>, BodyError>> {
        Box::pin(async move {
            tx.set_batch_priority();
            let moved = MovedRow::read(tx).await?.map(|row| row.refusal());
            let copy = ProgressRow::read(tx, Isolation::Snapshot).await?;
            let unfinished = copy.filter(|row| !row.done).map(|row| row.unfinished());
            Ok(moved.or(unfinished).map(|error| error.text.into_owned()))
        })
    }
}

/// Whether a store has no rows at all but this crate's, as far as this transaction sees.
pub(crate) async fn is_empty(tx: &dyn Transaction) -> StoreResult<bool> {
    let own = KeyRange::prefix(KEY);
    let mut first = Bytes::new();
    for begin in [Bytes::new(), own.end.clone()] {
        let selector = KeySelector::first_greater_or_equal(begin);
        first = tx.get_key(&selector, Isolation::Serializable).await?;
        if !own.contains(&first) {
            break;
        }
    }
    Ok(first[..] == b"\xff"[..])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_row_keeps_its_shape() {
        let mut row = ProgressRow::new("src", 7);
        row.next = Some(Bytes::from_static(b"k"));
        (row.written.rows, row.written.bytes, row.stamps) = (3, 300, 1);
        let bytes = row.encode().unwrap();
        let mut golden = b"\x02\x03src\x01\x01k\x03\xfb\x2c\x01".to_vec();
        golden.extend([0; 32]);
        golden.extend([1, 0, 7]);
        assert_eq!(bytes, golden);
        assert_eq!(wire::decode_row::<ProgressRow>(VERSION, &bytes).unwrap(), row);
    }
}
