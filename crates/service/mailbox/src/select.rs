//! Finding messages in a folder's index by UID.

use crate::rows;
use crate::unit::Unit;
use base::{FolderId, Uid};
use contract_mailbox::{IndexBlock, IndexEntry, UidSet};
use contract_store::{BodyError, Isolation, RangeRead};
use std::sync::Arc;

/// The messages of a folder that are in the set and after a UID, in order, at most `limit`, and
/// whether there may be more. Reads only the blocks that the set touches, each once.
pub(crate) async fn select(
    unit: &mut Unit<'_>,
    folder: FolderId,
    uids: &UidSet,
    after: Uid,
    limit: usize,
) -> Result<(Vec<IndexEntry>, bool), BodyError> {
    let end = unit.visible_end(folder)?;
    let begin = Uid(after.0.saturating_add(1));
    between(unit, folder, uids, begin, end, limit).await
}

/// The messages that an unfinished bulk copy has put behind a folder's end, as [`select`].
pub(crate) async fn select_hidden(
    unit: &mut Unit<'_>,
    folder: FolderId,
    end: Uid,
    limit: usize,
) -> Result<(Vec<IndexEntry>, bool), BodyError> {
    let begin = unit.visible_end(folder)?;
    between(unit, folder, &UidSet::all(), begin, end, limit).await
}

/// From one UID up to (not including) another.
async fn between(
    unit: &mut Unit<'_>,
    folder: FolderId,
    uids: &UidSet,
    begin: Uid,
    end: Uid,
    limit: usize,
) -> Result<(Vec<IndexEntry>, bool), BodyError> {
    let mut found = Vec::new();
    let mut block: Option<Arc<IndexBlock>> = None;
    for (first, last) in uids.ranges() {
        let first = (*first).max(begin.0);
        let last = (*last).min(end.0.saturating_sub(1));
        if first > last {
            continue;
        }
        let (mut number, last_number) = (first / IndexBlock::UIDS, last / IndexBlock::UIDS);
        while number <= last_number {
            // Many ranges may lie in one block, or in the gap before one.
            let known = block.take().filter(|block| block.number >= number);
            let next = match known {
                Some(block) => block,
                None => match next_block(unit, folder, number, end).await? {
                    Some(block) => block,
                    None => return Ok((found, false)),
                },
            };
            for entry in &next.entries {
                if entry.uid.0 < first || entry.uid.0 > last {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(*entry);
            }
            number = next.number.max(number) + 1;
            block = Some(next);
        }
    }
    Ok((found, false))
}

/// The first block from a number on that can hold a UID before `end`.
async fn next_block(
    unit: &Unit<'_>,
    folder: FolderId,
    number: u32,
    end: Uid,
) -> Result<Option<Arc<IndexBlock>>, BodyError> {
    if let Some(block) = unit.known_block(folder, number) {
        return Ok(Some(block));
    }
    let mut range = unit.keys.blocks_from(folder, number);
    let last = end.0.saturating_sub(1) / IndexBlock::UIDS;
    range.end = unit.keys.block(folder, last.saturating_add(1));
    let mut next = Some(RangeRead::all(&range).limit(1));
    let mut stored = None;
    while let Some(read) = next {
        let page = unit.tx.get_range(&read, Isolation::Serializable).await?;
        if let Some(row) = page.rows.first() {
            stored = Some(rows::decode_block(&row.value)?);
            break;
        }
        next = read.after(&page);
    }
    // What this command has changed so far is not in the store's rows yet.
    let before = stored.as_ref().map_or(last, |block| block.number);
    if let Some(drafted) = unit.drafted_block(folder, number, before) {
        return Ok(Some(drafted));
    }
    Ok(stored.map(Arc::new))
}
