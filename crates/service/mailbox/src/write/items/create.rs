//! CreateItem: makes an item, or takes in a version of one that came before.

use super::content::Work;
use super::{edit, import, limits, render, reserve};
use crate::associated;
use crate::message;
use crate::rows::ItemRow;
use crate::unit::Unit;
use crate::write::folder::check_takes_mail;
use base::{Error, FolderId, ItemId, Kind, Result};
use contract_mailbox::{Edited, Flags, MessageMeta, Native, NewItem, WriteReply};
use contract_store::{BodyError, Isolation};

pub(in crate::write) async fn create(
    unit: &mut Unit<'_>,
    folder: FolderId,
    new: &NewItem,
) -> Result<WriteReply, BodyError> {
    check_takes_mail(unit, folder)?;
    limits::check_new(new)?;
    if message::is_recoverable(unit, folder)? {
        let text = "Nothing can be made in Recoverable Items";
        return Err(Error::new(Kind::CannotChange, text).into());
    }
    if let Some(known) = by_source_key(unit, folder, new).await? {
        return edit::take_in(unit, known, new).await;
    }
    if let Some(href) = &new.href
        && named(unit, &unit.keys.href(folder, href)).await?.is_some()
    {
        let text = "A resource of that name exists already";
        return Err(Error::new(Kind::AlreadyExists, text).into());
    }
    let item = match new.id {
        Some(id) => {
            reserve::take(unit, id).await?;
            id
        }
        None => unit.next_item(),
    };
    let content_change = make(unit, folder, item, new).await?;
    Ok(WriteReply::Edited(Edited::Applied { item, content_change }))
}

/// The item that has the foreign SourceKey already.
async fn by_source_key(
    unit: &Unit<'_>,
    folder: FolderId,
    new: &NewItem,
) -> Result<Option<ItemId>, BodyError> {
    let Some(key) = &new.source_key else {
        return Ok(None);
    };
    let known = named(unit, &unit.keys.source_key(folder, key)).await?;
    if known.is_some() && new.version.is_none() {
        let text = "An item with that SourceKey exists already";
        return Err(Error::new(Kind::AlreadyExists, text).into());
    }
    Ok(known)
}

/// The item that a row of an index of names points to.
async fn named(unit: &Unit<'_>, key: &[u8]) -> Result<Option<ItemId>, BodyError> {
    let row = unit.tx.get(key, Isolation::Serializable).await?;
    Ok(row.map(|row| crate::rows::decode_item_id(&row)).transpose()?)
}

/// Writes a new item; gives its first change.
async fn make(
    unit: &mut Unit<'_>,
    folder: FolderId,
    item: ItemId,
    new: &NewItem,
) -> Result<base::Change, BodyError> {
    let flags = unit.flags(&new.flags)?;
    let change = unit.next_change();
    let row = ItemRow {
        folder,
        uid: None,
        change,
        content_change: change,
        received: unit.now,
        size_bytes: 0,
        blobs: Vec::new(),
        message_id: None,
        conversation: None,
        extra: None,
    };
    let mut work = Work::on_new(item, row, &new.staged);
    work.extra.source_key = new.source_key.clone();
    work.extra.href = new.href.clone();
    if let Some((version, list)) = &new.version {
        work.extra.version = Some(*version);
        work.extra.predecessors = import::with(list, *version);
    }
    work.bag.properties = new.tree.properties.clone();
    work.bag.recipients = new.tree.recipients.clone();
    work.add_attachments(unit, &new.tree.attachments).await?;
    if new.associated {
        make_associated(unit, work, new, flags).await?;
    } else {
        make_visible(unit, work, new, flags).await?;
    }
    Ok(change)
}

async fn make_associated(
    unit: &mut Unit<'_>,
    mut work: Work,
    new: &NewItem,
    flags: Flags,
) -> Result<(), BodyError> {
    work.extra.flags = flags;
    work.bag.native = new.native.clone();
    work.finish(unit, None, 0).await?;
    message::check_room(unit, work.row.size_bytes)?;
    let item = work.item;
    Ok(associated::enter(unit, item, &work.into_row())?)
}

async fn make_visible(
    unit: &mut Unit<'_>,
    mut work: Work,
    new: &NewItem,
    flags: Flags,
) -> Result<(), BodyError> {
    let meta: MessageMeta = match &new.native {
        Some(Native::Message(meta)) => (**meta).clone(),
        other => {
            work.bag.native = other.clone();
            work.extra.rendered = true;
            render::render(unit, &mut work).await?
        }
    };
    work.finish(unit, Some(&meta), meta.content.size_bytes()).await?;
    message::check_room(unit, work.row.size_bytes)?;
    let item = work.item;
    let mut row = work.into_row();
    message::settle(unit, item, &mut row, &meta, flags, None).await?;
    Ok(())
}
