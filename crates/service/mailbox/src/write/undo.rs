//! Ending a job that cannot go on. Only a COPY leaves something that must not stay: messages
//! behind the end of the target folder, in no folder's counts and seen by nobody.

use super::Step;
use super::bulk::{CHUNK, Progress};
use crate::message;
use crate::select::select_hidden;
use crate::unit::Unit;
use contract_mailbox::WriteReply;
use contract_store::BodyError;

/// Takes back a chunk of what a COPY has put.
pub(crate) async fn step(
    unit: &mut Unit<'_>,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    let Some(hidden) = &progress.hidden else { return Ok(Step::Finished(WriteReply::Done)) };
    let info = &hidden.info;
    let (entries, more) = select_hidden(unit, info.id, info.uid_next, CHUNK).await?;
    for entry in &entries {
        message::take_back(unit, info.id, entry).await?;
    }
    Ok(if more { Step::More } else { Step::Finished(WriteReply::Done) })
}

/// Shows what a COPY has put: part of what was asked for, but each message whole.
pub(crate) fn publish(unit: &mut Unit<'_>, progress: &mut Progress) -> Step {
    if let Some(row) = progress.hidden.take() {
        unit.insert_folder(row);
    }
    Step::Finished(WriteReply::Done)
}
