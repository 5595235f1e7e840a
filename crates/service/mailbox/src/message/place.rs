//! A message's place: the rows that name it and count it in its folder, and what it weighs in the
//! mailbox.

use super::history;
use crate::rows::{self, ChangeRow, ChangeState, ItemRow, meta};
use crate::unit::Unit;
use crate::write::search_folder::members;
use base::{Error, FolderId, ItemId, Kind, Result, Uid};
use codec_mime::ParsedMessage;
use contract_mailbox::{IndexEntry, SpecialUse};
use contract_store::{BodyError, Isolation};

/// The next UID of a folder.
pub(super) fn take_uid(unit: &mut Unit<'_>, folder: FolderId) -> Result<Uid> {
    unit.check_free(folder)?;
    let info = &mut unit.folder_mut(folder)?.info;
    let uid = info.uid_next;
    if uid.0 == u32::MAX {
        return Err(Error::new(Kind::Limit, "The folder has used up its unique identifiers"));
    }
    info.uid_next = Uid(uid.0 + 1);
    Ok(uid)
}

/// Puts an entry into a folder's index, counts and date index.
pub(super) async fn enter(
    unit: &mut Unit<'_>,
    row: &ItemRow,
    entry: IndexEntry,
    parsed: &ParsedMessage,
) -> Result<(), BodyError> {
    unit.tx.set(&unit.keys.received(row.folder, entry.received, entry.item), b"");
    unit.put_entry(row.folder, entry).await?;
    let folder = unit.folder_mut(row.folder)?;
    folder.count(&entry);
    folder.count_beside(row.size_bytes, entry.size_bytes);
    folder.info.highest_change = folder.info.highest_change.max(entry.change);
    // Where nobody may see it, nobody may find it either.
    if unit.unseen == Some(row.folder) {
        return Ok(());
    }
    members::entered(unit, row.folder, &entry, parsed).await
}

/// Takes a message out of a folder's index, counts, meta and date index, and leaves a tombstone.
pub(crate) async fn leave(
    unit: &mut Unit<'_>,
    folder: FolderId,
    old: &IndexEntry,
    row: &ItemRow,
    state: ChangeState,
) -> Result<(), BodyError> {
    let removed = unit.remove_entry(folder, old.uid).await?;
    if removed.is_none() {
        return Err(Error::corrupt(format!("{} of {folder} is not in the index", old.uid)).into());
    }
    meta::clear(unit.tx, unit.keys, folder, old.uid);
    unit.tx.clear(&unit.keys.received(folder, old.received, old.item));
    let tombstone = ChangeRow { item: old.item, uid: Some(old.uid), href: row.href(), state };
    let change = history::bury(unit, folder, old.change, &tombstone)?;
    clear_names(unit, folder, old.item, row);
    let info = unit.folder_mut(folder)?;
    info.discount(old);
    info.discount_beside(row.size_bytes, old.size_bytes);
    info.info.highest_change = change;
    members::left(unit, folder, old.item).await?;
    Ok(account_for(unit, folder, -1, row.size_bytes)?)
}

/// Clears the index rows that name an item in a folder.
pub(crate) fn clear_names(unit: &Unit<'_>, folder: FolderId, item: ItemId, row: &ItemRow) {
    if let Some(hash) = row.message_id {
        unit.tx.clear(&unit.keys.message_id(hash, item));
    }
    if let Some(hash) = row.conversation {
        unit.tx.clear(&unit.keys.conversation(hash, item));
    }
    if let Some(extra) = &row.extra {
        if let Some(href) = &extra.href {
            unit.tx.clear(&unit.keys.href(folder, href));
        }
        if let Some(source_key) = &extra.source_key {
            unit.tx.clear(&unit.keys.source_key(folder, source_key));
        }
    }
}

/// Writes an item's row and the index rows that name it.
pub(crate) fn write_item(unit: &Unit<'_>, item: ItemId, row: &ItemRow) -> Result<()> {
    unit.tx.set(&unit.keys.item(item), &rows::encode(row)?);
    if let Some(hash) = row.message_id {
        unit.tx.set(&unit.keys.message_id(hash, item), b"");
    }
    if let Some(hash) = row.conversation {
        unit.tx.set(&unit.keys.conversation(hash, item), b"");
    }
    let Some(extra) = &row.extra else { return Ok(()) };
    if let Some(href) = &extra.href {
        unit.tx.set(&unit.keys.href(row.folder, href), &item.0.to_be_bytes());
    }
    if let Some(source_key) = &extra.source_key {
        unit.tx.set(&unit.keys.source_key(row.folder, source_key), &item.0.to_be_bytes());
    }
    Ok(())
}

/// An item's row.
///
/// # Errors
/// [`Kind::NotFound`].
pub(crate) async fn read_item(unit: &Unit<'_>, item: ItemId) -> Result<ItemRow, BodyError> {
    match unit.tx.get(&unit.keys.item(item), Isolation::Serializable).await? {
        Some(row) => Ok(rows::decode(&row, "item")?),
        None => Err(Error::not_found("The item").into()),
    }
}

/// Whether an item is one that anybody may know of: in a folder that was not deleted, and not put
/// there by a COPY that is still in progress.
pub(crate) fn is_seen(unit: &Unit<'_>, row: &ItemRow) -> Result<bool> {
    let end = unit.visible_end(row.folder)?;
    Ok(unit.folder(row.folder)?.deleted.is_none() && row.uid.is_none_or(|uid| uid < end))
}

/// Adds items (or takes them away, with a negative count) to what the mailbox holds: to the quota,
/// or to Recoverable Items.
pub(crate) fn account_for(
    unit: &mut Unit<'_>,
    folder: FolderId,
    items: i64,
    size_bytes: u64,
) -> Result<()> {
    let recoverable = is_recoverable(unit, folder)?;
    let summary = unit.summary();
    let total = if recoverable { &mut summary.recoverable_bytes } else { &mut summary.size_bytes };
    *total =
        if items < 0 { total.saturating_sub(size_bytes) } else { total.saturating_add(size_bytes) };
    if !recoverable {
        summary.items = summary.items.saturating_add_signed(items);
    }
    Ok(())
}

/// Whether a folder lies in the Recoverable Items tree.
pub(crate) fn is_recoverable(unit: &Unit<'_>, folder: FolderId) -> Result<bool> {
    let root = SpecialUse::RecoverableItems.folder_id();
    let mut at = Some(folder);
    // A folder has no more ancestors than there are folders; 300 is the deepest that is allowed.
    for _ in 0..=crate::write::folder::DEPTH_MAX {
        match at {
            Some(id) if id == root => return Ok(true),
            Some(id) => at = unit.folder(id)?.info.parent,
            None => return Ok(false),
        }
    }
    Err(Error::corrupt(format!("the parents of {folder} form a loop")))
}

/// Refuses growth beyond the last level of the quota.
///
/// # Errors
/// [`Kind::OverQuota`].
pub(crate) fn check_room(unit: &mut Unit<'_>, more_bytes: u64) -> Result<()> {
    let limit = unit.quota.no_receive_bytes.unwrap_or(u64::MAX);
    if unit.summary().size_bytes.saturating_add(more_bytes) > limit {
        return Err(Error::new(Kind::OverQuota, "The mailbox is full"));
    }
    Ok(())
}
