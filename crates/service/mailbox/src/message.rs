//! What every command does with messages: add one, move or copy one, purge one.
//!
//! Each of these keeps index, counts, item row, meta, change index and the other indexes together,
//! so that no command can forget one of them.

mod history;
mod place;

pub(crate) use history::{Touch, bury, here, read_change, restamp, steps_of, write_change};
pub(crate) use place::{
    account_for, check_room, clear_names, is_recoverable, is_seen, leave, read_item, write_item,
};

use crate::content;
use crate::rows::keys::hash64;
use crate::rows::{ChangeState, ItemRow, Milestones, meta};
use crate::unit::Unit;
use base::{FolderId, ItemId, Result, Timestamp};
use codec_mime::ParsedMessage;
use contract_blob::Staged;
use contract_mailbox::{Content, Flags, IndexEntry, MessageMeta};
use contract_store::{BodyError, Isolation};
use place::{enter, take_uid};
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
    content::purge(unit.tx, unit.keys, unit.blobs, old.item, &row).await
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
    account_for(unit, folder, -1, row.size_bytes)?;
    content::purge(unit.tx, unit.keys, unit.blobs, old.item, &row).await
}
