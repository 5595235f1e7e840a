//! SetRead: the read state of items, for all, or for the principal where that is kept per user.
//! Unknown items are passed over.

use crate::associated;
use crate::message::{self, Touch};
use crate::rows::{ItemRow, read_by};
use crate::unit::Unit;
use crate::write::Step;
use crate::write::bulk::{CHUNK, Progress};
use base::{FolderId, ItemId, Result, Uid};
use contract_mailbox::{Flags, Principal, SystemFlags, WriteReply};
use contract_store::BodyError;

pub(in crate::write) async fn set_read(
    unit: &mut Unit<'_>,
    items: &[ItemId],
    read: bool,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    let begin = (progress.place as usize).min(items.len());
    let chunk = &items[begin..items.len().min(begin + CHUNK)];
    for (item, row) in super::delete::read_items(unit, chunk).await? {
        // One command may name an item twice; then the row has changed meanwhile.
        mark(unit, item, row, read).await?;
    }
    progress.place += chunk.len() as u32;
    match (progress.place as usize) < items.len() {
        true => Ok(Step::More),
        false => Ok(Step::Finished(WriteReply::Done)),
    }
}

async fn mark(
    unit: &mut Unit<'_>,
    item: ItemId,
    row: ItemRow,
    read: bool,
) -> Result<(), BodyError> {
    let folder = unit.folder(row.folder)?;
    if folder.deleted.is_some() {
        return Ok(());
    }
    let Some(uid) = row.uid else {
        let flags = with_seen(associated::flags(&row), read);
        if flags == associated::flags(&row) {
            return Ok(());
        }
        let mut new = row.clone();
        new.extra.get_or_insert_default().flags = flags;
        return associated::restamp(unit, item, &row, &mut new, Touch::Flags).await;
    };
    if folder.read_per_user
        && let Principal::Account(_) = unit.principal
    {
        return mark_for_user(unit, row.folder, uid, read).await;
    }
    let old = unit.entry(row.folder, uid).await?;
    let flags = with_seen(old.flags, read);
    if flags != old.flags {
        message::restamp(unit, row.folder, &old, flags, Touch::Flags).await?;
    }
    Ok(())
}

fn with_seen(flags: Flags, read: bool) -> Flags {
    let system = match read {
        true => flags.system.union(SystemFlags::SEEN),
        false => flags.system.without(SystemFlags::SEEN),
    };
    Flags { system, ..flags }
}

async fn mark_for_user(
    unit: &Unit<'_>,
    folder: FolderId,
    uid: Uid,
    read: bool,
) -> Result<(), BodyError> {
    let Principal::Account(user) = unit.principal else {
        return Ok(());
    };
    read_by::mark(unit.tx, unit.keys, folder, user, uid, read).await
}
