//! Copy and Move: messages of one folder to another.

use super::Step;
use super::bulk::{CHUNK_BYTES, Progress};
use super::folder::{check_holds_messages, check_takes_mail};
use crate::message::{self, Transfer};
use crate::rows::meta;
use crate::select::select;
use crate::unit::Unit;
use base::{Error, FolderId, Result, Uid};
use contract_mailbox::request::Copied;
use contract_mailbox::{IndexEntry, UidSet, WriteReply};
use contract_store::{BodyError, Isolation};

/// Copies a chunk. All or nothing is seen: while there is more to come, the target's row stays in
/// the job.
pub(super) async fn copy_step(
    unit: &mut Unit<'_>,
    from: FolderId,
    uids: &UidSet,
    to: FolderId,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    check_takes_mail(unit, to)?;
    check_holds_messages(unit, from)?;
    if progress.steps == 0 {
        let (all, _) = select(unit, from, uids, Uid(0), usize::MAX).await?;
        message::check_room(unit, all.iter().map(|entry| entry.size_bytes).sum())?;
    }
    if let Some(row) = progress.hidden.take() {
        unit.insert_folder(row);
    }
    let chunk = unit.chunk;
    let (entries, more) = select(unit, from, uids, progress.after, chunk).await?;
    let all = transfer(unit, from, &entries, to, Transfer::Copy, progress).await?;
    if more || !all {
        unit.hide(to);
        progress.hidden = unit.hidden_row().cloned();
        return Ok(Step::More);
    }
    finish(unit, to, progress)
}

/// Moves a chunk; each chunk is seen at once.
pub(super) async fn move_step(
    unit: &mut Unit<'_>,
    from: FolderId,
    uids: &UidSet,
    to: FolderId,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    check_takes_mail(unit, to)?;
    check_holds_messages(unit, from)?;
    if progress.steps == 0 && message::is_recoverable(unit, from)? {
        let (all, _) = select(unit, from, uids, Uid(0), usize::MAX).await?;
        message::check_room(unit, all.iter().map(|entry| entry.size_bytes).sum())?;
    }
    // Moving within one folder gives new UIDs behind the old ones: what was there at the start
    // ends where the first new one begins.
    let visible_end = unit.visible_end(from)?;
    let until = *progress.until.get_or_insert(visible_end);
    let chunk = unit.chunk;
    let (mut entries, mut more) = select(unit, from, uids, progress.after, chunk).await?;
    let ours = entries.partition_point(|entry| entry.uid < until);
    more &= ours == entries.len();
    entries.truncate(ours);
    let all = transfer(unit, from, &entries, to, Transfer::Move, progress).await?;
    if more || !all { Ok(Step::More) } else { finish(unit, to, progress) }
}

/// How many messages' meta are read at once.
const METAS: usize = 64;

/// Transfers messages and notes source and target UIDs; says whether it did all: where the
/// transaction becomes too large, it stops.
pub(super) async fn transfer(
    unit: &mut Unit<'_>,
    from: FolderId,
    entries: &[IndexEntry],
    to: FolderId,
    how: Transfer,
    progress: &mut Progress,
) -> Result<bool, BodyError> {
    for group in entries.chunks(METAS) {
        let uids: Vec<Uid> = group.iter().map(|entry| entry.uid).collect();
        let metas = meta::read(unit.tx, unit.keys, from, &uids, Isolation::Serializable).await?;
        let mut metas = metas.into_iter();
        for old in group {
            if unit.tx.approximate_size() > CHUNK_BYTES {
                return Ok(false);
            }
            let meta = match metas.next() {
                Some((uid, meta)) if uid == old.uid => meta,
                _ => {
                    let text = format!("{} of {from} has no meta", old.uid);
                    return Err(Error::corrupt(text).into());
                }
            };
            let new = message::transfer(unit, from, old, meta, to, how).await?;
            progress.after = old.uid;
            progress.pairs.push((old.uid, new.uid));
        }
    }
    Ok(true)
}

fn finish(unit: &Unit<'_>, to: FolderId, progress: &mut Progress) -> Result<Step, BodyError> {
    if progress.incomplete {
        return Ok(Step::Finished(WriteReply::LookAgain));
    }
    let uid_validity = unit.folder(to)?.info.uid_validity;
    let pairs = std::mem::take(&mut progress.pairs);
    Ok(Step::Finished(WriteReply::Copied(Copied { uid_validity, pairs })))
}
