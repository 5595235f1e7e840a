//! What every command does with messages: add one, move or copy one, purge one.
//!
//! Each of these keeps index, counts, item row, meta, change index and the other indexes together,
//! so that no command can forget one of them.

use crate::rows::keys::hash64;
use crate::rows::{self, ChangeRow, ItemRow, meta};
use crate::unit::Unit;
use base::{Change, Error, FolderId, ItemId, Kind, Result, Timestamp, Uid};
use codec_mime::ParsedMessage;
use contract_blob::Staged;
use contract_mailbox::{Content, Flags, IndexEntry, MessageMeta, SpecialUse};
use contract_store::{BodyError, Isolation};
use std::sync::Arc;

/// A message that comes into the mailbox.
pub(crate) struct Arrival<'a> {
    pub(crate) folder: FolderId,
    pub(crate) content: Content,
    /// The blobs of `content` that nobody holds yet; the others are held by somebody.
    pub(crate) staged: &'a [Staged],
    /// Fits `content`.
    pub(crate) parsed: ParsedMessage,
    pub(crate) flags: Flags,
    pub(crate) received: Timestamp,
}

/// Adds a message: index, item, meta, changes, references.
pub(crate) async fn add(
    unit: &mut Unit<'_>,
    arrival: Arrival<'_>,
) -> Result<IndexEntry, BodyError> {
    let Arrival { folder, content, staged, parsed, flags, received } = arrival;
    let item = unit.next_item();
    let change = unit.next_change();
    let size_bytes = content.size_bytes();
    let uid = take_uid(unit, folder)?;
    let entry = IndexEntry { uid, item, flags, change, size_bytes, received };
    let blobs = content.blobs();
    let holder = unit.keys.holder(item);
    for id in &blobs {
        match staged.iter().find(|staged| staged.id == *id) {
            Some(staged) => unit.blobs.hold(unit.tx, staged, &holder).await?,
            None => unit.blobs.hold_stored(unit.tx, *id, &holder).await?,
        }
    }
    let row = ItemRow {
        folder,
        uid: Some(uid),
        change,
        content_change: change,
        read_change: change,
        received,
        size_bytes,
        blobs,
        message_id: parsed.message_id.as_deref().map(|id| hash64(&[id])),
        conversation: conversation(&parsed),
        extra: None,
    };
    meta::write(unit.tx, unit.keys, folder, uid, &MessageMeta { parsed, content })?;
    write_item(unit, item, &row)?;
    write_change(unit, folder, change, item, Some(uid))?;
    enter(unit, folder, entry).await?;
    account_for(unit, folder, 1, size_bytes)?;
    Ok(entry)
}

/// The hash of the conversation a message belongs to: that of the first message it refers to, or
/// its own.
fn conversation(parsed: &ParsedMessage) -> Option<u64> {
    let first = parsed.references.first().or(parsed.in_reply_to.first());
    first.or(parsed.message_id.as_ref()).map(|id| hash64(&[id]))
}

/// Whether a message's new place is a copy or the same item elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transfer {
    /// A new item with the same bytes.
    Copy,
    /// The same item, with a new UID.
    Move,
    /// A move into Recoverable Items, by disposing of it.
    Dispose,
}

/// Copies or moves a message to another folder; gives its new entry.
pub(crate) async fn transfer(
    unit: &mut Unit<'_>,
    from: FolderId,
    old: &IndexEntry,
    meta: Arc<MessageMeta>,
    to: FolderId,
    how: Transfer,
) -> Result<IndexEntry, BodyError> {
    let old_row = read_item(unit, old.item).await?;
    let change = unit.next_change();
    let uid = take_uid(unit, to)?;
    let item = if how == Transfer::Copy { unit.next_item() } else { old.item };
    let entry = IndexEntry { uid, item, change, ..*old };
    let mut row = ItemRow { folder: to, uid: Some(uid), change, ..old_row.clone() };
    match how {
        Transfer::Copy => {
            row.extra = None;
            row.content_change = change;
            row.read_change = change;
            let holder = unit.keys.holder(item);
            for id in &row.blobs {
                unit.blobs.hold_stored(unit.tx, *id, &holder).await?;
            }
        }
        Transfer::Move => {}
        Transfer::Dispose => {
            row.extra.get_or_insert_default().disposed = Some(unit.now);
        }
    }
    meta::write(unit.tx, unit.keys, to, uid, &meta)?;
    if how != Transfer::Copy {
        leave(unit, from, old, &old_row).await?;
        account_for(unit, from, -1, old.size_bytes)?;
    }
    write_item(unit, item, &row)?;
    write_change(unit, to, change, item, Some(uid))?;
    enter(unit, to, entry).await?;
    account_for(unit, to, 1, old.size_bytes)?;
    Ok(entry)
}

/// Removes a message for good: rows and references.
pub(crate) async fn purge(
    unit: &mut Unit<'_>,
    folder: FolderId,
    old: &IndexEntry,
) -> Result<(), BodyError> {
    let row = read_item(unit, old.item).await?;
    leave(unit, folder, old, &row).await?;
    account_for(unit, folder, -1, old.size_bytes)?;
    forget_item(unit, old.item, &row);
    Ok(())
}

/// Takes back a copy that nobody has seen: no trace of it is left, its UID will be given again.
pub(crate) async fn take_back(
    unit: &mut Unit<'_>,
    folder: FolderId,
    old: &IndexEntry,
) -> Result<(), BodyError> {
    let row = read_item(unit, old.item).await?;
    unit.remove_entry(folder, old.uid).await?;
    meta::clear(unit.tx, unit.keys, folder, old.uid);
    unit.tx.clear(&unit.keys.received(folder, old.received, old.item));
    unit.tx.clear(&unit.keys.change(folder, old.change));
    clear_names(unit, folder, old.item, &row);
    account_for(unit, folder, -1, old.size_bytes)?;
    forget_item(unit, old.item, &row);
    Ok(())
}

/// Removes what is left of an item that is in no folder any more: its rows and references.
fn forget_item(unit: &Unit<'_>, item: ItemId, row: &ItemRow) {
    let holder = unit.keys.holder(item);
    for id in &row.blobs {
        unit.blobs.release(unit.tx, *id, &holder);
    }
    unit.tx.clear(&unit.keys.item(item));
    if row.extra.as_ref().is_some_and(|extra| extra.has_tree) {
        unit.tx.clear_range(&unit.keys.tree_of(item));
    }
}

/// Writes a changed entry under a new change number; gives it.
pub(crate) async fn restamp(
    unit: &mut Unit<'_>,
    folder: FolderId,
    old: &IndexEntry,
    flags: Flags,
) -> Result<IndexEntry, BodyError> {
    let change = unit.next_change();
    let entry = IndexEntry { flags, change, ..*old };
    unit.tx.clear(&unit.keys.change(folder, old.change));
    write_change(unit, folder, change, old.item, Some(old.uid))?;
    unit.put_entry(folder, entry).await?;
    let row = unit.folder_mut(folder)?;
    row.discount(old);
    row.count(&entry);
    row.info.highest_change = change;
    Ok(entry)
}

/// The next UID of a folder.
fn take_uid(unit: &mut Unit<'_>, folder: FolderId) -> Result<Uid> {
    let info = &mut unit.folder_mut(folder)?.info;
    let uid = info.uid_next;
    if uid.0 == u32::MAX {
        return Err(Error::new(Kind::Limit, "The folder has used up its unique identifiers"));
    }
    info.uid_next = Uid(uid.0 + 1);
    Ok(uid)
}

/// Puts an entry into a folder's index, counts and date index.
async fn enter(
    unit: &mut Unit<'_>,
    folder: FolderId,
    entry: IndexEntry,
) -> Result<(), BodyError> {
    unit.tx.set(&unit.keys.received(folder, entry.received, entry.item), b"");
    unit.put_entry(folder, entry).await?;
    let row = unit.folder_mut(folder)?;
    row.count(&entry);
    row.info.highest_change = row.info.highest_change.max(entry.change);
    Ok(())
}

/// Takes a message out of a folder's index, counts, meta and date index, and leaves a tombstone.
async fn leave(
    unit: &mut Unit<'_>,
    folder: FolderId,
    old: &IndexEntry,
    row: &ItemRow,
) -> Result<(), BodyError> {
    let removed = unit.remove_entry(folder, old.uid).await?;
    if removed.is_none() {
        return Err(Error::corrupt(format!("{} of {folder} is not in the index", old.uid)).into());
    }
    meta::clear(unit.tx, unit.keys, folder, old.uid);
    unit.tx.clear(&unit.keys.received(folder, old.received, old.item));
    unit.tx.clear(&unit.keys.change(folder, old.change));
    let change = unit.next_change();
    let href = row.extra.as_ref().and_then(|extra| extra.href.clone());
    let tombstone = ChangeRow { item: old.item, uid: Some(old.uid), gone: Some(href) };
    unit.tx.set(&unit.keys.change(folder, change), &rows::encode(&tombstone)?);
    clear_names(unit, folder, old.item, row);
    let folder = unit.folder_mut(folder)?;
    folder.discount(old);
    folder.info.highest_change = change;
    Ok(())
}

/// Clears the index rows that name an item in a folder.
fn clear_names(unit: &Unit<'_>, folder: FolderId, item: ItemId, row: &ItemRow) {
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

/// Writes an item's change row.
pub(crate) fn write_change(
    unit: &Unit<'_>,
    folder: FolderId,
    change: Change,
    item: ItemId,
    uid: Option<Uid>,
) -> Result<()> {
    let row = ChangeRow { item, uid, gone: None };
    unit.tx.set(&unit.keys.change(folder, change), &rows::encode(&row)?);
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
    *total = if items < 0 {
        total.saturating_sub(size_bytes)
    } else {
        total.saturating_add(size_bytes)
    };
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

