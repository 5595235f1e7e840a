//! Reading a whole store, page by page, each in a transaction of its own.

use crate::digest::Digest;
use crate::patience::Patience;
use crate::rules::Rules;
use base::Result;
use bytes::Bytes;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, KeyValue, RangeRead, Store, Transaction,
    transact,
};
use futures::future::BoxFuture;
use std::sync::Arc;

/// How many rows a page has at most.
const ROWS_MAX: usize = 2_000;

/// A page ends after about so many bytes: half of what a transaction should be, so that the page
/// can be written again in one.
pub(crate) const PAGE_BYTES: usize = 500_000;

/// Rows of a store in order, and where to read on.
pub(crate) struct Rows {
    pub(crate) rows: Vec<KeyValue>,
    /// `None` at the end.
    pub(crate) next: Option<Bytes>,
}

/// Reads a page from a key on.
pub(crate) async fn read(store: &Arc<dyn Store>, from: Bytes) -> Result<Rows> {
    transact(store, Read { from }).await
}

struct Read {
    from: Bytes,
}

impl Body<Rows> for Read {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Rows, BodyError>> {
        Box::pin(async move {
            tx.set_batch_priority();
            let range = KeyRange::new(self.from.clone(), Bytes::from_static(b"\xff"));
            let mut read = RangeRead::all(&range).limit(ROWS_MAX);
            read.target_bytes = PAGE_BYTES;
            let page = tx.get_range(&read, Isolation::Snapshot).await?;
            let behind = page.rows.last().map(|row| KeyRange::single(&row.key).end);
            let next = page.more.then(|| behind.unwrap_or_else(|| self.from.clone()));
            Ok(Rows { rows: page.rows, next })
        })
    }
}

/// Reads a whole store and digests it as it would stand in a target; `report` is told the number
/// of rows now and then.
pub(crate) async fn digest(
    store: &Arc<dyn Store>,
    rules: &Rules,
    patience: &Patience<'_>,
    report: impl Fn(u64),
) -> Result<Digest> {
    let (mut digest, mut stamps) = (Digest::default(), 0);
    let mut next = Some(Bytes::new());
    while let Some(from) = next {
        let page = patience.tried(|| read(store, from.clone())).await?;
        for row in page.rows {
            if let Some(row) = rules.apply(row, &mut stamps)? {
                digest.add(&row);
            }
        }
        next = page.next;
        report(digest.rows);
    }
    Ok(digest)
}
