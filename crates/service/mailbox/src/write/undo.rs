//! Ending a job that cannot go on. A COPY leaves something that must not stay: messages behind the
//! end of the target folder, in no folder's counts and seen by nobody. So does making a search
//! folder: it would show some of what it should.

use super::bulk::Progress;
use super::{Step, search_folder};
use crate::message;
use crate::select::select_from;
use crate::unit::Unit;
use base::{FolderId, Result};
use contract_mailbox::WriteReply;
use contract_store::BodyError;

/// Takes back a chunk of what a COPY has put.
pub(crate) async fn step(unit: &mut Unit<'_>, progress: &mut Progress) -> Result<Step, BodyError> {
    if let Some(made) = progress.made.filter(|id| is_search_folder(unit, *id)) {
        search_folder::remove(unit, made);
    }
    let Some(hidden) = &progress.hidden else {
        return Ok(Step::Finished(WriteReply::Done));
    };
    let (folder, end, chunk) = (hidden.folder, hidden.uid_next, unit.chunk);
    let begin = unit.visible_end(folder)?;
    let (entries, more) = select_from(unit, folder, begin, end, chunk).await?;
    for entry in &entries {
        message::take_back(unit, folder, entry).await?;
    }
    Ok(if more { Step::More } else { Step::Finished(WriteReply::Done) })
}

fn is_search_folder(unit: &Unit<'_>, id: FolderId) -> bool {
    unit.folder(id).is_ok_and(|row| row.search.is_some())
}

/// Shows what a COPY has put: part of what was asked for, but each message whole. Search folders
/// over it do not get it: something stored is damaged, and an operator has to look anyway.
pub(crate) fn publish(unit: &mut Unit<'_>, progress: &mut Progress) -> Result<Step> {
    if let Some(hidden) = progress.hidden.take() {
        unit.reveal(&hidden)?;
    }
    Ok(Step::Finished(WriteReply::Done))
}
