//! SetRead: the read state of items, for all, or for the principal where that is kept per user.
//! Unknown items are passed over.

use crate::associated;
use crate::message::{self, Touch};
use crate::rows::{ItemRow, read_by};
use crate::select::select;
use crate::unit::Unit;
use crate::write::Step;
use crate::write::bulk::{CHUNK, Progress};
use base::{FolderId, ItemId, Result, Uid};
use contract_mailbox::{Flags, Permission, Principal, SystemFlags, WriteReply};
use contract_store::BodyError;
use std::collections::BTreeMap;

pub(in crate::write) async fn set_read(
    unit: &mut Unit<'_>,
    items: &[ItemId],
    read: bool,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    let begin = (progress.place as usize).min(items.len());
    let chunk = &items[begin..items.len().min(begin + CHUNK)];
    let mut messages: BTreeMap<FolderId, Vec<Uid>> = BTreeMap::new();
    let mut associated = Vec::new();
    for (item, row) in super::delete::read_items(unit, chunk).await? {
        if !message::is_seen(unit, &row)? {
            continue;
        }
        match row.uid {
            Some(uid) => messages.entry(row.folder).or_default().push(uid),
            None => associated.push((item, row)),
        }
    }
    for (folder, uids) in messages {
        mark(unit, folder, uids, read).await?;
    }
    for (item, row) in associated {
        mark_associated(unit, item, &row, read).await?;
    }
    progress.place += chunk.len() as u32;
    match (progress.place as usize) < items.len() {
        true => Ok(Step::More),
        false => Ok(Step::Finished(WriteReply::Done)),
    }
}

async fn mark_associated(
    unit: &mut Unit<'_>,
    item: ItemId,
    row: &ItemRow,
    read: bool,
) -> Result<(), BodyError> {
    unit.require(row.folder, Permission::READ_ANY | Permission::EDIT_ANY)?;
    let flags = with_seen(associated::flags(row), read);
    if flags == associated::flags(row) {
        return Ok(());
    }
    let mut new = row.clone();
    new.extra.get_or_insert_default().flags = flags;
    associated::restamp(unit, item, row, &mut new, Touch::Flags).await
}

/// Marks messages of one folder.
async fn mark(
    unit: &mut Unit<'_>,
    folder: FolderId,
    uids: Vec<Uid>,
    read: bool,
) -> Result<(), BodyError> {
    if unit.folder(folder)?.read_per_user
        && let Principal::Account(user) = unit.principal
    {
        unit.require(folder, Permission::READ_ANY)?;
        for uid in uids {
            read_by::mark(unit.tx, unit.keys, folder, user, uid, read).await?;
        }
        return Ok(());
    }
    unit.require(folder, Permission::READ_ANY | Permission::EDIT_ANY)?;
    let uids = uids.into_iter().collect();
    let (mut entries, _) = select(unit, folder, &uids, Uid(0), usize::MAX).await?;
    entries.retain(|old| with_seen(old.flags, read) != old.flags);
    let mut steps = message::steps_of(unit, folder, &entries).await?;
    for old in &entries {
        let (step, flags) = (steps.take(old)?, with_seen(old.flags, read));
        message::restamp(unit, folder, old, step, flags, Touch::Flags).await?;
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
