//! A message's meta: one row as a rule, several pieces where the structure is huge.

use super::keys::Keys;
use super::{decode, encode};
use base::{Error, FolderId, Result, Uid};
use bytes::Bytes;
use contract_mailbox::MessageMeta;
use contract_store::{BodyError, Isolation, KeyRange, Page, RangeRead, StoreResult, Transaction};
use std::sync::Arc;

/// The longest piece, in bytes; below the value limit.
const PIECE_BYTES: usize = 90_000;

/// Writes a message's meta.
pub(crate) fn write(
    tx: &dyn Transaction,
    keys: Keys,
    folder: FolderId,
    uid: Uid,
    meta: &MessageMeta,
) -> Result<()> {
    let bytes = encode(meta)?;
    for (number, piece) in bytes.chunks(PIECE_BYTES).enumerate() {
        let number = u16::try_from(number)
            .map_err(|_| Error::internal("a message's meta needs too many pieces"))?;
        tx.set(&keys.meta(folder, uid, number), piece);
    }
    Ok(())
}

/// Removes a message's meta.
pub(crate) fn clear(tx: &dyn Transaction, keys: Keys, folder: FolderId, uid: Uid) {
    tx.clear_range(&keys.meta_of(folder, uid));
}

/// The meta of messages with these UIDs (in ascending order); unknown ones are left out. Runs of
/// neighbours are read as one range.
pub(crate) async fn read(
    tx: &dyn Transaction,
    keys: Keys,
    folder: FolderId,
    uids: &[Uid],
    isolation: Isolation,
) -> Result<Vec<(Uid, Arc<MessageMeta>)>, BodyError> {
    let mut found = Vec::with_capacity(uids.len());
    for (first, last) in runs(uids) {
        let range =
            KeyRange { begin: keys.meta(folder, first, 0), end: keys.meta_of(folder, last).end };
        let mut pieces: Option<(Uid, Vec<Bytes>)> = None;
        for row in all_rows(tx, &range, isolation).await? {
            let uid = keys.parse_meta(&row.key).ok_or_else(|| Error::corrupt("a meta key"))?;
            match &mut pieces {
                Some((current, values)) if *current == uid => values.push(row.value),
                _ => {
                    push(&mut found, pieces.take(), uids)?;
                    pieces = Some((uid, vec![row.value]));
                }
            }
        }
        push(&mut found, pieces, uids)?;
    }
    Ok(found)
}

fn push(
    found: &mut Vec<(Uid, Arc<MessageMeta>)>,
    pieces: Option<(Uid, Vec<Bytes>)>,
    wanted: &[Uid],
) -> Result<()> {
    let Some((uid, values)) = pieces else { return Ok(()) };
    if wanted.binary_search(&uid).is_ok() {
        let whole = match &values[..] {
            [one] => one.clone(),
            many => Bytes::from(many.concat()),
        };
        found.push((uid, Arc::new(decode(&whole, "meta")?)));
    }
    Ok(())
}

/// Gaps up to this many UIDs are read over rather than skipped: a range read costs less than a
/// round trip.
const GAP_MAX: u32 = 8;

fn runs(uids: &[Uid]) -> Vec<(Uid, Uid)> {
    let mut runs: Vec<(Uid, Uid)> = Vec::new();
    for uid in uids {
        match runs.last_mut() {
            Some(run) if uid.0 - run.1.0 <= GAP_MAX => run.1 = *uid,
            _ => runs.push((*uid, *uid)),
        }
    }
    runs
}

/// All rows of a range that is known to fit into memory.
pub(crate) async fn all_rows(
    tx: &dyn Transaction,
    range: &KeyRange,
    isolation: Isolation,
) -> StoreResult<Vec<contract_store::KeyValue>> {
    let mut rows = Vec::new();
    let mut next = Some(RangeRead::all(range));
    while let Some(read) = next {
        let page = tx.get_range(&read, isolation).await?;
        next = read.after(&page);
        let Page { rows: more, .. } = page;
        rows.extend(more);
    }
    Ok(rows)
}
