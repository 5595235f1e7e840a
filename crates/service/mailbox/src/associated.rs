//! Associated items (FAI): no UID, no entry in the folder's index, counts of their own. Views,
//! rules and settings of MAPI clients live in them.

use crate::content;
use crate::message::{self, Touch, Transfer};
use crate::rows::{ChangeRow, ChangeState, ItemRow, Milestones};
use crate::unit::Unit;
use base::{Error, FolderId, ItemId, Result, Timestamp};
use contract_mailbox::Flags;
use contract_store::{BodyError, Isolation, RangeRead};

/// Puts an item into `row.folder`, under `row.change`.
pub(crate) fn enter(unit: &mut Unit<'_>, item: ItemId, row: &ItemRow) -> Result<()> {
    unit.check_free(row.folder)?;
    let change = row.change;
    message::write_item(unit, item, row)?;
    unit.tx.set(&unit.keys.associated(row.folder, item), b"");
    let milestones = Milestones { entered: change, content: change, read: change };
    message::write_change(unit, row, item, milestones)?;
    let folder = unit.folder_mut(row.folder)?;
    folder.info.counts.associated += 1;
    folder.info.counts.size_bytes += row.size_bytes;
    folder.info.highest_change = folder.info.highest_change.max(change);
    message::account_for(unit, row.folder, 1, row.size_bytes)
}

/// Takes an item out of its folder and leaves a tombstone.
fn leave(unit: &mut Unit<'_>, item: ItemId, row: &ItemRow) -> Result<()> {
    unit.check_free(row.folder)?;
    unit.tx.clear(&unit.keys.associated(row.folder, item));
    let tombstone = ChangeRow { item, uid: None, href: row.href(), state: ChangeState::Gone };
    let change = message::bury(unit, row.folder, row.change, &tombstone)?;
    message::clear_names(unit, row.folder, item, row);
    let folder = unit.folder_mut(row.folder)?;
    let counts = &mut folder.info.counts;
    counts.associated = counts.associated.saturating_sub(1);
    counts.size_bytes = counts.size_bytes.saturating_sub(row.size_bytes);
    folder.info.highest_change = change;
    message::account_for(unit, row.folder, -1, row.size_bytes)
}

/// Copies or moves an item to another folder.
pub(crate) async fn transfer(
    unit: &mut Unit<'_>,
    item: ItemId,
    old: &ItemRow,
    to: FolderId,
    how: Transfer,
) -> Result<(), BodyError> {
    let change = unit.next_change();
    let mut row = ItemRow { folder: to, change, ..old.clone() };
    let id = match how {
        Transfer::Copy => {
            let id = unit.next_item();
            content::copy(unit, item, id, &mut row).await?;
            id
        }
        Transfer::Move | Transfer::Dispose => {
            leave(unit, item, old)?;
            item
        }
    };
    message::arrive(unit, &mut row).await?;
    Ok(enter(unit, id, &row)?)
}

/// Removes an item for good.
pub(crate) async fn purge(
    unit: &mut Unit<'_>,
    item: ItemId,
    row: &ItemRow,
) -> Result<(), BodyError> {
    leave(unit, item, row)?;
    content::purge(unit.tx, unit.keys, unit.blobs, item, row).await
}

/// Writes a changed item, whose size may have been another, under a new change number.
pub(crate) async fn restamp(
    unit: &mut Unit<'_>,
    item: ItemId,
    old: &ItemRow,
    row: &mut ItemRow,
    touch: Touch,
) -> Result<(), BodyError> {
    unit.check_free(old.folder)?;
    let step = message::read_change(unit.tx, unit.keys, old.folder, old.change).await?;
    let mut milestones = message::here(&step)?;
    row.change = unit.next_change();
    match touch {
        Touch::Flags => milestones.read = row.change,
        Touch::Content => {
            milestones.content = row.change;
            row.content_change = row.change;
        }
    }
    unit.tx.clear(&unit.keys.change(old.folder, old.change));
    message::write_change(unit, row, item, milestones)?;
    message::write_item(unit, item, row)?;
    let folder = unit.folder_mut(row.folder)?;
    let counts = &mut folder.info.counts;
    counts.size_bytes = counts.size_bytes.saturating_sub(old.size_bytes) + row.size_bytes;
    folder.info.highest_change = row.change;
    message::account_for(unit, row.folder, -1, old.size_bytes)?;
    Ok(message::account_for(unit, row.folder, 1, row.size_bytes)?)
}

/// The flags of an associated item.
pub(crate) fn flags(row: &ItemRow) -> Flags {
    row.extra.as_ref().map_or_else(Flags::default, |extra| extra.flags)
}

/// Purges items of a folder that came there before `limit` (all, without one), at most `max` of
/// those looked at; says whether there are more to look at.
pub(crate) async fn purge_expired(
    unit: &mut Unit<'_>,
    folder: FolderId,
    limit: Option<Timestamp>,
    max: usize,
) -> Result<bool, BodyError> {
    let mut looked = 0;
    let range = unit.keys.associated_of(folder);
    let mut next = Some(RangeRead::all(&range));
    while let Some(read) = next {
        let page = unit.tx.get_range(&read, Isolation::Serializable).await?;
        next = read.after(&page);
        for row in &page.rows {
            let item = unit.keys.parse_associated(&row.key);
            let item = item.ok_or_else(|| Error::corrupt("the key of an associated item"))?;
            let row = message::read_item(unit, item).await?;
            let disposed = row.extra.as_ref().and_then(|extra| extra.disposed);
            let since = disposed.unwrap_or(row.received);
            if limit.is_some_and(|limit| since >= limit) {
                continue;
            }
            if looked == max {
                return Ok(true);
            }
            looked += 1;
            purge(unit, item, &row).await?;
        }
    }
    Ok(false)
}
