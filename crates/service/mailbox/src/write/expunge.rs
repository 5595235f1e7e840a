//! Expunge: removes messages that have \Deleted, and [`dispose`], the one way anything is removed.

use super::bulk::Progress;
use super::folder::check_holds_messages;
use super::{Step, copy};
use crate::message::{self, Transfer};
use crate::select::select_next;
use crate::unit::Unit;
use base::{FolderId, Result, Uid};
use contract_mailbox::{IndexEntry, SpecialUse, SystemFlags, UidSet, WriteReply};
use contract_store::BodyError;

pub(super) async fn step(
    unit: &mut Unit<'_>,
    folder: FolderId,
    uids: Option<&UidSet>,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    check_holds_messages(unit, folder)?;
    let chunk = unit.chunk;
    let mut doomed = Vec::new();
    let all = UidSet::all();
    let uids = uids.unwrap_or(&all);
    let mut more = unit.folder(folder)?.info.counts.deleted > 0;
    while more && doomed.len() < chunk {
        let (entries, rest) = select_next(unit, folder, uids, progress, chunk).await?;
        more = rest;
        for entry in entries {
            if doomed.len() == chunk {
                more = true;
                break;
            }
            progress.after = entry.uid;
            if entry.flags.system.contains(SystemFlags::DELETED) {
                doomed.push(entry);
            }
        }
    }
    let after = progress.after;
    if dispose(unit, folder, &doomed, progress).await? {
        progress.after = after;
    } else {
        more = true;
    }
    if more {
        return Ok(Step::More);
    }
    if progress.incomplete {
        return Ok(Step::Finished(WriteReply::LookAgain));
    }
    let removed = progress.pairs.drain(..).map(|(old, _)| old).collect::<UidSet>();
    Ok(Step::Finished(WriteReply::Expunged(removed)))
}

/// Removes messages from where users see them: into Recoverable Items/Deletions, or, from within
/// that tree, into Purges while they must be kept, else for good. Says whether it did all, see
/// [`copy::transfer`].
pub(super) async fn dispose(
    unit: &mut Unit<'_>,
    folder: FolderId,
    entries: &[IndexEntry],
    progress: &mut Progress,
) -> Result<bool, BodyError> {
    let purges = SpecialUse::Purges.folder_id();
    let target = match message::is_recoverable(unit, folder)? {
        false => Some(SpecialUse::Deletions.folder_id()),
        true if folder != purges => Some(purges),
        true if unit.on_hold => None,
        true => {
            for entry in entries {
                message::purge(unit, folder, entry).await?;
                progress.pairs.push((entry.uid, Uid(0)));
            }
            None
        }
    };
    match target {
        Some(to) => copy::transfer(unit, folder, entries, to, Transfer::Dispose, progress).await,
        None => Ok(true),
    }
}
