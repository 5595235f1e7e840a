//! What every command does with messages: add one, move or copy one, purge one.
//!
//! Each of these keeps index, counts, item row, meta, change index and the other indexes together,
//! so that no command can forget one of them.

use crate::content;
use crate::rows::keys::{Keys, hash64};
use crate::rows::{self, ChangeRow, ChangeState, ItemRow, Milestones, meta};
use crate::unit::Unit;
use crate::write::search_folder::members;
use base::{Change, Error, FolderId, ItemId, Kind, Result, Timestamp, Uid};
use codec_mime::ParsedMessage;
use contract_blob::Staged;
use contract_mailbox::{Content, Flags, IndexEntry, MessageMeta, SpecialUse};
use contract_store::{BodyError, Isolation, Transaction};
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
    let blobs = content.blobs();
    let holder = unit.keys.holder(item);
    for id in &blobs {
        content::hold(unit, *id, staged, &holder).await?;
    }
    let change = unit.next_change();
    let mut row = ItemRow {
        folder,
        uid: None,
        change,
        content_change: change,
        received,
        size_bytes: content.size_bytes(),
        blobs,
        message_id: None,
        conversation: None,
        extra: None,
    };
    let meta = MessageMeta { parsed, content };
    settle(unit, item, &mut row, &meta, flags, None).await
}

/// Gives an item its place in `row.folder`: a UID, index, meta, counts, history (under
/// `row.change`), and the rows that name it. An item that was there before, with another UID,
/// keeps its `milestones`.
pub(crate) async fn settle(
    unit: &mut Unit<'_>,
    item: ItemId,
    row: &mut ItemRow,
    meta: &MessageMeta,
    flags: Flags,
    milestones: Option<Milestones>,
) -> Result<IndexEntry, BodyError> {
    let (folder, change, received) = (row.folder, row.change, row.received);
    let uid = take_uid(unit, folder)?;
    let size_bytes = meta.content.size_bytes();
    let entry = IndexEntry { uid, item, flags, change, size_bytes, received };
    row.uid = Some(uid);
    row.message_id = meta.parsed.message_id.as_deref().map(|id| hash64(&[id]));
    row.conversation = conversation(&meta.parsed);
    let new = Milestones { entered: change, content: change, read: change };
    let milestones = milestones.unwrap_or(new);
    meta::write(unit.tx, unit.keys, folder, uid, meta)?;
    write_item(unit, item, row)?;
    write_change(unit, row, item, milestones)?;
    enter(unit, row, entry, &meta.parsed).await?;
    account_for(unit, folder, 1, row.size_bytes)?;
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
    let mut row = ItemRow { folder: to, change, ..old_row.clone() };
    let item = match how {
        Transfer::Copy => {
            let item = unit.next_item();
            content::copy(unit, old.item, item, &mut row).await?;
            item
        }
        Transfer::Move | Transfer::Dispose => {
            leave(unit, from, old, &old_row, ChangeState::Gone).await?;
            old.item
        }
    };
    arrive(unit, &mut row).await?;
    settle(unit, item, &mut row, &meta, old.flags, None).await
}

/// Fits a row to the folder that its item comes into: names that are taken there are dropped, and
/// the time in Recoverable Items begins or ends.
pub(crate) async fn arrive(unit: &Unit<'_>, row: &mut ItemRow) -> Result<(), BodyError> {
    let disposed = is_recoverable(unit, row.folder)?.then_some(unit.now);
    if disposed.is_some() {
        row.extra.get_or_insert_default();
    }
    let Some(extra) = &mut row.extra else { return Ok(()) };
    extra.disposed = disposed;
    let serializable = Isolation::Serializable;
    if let Some(href) = &extra.href
        && unit.tx.get(&unit.keys.href(row.folder, href), serializable).await?.is_some()
    {
        extra.href = None;
    }
    if let Some(source_key) = &extra.source_key
        && unit.tx.get(&unit.keys.source_key(row.folder, source_key), serializable).await?.is_some()
    {
        extra.source_key = None;
    }
    Ok(())
}

/// Removes a message for good: rows and references.
pub(crate) async fn purge(
    unit: &mut Unit<'_>,
    folder: FolderId,
    old: &IndexEntry,
) -> Result<(), BodyError> {
    let row = read_item(unit, old.item).await?;
    leave(unit, folder, old, &row, ChangeState::Gone).await?;
    content::purge(unit, old.item, &row).await
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
    members::left(unit, folder, old.item).await?;
    account_for(unit, folder, -1, row.size_bytes)?;
    content::purge(unit, old.item, &row).await
}

/// What of a message changes while its UID stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Touch {
    /// Flags.
    Flags,
    /// Content that FETCH does not show.
    Content,
}

/// Writes a changed entry under a new change number; gives it.
pub(crate) async fn restamp(
    unit: &mut Unit<'_>,
    folder: FolderId,
    old: &IndexEntry,
    flags: Flags,
    touch: Touch,
) -> Result<IndexEntry, BodyError> {
    let change = unit.next_change();
    let entry = IndexEntry { flags, change, ..*old };
    let mut step = read_change(unit.tx, unit.keys, folder, old.change).await?;
    let mut milestones = here(&step)?;
    if old.flags.is_seen() != flags.is_seen() {
        milestones.read = change;
    }
    if touch == Touch::Content {
        milestones.content = change;
    }
    step.state = ChangeState::Here(milestones);
    unit.tx.clear(&unit.keys.change(folder, old.change));
    unit.tx.set(&unit.keys.change(folder, change), &rows::encode(&step)?);
    unit.put_entry(folder, entry).await?;
    let row = unit.folder_mut(folder)?;
    row.discount(old);
    row.count(&entry);
    row.info.highest_change = change;
    members::changed(unit, folder, &entry).await?;
    Ok(entry)
}

/// Reads the steps that [`restamp`] will read, all at once: the transaction keeps them.
pub(crate) async fn prefetch_changes(
    unit: &Unit<'_>,
    folder: FolderId,
    entries: &[IndexEntry],
) -> Result<(), BodyError> {
    let reads = entries.iter().map(|entry| {
        let key = unit.keys.change(folder, entry.change);
        async move { unit.tx.get(&key, Isolation::Serializable).await }
    });
    futures::future::try_join_all(reads).await?;
    Ok(())
}

/// A step of a folder's history that is known to be there.
pub(crate) async fn read_change(
    tx: &dyn Transaction,
    keys: Keys,
    folder: FolderId,
    change: Change,
) -> Result<ChangeRow, BodyError> {
    match tx.get(&keys.change(folder, change), Isolation::Serializable).await? {
        Some(row) => Ok(rows::decode(&row, "change")?),
        None => Err(Error::corrupt(format!("{change} of {folder} is missing")).into()),
    }
}

/// The milestones of an item that is here.
pub(crate) fn here(step: &ChangeRow) -> Result<Milestones> {
    match step.state {
        ChangeState::Here(milestones) => Ok(milestones),
        ChangeState::Gone | ChangeState::Replaced => {
            Err(Error::corrupt(format!("{} is here and gone", step.item)))
        }
    }
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
    unit.tx.clear(&unit.keys.change(folder, old.change));
    let change = unit.next_change();
    let tombstone = ChangeRow { item: old.item, uid: Some(old.uid), href: row.href(), state };
    unit.tx.set(&unit.keys.change(folder, change), &rows::encode(&tombstone)?);
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

/// Writes the newest step of an item that is here.
pub(crate) fn write_change(
    unit: &Unit<'_>,
    row: &ItemRow,
    item: ItemId,
    milestones: Milestones,
) -> Result<()> {
    let state = ChangeState::Here(milestones);
    let step = ChangeRow { item, uid: row.uid, href: row.href(), state };
    unit.tx.set(&unit.keys.change(row.folder, row.change), &rows::encode(&step)?);
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
