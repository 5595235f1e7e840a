//! Finding messages in a folder's index by UID.

use crate::rows;
use crate::rows::meta::all_rows;
use crate::unit::Unit;
use base::{FolderId, Uid};
use contract_mailbox::{IndexBlock, IndexEntry, UidSet};
use contract_store::{BodyError, Isolation, RangeRead};

/// The messages of a folder that are in the set and after a UID, in order, at most `limit`, and
/// whether there may be more. Reads only the blocks that the set touches.
pub(crate) async fn select(
    unit: &mut Unit<'_>,
    folder: FolderId,
    uids: &UidSet,
    after: Uid,
    limit: usize,
) -> Result<(Vec<IndexEntry>, bool), BodyError> {
    let end = unit.visible_end(folder)?;
    let mut found = Vec::new();
    for (first, last) in uids.ranges() {
        let first = (*first).max(after.0.saturating_add(1));
        let last = (*last).min(end.0.saturating_sub(1));
        if first > last {
            continue;
        }
        let mut number = first / IndexBlock::UIDS;
        while let Some(block) = next_block(unit, folder, number, last).await? {
            for entry in &block.entries {
                if entry.uid.0 < first || entry.uid.0 > last {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(*entry);
            }
            number = block.number + 1;
            if number > last / IndexBlock::UIDS {
                break;
            }
        }
    }
    Ok((found, false))
}

/// The first stored block from a number on that can hold a UID up to `last`.
async fn next_block(
    unit: &Unit<'_>,
    folder: FolderId,
    number: u32,
    last: u32,
) -> Result<Option<std::sync::Arc<IndexBlock>>, BodyError> {
    if let Some(block) = unit.known_block(folder, number) {
        return Ok(Some(block));
    }
    let mut range = unit.keys.blocks_from(folder, number);
    range.end = unit.keys.block(folder, (last / IndexBlock::UIDS).saturating_add(1));
    let read = RangeRead::all(&range).limit(1);
    let page = unit.tx.get_range(&read, Isolation::Serializable).await?;
    match page.rows.first() {
        Some(row) => Ok(Some(std::sync::Arc::new(rows::decode_block(&row.value)?))),
        None if page.more => {
            // A short page: the backend has more to look at. Take the whole of what is left.
            let rest = all_rows(unit.tx, &range, Isolation::Serializable).await?;
            let first = rest.first().map(|row| rows::decode_block(&row.value)).transpose()?;
            Ok(first.map(std::sync::Arc::new))
        }
        None => Ok(None),
    }
}
