//! Copy and Move: messages of one folder to another.

use super::Step;
use super::bulk::{CHUNK_BYTES, Progress};
use super::folder::{check_holds_messages, check_takes_mail};
use super::search_folder::members;
use crate::message::{self, Transfer};
use crate::rows::meta;
use crate::select::{select, select_from, select_next};
use crate::unit::Unit;
use base::{Error, FolderId, Result, Uid};
use contract_mailbox::request::Copied;
use contract_mailbox::{IndexEntry, UidSet, WriteReply};
use contract_store::{BodyError, Isolation};

/// Copies a chunk. All or nothing is seen: while there is more to come, what the target's row will
/// say stays in the job.
pub(super) async fn copy_step(
    unit: &mut Unit<'_>,
    from: FolderId,
    uids: &UidSet,
    to: FolderId,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    if progress.joining.is_some() {
        return join_step(unit, to, progress).await;
    }
    check_takes_mail(unit, to)?;
    check_holds_messages(unit, from)?;
    if progress.steps == 0 {
        let (all, _) = select(unit, from, uids, Uid(0), usize::MAX).await?;
        message::check_room(unit, all.iter().map(|entry| entry.size_bytes).sum())?;
    }
    let first = unit.visible_end(to)?;
    if let Some(hidden) = progress.hidden.take() {
        unit.reveal(&hidden)?;
    }
    unit.unseen = Some(to);
    let chunk = unit.chunk;
    let (entries, more) = select_next(unit, from, uids, progress, chunk).await?;
    let all = transfer(unit, from, &entries, to, Transfer::Copy, progress).await?;
    if more || !all {
        progress.hidden = Some(unit.hide(to)?);
        return Ok(Step::More);
    }
    let end = unit.folder(to)?.info.uid_next;
    if first == end || unit.searches_over(to).is_empty() {
        return finish(unit, to, progress);
    }
    progress.joining = Some((first, end));
    // What one transaction has copied comes to search folders with it, else after it.
    match progress.steps {
        0 => join_step(unit, to, progress).await,
        _ => Ok(Step::More),
    }
}

/// Shows search folders a chunk of what a COPY has put and everybody sees now.
async fn join_step(
    unit: &mut Unit<'_>,
    to: FolderId,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    let (first, end) = progress.joining.unwrap_or_default();
    let chunk = unit.chunk;
    let (entries, more) = select_from(unit, to, first, end, chunk).await?;
    members::join(unit, to, &entries).await?;
    match entries.last() {
        Some(last) if more => {
            progress.joining = Some((Uid(last.uid.0 + 1), end));
            Ok(Step::More)
        }
        _ => finish(unit, to, progress),
    }
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
    let chunk = unit.chunk;
    let (entries, more) = select_next(unit, from, uids, progress, chunk).await?;
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
    let mut rest = entries;
    while !rest.is_empty() {
        let group = &rest[..rest.len().min(METAS)];
        let uids: Vec<Uid> = group.iter().map(|entry| entry.uid).collect();
        let (metas, next) =
            meta::read(unit.tx, unit.keys, from, &uids, Isolation::Serializable).await?;
        let mut metas = metas.into_iter();
        let done = next.map_or(group.len(), |next| uids.partition_point(|uid| *uid < next));
        for old in &group[..done] {
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
        rest = &rest[done..];
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
