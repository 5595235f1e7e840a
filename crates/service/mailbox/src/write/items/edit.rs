//! EditItem: changes an item, and takes in versions that were made elsewhere.
//!
//! Attachments that are not named are neither read nor copied. What FETCH shows changes only where
//! a new message is given or the one that was made from the tree comes out differently; then the
//! item gets a new UID, else it keeps the old one under a new change number.

use super::content::Work;
use super::import::{self, Verdict};
use super::{limits, render, versions};
use crate::associated;
use crate::message::{self, Touch};
use crate::rows::{ChangeState, ItemRow, meta};
use crate::unit::Unit;
use base::{Change, Error, ItemId, Kind, Result};
use contract_blob::Staged;
use contract_mailbox::{
    Attachment, Edited, IndexEntry, ItemEdit, MessageMeta, Native, NewItem, Permission,
    PredecessorList, Properties, PropertyName, WriteReply, Xid,
};
use contract_store::{BodyError, Isolation};
use std::sync::Arc;

/// What a new version of an item brings.
struct Revision<'a> {
    version: Option<&'a (Xid, PredecessorList)>,
    /// Whether what is not named goes: the version is whole, not a difference.
    whole: bool,
    set: &'a Properties,
    delete: &'a [PropertyName],
    recipients: Option<&'a Vec<Properties>>,
    add: &'a [Attachment],
    remove: &'a [u32],
    native: Option<&'a Native>,
    staged: &'a [Staged],
}

pub(in crate::write) async fn edit(
    unit: &mut Unit<'_>,
    item: ItemId,
    edit: &ItemEdit,
) -> Result<WriteReply, BodyError> {
    limits::check_edit(edit)?;
    let row = message::read_item(unit, item).await?;
    unit.require(row.folder, Permission::READ_ANY | Permission::EDIT_ANY)?;
    if edit.expected.is_some_and(|expected| expected != row.content_change) {
        return Err(Error::new(Kind::Conflict, "The item has been changed meanwhile").into());
    }
    let revision = Revision {
        version: edit.version.as_ref(),
        whole: false,
        set: &edit.set,
        delete: &edit.delete,
        recipients: edit.recipients.as_ref(),
        add: &edit.add_attachments,
        remove: &edit.remove_attachments,
        native: edit.native.as_ref(),
        staged: &edit.staged,
    };
    revise(unit, item, row, revision).await
}

/// Takes in a whole version of an item that was imported before.
pub(super) async fn take_in(
    unit: &mut Unit<'_>,
    item: ItemId,
    new: &NewItem,
) -> Result<WriteReply, BodyError> {
    let row = message::read_item(unit, item).await?;
    let revision = Revision {
        version: new.version.as_ref(),
        whole: true,
        set: &new.tree.properties,
        delete: &[],
        recipients: Some(&new.tree.recipients),
        add: &new.tree.attachments,
        remove: &[],
        native: new.native.as_ref(),
        staged: &new.staged,
    };
    revise(unit, item, row, revision).await
}

/// Compares versions, keeps the old one if it must be kept, and writes the new one.
async fn revise(
    unit: &mut Unit<'_>,
    item: ItemId,
    row: ItemRow,
    revision: Revision<'_>,
) -> Result<WriteReply, BodyError> {
    if !message::is_seen(unit, &row)? {
        return Err(Error::not_found("The item").into());
    }
    unit.require(row.folder, Permission::READ_ANY | Permission::EDIT_ANY)?;
    if message::is_recoverable(unit, row.folder)? {
        let text = "Removed items cannot be changed; recover them first";
        return Err(Error::new(Kind::CannotChange, text).into());
    }
    if let Some((version, list)) = revision.version {
        match import::decide(&import::stored(&row, unit.replica()), *version, list) {
            Verdict::Apply => {}
            Verdict::Ignore => return Ok(WriteReply::Edited(Edited::Ignored)),
            Verdict::Conflict => return Ok(WriteReply::Edited(Edited::Conflict)),
        }
    }
    if unit.on_hold {
        versions::keep(unit, item, &row).await?;
    }
    let content_change = write(unit, item, row, revision).await?;
    Ok(WriteReply::Edited(Edited::Applied { item, content_change }))
}

/// Writes a new version; gives its change number.
async fn write(
    unit: &mut Unit<'_>,
    item: ItemId,
    old: ItemRow,
    revision: Revision<'_>,
) -> Result<Change, BodyError> {
    let entry = match old.uid {
        Some(uid) => Some(unit.entry(old.folder, uid).await?),
        None => None,
    };
    let mut work = Work::on_old(unit, item, old.clone(), revision.staged).await?;
    apply(unit, &mut work, &revision).await?;
    let predecessors = import::stored(&old, unit.replica());
    match revision.version {
        Some((version, list)) => {
            let mut merged = import::with(list, *version);
            for (replica, counter) in predecessors {
                merged = import::with(&merged, Xid { replica, counter });
            }
            work.extra.version = Some(*version);
            work.extra.predecessors = merged;
        }
        None => {
            work.extra.version = None;
            work.extra.predecessors = predecessors;
        }
    }
    let Some(entry) = entry else {
        if let Some(native) = revision.native {
            work.bag.native = Some(native.clone());
        }
        work.finish(unit, None, 0).await?;
        check_growth(unit, &old, &work.row)?;
        let mut row = work.into_row();
        associated::restamp(unit, item, &old, &mut row, Touch::Content).await?;
        return Ok(row.content_change);
    };
    match new_message(unit, &mut work, &entry, revision.native).await? {
        Some(meta) => replace(unit, work, &old, &entry, &meta).await,
        None => keep_uid(unit, work, &old, &entry).await,
    }
}

/// Brings properties, recipients and attachments up to the revision.
async fn apply(unit: &Unit<'_>, work: &mut Work, revision: &Revision<'_>) -> Result<(), BodyError> {
    if revision.whole {
        work.bag.properties.clear();
        work.clear_attachments(unit).await?;
    }
    for name in revision.delete {
        work.bag.properties.remove(name);
    }
    for (name, value) in revision.set {
        work.bag.properties.insert(name.clone(), value.clone());
    }
    if let Some(recipients) = revision.recipients {
        work.bag.recipients.clone_from(recipients);
    }
    work.remove_attachments(unit, revision.remove).await?;
    work.add_attachments(unit, revision.add).await
}

/// The message that FETCH shall show from now on, if it becomes another.
async fn new_message(
    unit: &Unit<'_>,
    work: &mut Work,
    entry: &IndexEntry,
    native: Option<&Native>,
) -> Result<Option<MessageMeta>, BodyError> {
    match native {
        Some(Native::Message(meta)) => {
            work.extra.rendered = false;
            work.bag.native = None;
            return Ok(Some((**meta).clone()));
        }
        Some(other) => {
            work.bag.native = Some(other.clone());
            work.extra.rendered = true;
        }
        None if !work.extra.rendered => return Ok(None),
        None => {}
    }
    let new = render::render(unit, work).await?;
    let old = shown(unit, &work.row, entry).await?;
    Ok((old.content != new.content).then_some(new))
}

/// The message that FETCH shows now.
pub(super) async fn shown(
    unit: &Unit<'_>,
    row: &ItemRow,
    entry: &IndexEntry,
) -> Result<Arc<MessageMeta>, BodyError> {
    let uids = [entry.uid];
    let isolation = Isolation::Serializable;
    let found = meta::read(unit.tx, unit.keys, row.folder, &uids, isolation).await?;
    let missing = || Error::corrupt(format!("{} of {} has no meta", entry.uid, row.folder));
    Ok(found.0.into_iter().next().map(|(_, meta)| meta).ok_or_else(missing)?)
}

/// Gives the item a new UID, which shows the new message.
async fn replace(
    unit: &mut Unit<'_>,
    mut work: Work,
    old: &ItemRow,
    entry: &IndexEntry,
    meta: &MessageMeta,
) -> Result<Change, BodyError> {
    work.finish(unit, Some(meta), meta.content.size_bytes()).await?;
    check_growth(unit, old, &work.row)?;
    let (item, folder) = (work.item, old.folder);
    let step = message::read_change(unit.tx, unit.keys, folder, entry.change).await?;
    let mut milestones = message::here(&step)?;
    message::leave(unit, folder, entry, old, ChangeState::Replaced).await?;
    let change = unit.next_change();
    milestones.content = change;
    let mut row = work.into_row();
    row.change = change;
    row.content_change = change;
    message::settle(unit, item, &mut row, meta, entry.flags, Some(milestones)).await?;
    Ok(change)
}

/// Writes content that FETCH does not show.
async fn keep_uid(
    unit: &mut Unit<'_>,
    mut work: Work,
    old: &ItemRow,
    entry: &IndexEntry,
) -> Result<Change, BodyError> {
    work.finish(unit, None, entry.size_bytes).await?;
    check_growth(unit, old, &work.row)?;
    let (item, folder) = (work.item, old.folder);
    let step = message::read_change(unit.tx, unit.keys, folder, entry.change).await?;
    let entry_now = message::restamp(unit, folder, entry, step, entry.flags, Touch::Content);
    let change = entry_now.await?.change;
    let mut row = work.into_row();
    row.change = change;
    row.content_change = change;
    message::write_item(unit, item, &row)?;
    let counts = unit.folder_mut(folder)?;
    counts.discount_beside(old.size_bytes, entry.size_bytes);
    counts.count_beside(row.size_bytes, entry.size_bytes);
    message::account_for(unit, folder, -1, old.size_bytes)?;
    message::account_for(unit, folder, 1, row.size_bytes)?;
    Ok(change)
}

fn check_growth(unit: &mut Unit<'_>, old: &ItemRow, new: &ItemRow) -> Result<()> {
    match new.size_bytes.checked_sub(old.size_bytes) {
        Some(more) if more > 0 => message::check_room(unit, more),
        _ => Ok(()),
    }
}
