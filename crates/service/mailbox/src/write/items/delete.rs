//! DeleteItems: removes items by id, out of the folder or the search folder that is named. Unknown
//! ones are passed over. What is removed from where users see it goes to Recoverable Items; from
//! Purges, where it went last, it goes for good, unless the mailbox is on hold.

use super::edit;
use crate::associated;
use crate::message::{self, Transfer};
use crate::rows::{self, ItemRow};
use crate::unit::Unit;
use crate::write::Step;
use crate::write::bulk::{CHUNK, CHUNK_BYTES, Progress};
use crate::write::folder::check_exists;
use crate::write::search_folder::members;
use base::{Error, FolderId, ItemId, Kind, Result};
use contract_mailbox::{Permission, SpecialUse, WriteReply};
use contract_store::{BodyError, Isolation};

pub(in crate::write) async fn delete(
    unit: &mut Unit<'_>,
    folder: FolderId,
    items: &[ItemId],
    hard: bool,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    check_exists(unit, folder)?;
    let begin = (progress.place as usize).min(items.len());
    let chunk = &items[begin..items.len().min(begin + CHUNK)];
    for item in chunk {
        if unit.tx.approximate_size() > CHUNK_BYTES {
            return Ok(Step::More);
        }
        if let Some(row) = read_one(unit, *item).await?
            && message::is_seen(unit, &row)?
            && is_in(unit, folder, *item, &row).await?
        {
            unit.require(row.folder, Permission::DELETE_ANY)?;
            remove(unit, *item, &row, hard).await?;
        }
        progress.place += 1;
    }
    match (progress.place as usize) < items.len() {
        true => Ok(Step::More),
        false => Ok(Step::Finished(WriteReply::Done)),
    }
}

/// The rows of items, each once; unknown items are left out.
pub(super) async fn read_items(
    unit: &Unit<'_>,
    items: &[ItemId],
) -> Result<Vec<(ItemId, ItemRow)>, BodyError> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items.dedup();
    let reads = items.iter().map(|item| read_one(unit, *item));
    let found = futures::future::try_join_all(reads).await?;
    let known = items.iter().zip(found).filter_map(|(item, row)| row.map(|row| (*item, row)));
    Ok(known.collect())
}

async fn read_one(unit: &Unit<'_>, item: ItemId) -> Result<Option<ItemRow>, BodyError> {
    let row = unit.tx.get(&unit.keys.item(item), Isolation::Serializable).await?;
    Ok(row.map(|row| rows::decode(&row, "item")).transpose()?)
}

/// Whether an item is in a folder, or a member of it.
async fn is_in(
    unit: &Unit<'_>,
    folder: FolderId,
    item: ItemId,
    row: &ItemRow,
) -> Result<bool, BodyError> {
    match unit.folder(folder)?.search {
        None => Ok(row.folder == folder),
        Some(_) => Ok(members::uid_in(unit, folder, row.folder, item).await?.is_some()),
    }
}

async fn remove(
    unit: &mut Unit<'_>,
    item: ItemId,
    row: &ItemRow,
    hard: bool,
) -> Result<(), BodyError> {
    let target = target(unit, row.folder, hard)?;
    let Some(uid) = row.uid else {
        return match target {
            Some(to) => associated::transfer(unit, item, row, to, Transfer::Dispose).await,
            None => associated::purge(unit, item, row).await,
        };
    };
    let entry = unit.entry(row.folder, uid).await?;
    match target {
        Some(to) => {
            let meta = edit::shown(unit, row, &entry).await?;
            message::transfer(unit, row.folder, &entry, meta, to, Transfer::Dispose).await?;
            Ok(())
        }
        None => message::purge(unit, row.folder, &entry).await,
    }
}

/// Where items of a folder go when they are removed; `None` is nowhere.
fn target(unit: &Unit<'_>, folder: FolderId, hard: bool) -> Result<Option<FolderId>> {
    let purges = SpecialUse::Purges.folder_id();
    if folder == purges {
        if unit.on_hold {
            let text = "The mailbox is on hold: nothing can be removed for good";
            return Err(Error::new(Kind::CannotChange, text));
        }
        return Ok(None);
    }
    let recoverable = message::is_recoverable(unit, folder)?;
    Ok(Some(if hard || recoverable { purges } else { SpecialUse::Deletions.folder_id() }))
}
