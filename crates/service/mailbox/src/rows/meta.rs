//! A message's meta: one row as a rule, several pieces where the structure is huge.

use super::keys::Keys;
use super::{decode, encode};
use base::{Error, FolderId, Result, Uid};
use bytes::Bytes;
use contract_mailbox::MessageMeta;
use contract_mailbox::request::META_REPLY_BYTES_MAX;
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

/// Messages' meta by UID.
pub(crate) type Found = Vec<(Uid, Arc<MessageMeta>)>;

/// The meta of messages with these UIDs (in ascending order), from the first on as many as take
/// [`META_REPLY_BYTES_MAX`], at least one; and the UID to go on with, if that is not all. Unknown
/// UIDs are left out. Runs of neighbours are read as one range.
pub(crate) async fn read(
    tx: &dyn Transaction,
    keys: Keys,
    folder: FolderId,
    uids: &[Uid],
    isolation: Isolation,
) -> Result<(Found, Option<Uid>), BodyError> {
    read_each(tx, keys, folder, uids, isolation, &|_, _, _| {}).await
}

/// What is told of each meta that was read: its UID, itself, and the bytes of its row.
pub(crate) type Each<'e> = dyn Fn(Uid, &Arc<MessageMeta>, usize) + Send + Sync + 'e;

/// As [`read`], telling of each.
pub(crate) async fn read_each(
    tx: &dyn Transaction,
    keys: Keys,
    folder: FolderId,
    uids: &[Uid],
    isolation: Isolation,
    each: &Each<'_>,
) -> Result<(Found, Option<Uid>), BodyError> {
    let mut gathered = Gathered { wanted: uids, each, found: Vec::new(), bytes: 0, open: None };
    for (first, last) in runs(uids) {
        let range =
            KeyRange { begin: keys.meta(folder, first, 0), end: keys.meta_of(folder, last).end };
        let read = RangeRead { target_bytes: META_REPLY_BYTES_MAX, ..RangeRead::all(&range) };
        let mut next = Some(read);
        while let Some(read) = next {
            let page = tx.get_range(&read, isolation).await?;
            next = read.after(&page);
            for row in page.rows {
                let uid = keys.parse_meta(&row.key).ok_or_else(|| Error::corrupt("a meta key"))?;
                if let Some(full) = gathered.piece(uid, row.value)? {
                    return Ok((gathered.found, Some(full)));
                }
            }
        }
        if let Some(full) = gathered.close()? {
            return Ok((gathered.found, Some(full)));
        }
    }
    Ok((gathered.found, None))
}

/// What has been read so far.
struct Gathered<'g> {
    wanted: &'g [Uid],
    each: &'g Each<'g>,
    found: Found,
    bytes: usize,
    /// The message whose pieces are coming.
    open: Option<(Uid, Vec<Bytes>)>,
}

impl Gathered<'_> {
    /// Takes a piece; gives the UID of a message that has no room any more.
    fn piece(&mut self, uid: Uid, value: Bytes) -> Result<Option<Uid>> {
        match &mut self.open {
            Some((current, pieces)) if *current == uid => pieces.push(value),
            _ => {
                if let Some(full) = self.close()? {
                    return Ok(Some(full));
                }
                if self.wanted.binary_search(&uid).is_ok() {
                    self.open = Some((uid, vec![value]));
                }
            }
        }
        Ok(None)
    }

    /// The open message is whole.
    fn close(&mut self) -> Result<Option<Uid>> {
        let Some((uid, pieces)) = self.open.take() else { return Ok(None) };
        let size: usize = pieces.iter().map(Bytes::len).sum();
        if !self.found.is_empty() && self.bytes + size > META_REPLY_BYTES_MAX {
            return Ok(Some(uid));
        }
        self.bytes += size;
        let whole = match &pieces[..] {
            [one] => one.clone(),
            many => Bytes::from(many.concat()),
        };
        let meta = Arc::new(decode(&whole, "meta")?);
        (self.each)(uid, &meta, size);
        self.found.push((uid, meta));
        Ok(None)
    }
}

/// About how many bytes a meta takes in an answer.
pub(crate) fn size_of(meta: &MessageMeta) -> usize {
    encode(meta).map_or(0, |row| row.len())
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
