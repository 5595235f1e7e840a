//! ItemChanges: a folder's history as steps of its items, told from where the asker stands.
//!
//! The history has one row for each item that is here, under its newest change, and tombstones.
//! The row says when what of the item changed, so that most steps are told without reading the
//! item.

use super::super::Reader;
use super::item;
use crate::associated;
use crate::rows::{self, ChangeRow, ChangeState, Milestones};
use base::{Change, Error, FolderId, Kind, Result};
use contract_mailbox::{IndexBlock, ItemChange, ItemChangeKind};
use contract_store::{BodyError, Isolation, RangeRead, Transaction};
use std::collections::HashMap;
use std::sync::Arc;

/// The most steps that are told at once, whatever is asked for.
const LIMIT_MAX: usize = 1_000;

/// How many rows are read at once.
const PAGE: usize = 250;

/// What those are told who stand before what has been compacted.
pub(super) fn begin_anew() -> Error {
    Error::new(Kind::Conflict, "The history does not go back that far; begin anew")
}

pub(super) async fn read(
    reader: &Reader,
    tx: &dyn Transaction,
    folder: FolderId,
    since: Change,
    limit: usize,
) -> Result<(Vec<ItemChange>, bool), BodyError> {
    let row = reader.folder(folder)?;
    // From the beginning no tombstone is needed.
    if since < row.compacted && since != Change(0) {
        return Err(begin_anew().into());
    }
    // A position that lies ahead, which no client was given, is one where nothing has happened.
    if since >= row.info.highest_change {
        return Ok((Vec::new(), false));
    }
    let limit = limit.clamp(1, LIMIT_MAX);
    let range = reader.keys.changes(folder, since, row.info.highest_change);
    let mut teller = Teller { reader, tx, folder, since, blocks: HashMap::new() };
    let mut found = Vec::new();
    let mut next = Some(RangeRead::all(&range));
    while let Some(read) = next {
        let mut page = tx.get_range(&read.clone().limit(PAGE), Isolation::Snapshot).await?;
        page.more |= page.rows.len() == PAGE;
        for row in &page.rows {
            let change = reader.keys.parse_change(&row.key);
            let change = change.ok_or_else(|| Error::corrupt("the key of a change"))?;
            let step: ChangeRow = rows::decode(&row.value, "change")?;
            let Some(what) = teller.tell(&step).await? else {
                continue;
            };
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(ItemChange { item: step.item, change, what });
        }
        next = read.after(&page);
    }
    Ok((found, false))
}

struct Teller<'t> {
    reader: &'t Reader,
    tx: &'t dyn Transaction,
    folder: FolderId,
    since: Change,
    blocks: HashMap<u32, Arc<IndexBlock>>,
}

impl Teller<'_> {
    /// What a step is to the asker; `None` if it is nothing to him.
    async fn tell(&mut self, step: &ChangeRow) -> Result<Option<ItemChangeKind>, BodyError> {
        let href = step.href.clone();
        let milestones = match step.state {
            ChangeState::Here(milestones) => milestones,
            // The same item comes again, later in the history.
            ChangeState::Replaced => return Ok(None),
            // One who begins never saw it.
            ChangeState::Gone if self.since == Change(0) => return Ok(None),
            ChangeState::Gone => return Ok(Some(ItemChangeKind::Gone { href })),
        };
        let Milestones { entered, content, read } = milestones;
        Ok(Some(if entered > self.since || content > self.since {
            // A move brings content that is older than its coming here.
            let content_change = self.content_change(step, milestones).await?;
            ItemChangeKind::Content { content_change, href }
        } else if read > self.since {
            ItemChangeKind::ReadState { read: self.is_read(step).await? }
        } else {
            ItemChangeKind::Flags
        }))
    }

    /// The item's own content change, which a move or a search folder's entry does not know.
    async fn content_change(
        &self,
        step: &ChangeRow,
        milestones: Milestones,
    ) -> Result<Change, BodyError> {
        if milestones.content > milestones.entered {
            return Ok(milestones.content);
        }
        Ok(item::row(self.reader, self.tx, step.item).await?.content_change)
    }

    async fn is_read(&mut self, step: &ChangeRow) -> Result<bool, BodyError> {
        let Some(uid) = step.uid else {
            let row = item::row(self.reader, self.tx, step.item).await?;
            return Ok(associated::flags(&row).is_seen());
        };
        let number = uid.0 / IndexBlock::UIDS;
        if !self.blocks.contains_key(&number) {
            let key = self.reader.keys.block(self.folder, number);
            let row = self.tx.get(&key, Isolation::Snapshot).await?;
            let block = row.map(|row| rows::decode_block(&row)).transpose()?;
            self.blocks.insert(number, Arc::new(block.unwrap_or_default()));
        }
        let block = self.blocks.get(&number);
        let entry = block.and_then(|block| {
            let place = block.entries.binary_search_by_key(&uid, |entry| entry.uid).ok()?;
            block.entries.get(place)
        });
        Ok(entry.is_some_and(|entry| entry.flags.is_seen()))
    }
}
