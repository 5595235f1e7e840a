//! Finding messages in a folder's index by UID.

use crate::unit::Unit;
use crate::write::bulk::Progress;
use base::{FolderId, Uid};
use contract_mailbox::{IndexBlock, IndexEntry, UidSet};
use contract_store::BodyError;
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

/// The next messages of a command over many, as [`select`]: of those that the folder had when the
/// command began.
pub(crate) async fn select_next(
    unit: &mut Unit<'_>,
    folder: FolderId,
    uids: &UidSet,
    progress: &mut Progress,
    limit: usize,
) -> Result<(Vec<IndexEntry>, bool), BodyError> {
    let visible = unit.visible_end(folder)?;
    let end = visible.min(*progress.until.get_or_insert(visible));
    let begin = Uid(progress.after.0.saturating_add(1));
    between(unit, folder, uids, begin, end, limit).await
}

/// The messages of a folder from one UID up to (not including) another, as [`select`], whether or
/// not they are to be seen.
pub(crate) async fn select_from(
    unit: &mut Unit<'_>,
    folder: FolderId,
    begin: Uid,
    end: Uid,
    limit: usize,
) -> Result<(Vec<IndexEntry>, bool), BodyError> {
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
    let end_number = end.0.saturating_sub(1) / IndexBlock::UIDS;
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
                None => {
                    let many = limit > 1 && last_number > number;
                    match unit.next_block(folder, number, end_number, many).await? {
                        Some(block) => block,
                        None => return Ok((found, false)),
                    }
                }
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
