//! Renaming the Inbox: its messages move to a new folder, the Inbox stays (RFC 3501 §6.3.5).

use super::bulk::Progress;
use super::{Step, copy, folder};
use crate::unit::Unit;
use base::{Error, FolderId, Result};
use contract_mailbox::{FolderClass, SpecialUse, UidSet, WriteReply};
use contract_store::BodyError;

pub(super) async fn rename(
    unit: &mut Unit<'_>,
    parent: FolderId,
    name: &str,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    let to = match progress.steps {
        0 => folder::add(unit, parent, name, FolderClass::Mail)?,
        _ => find(unit, parent, name)?,
    };
    let inbox = SpecialUse::Inbox.folder_id();
    match copy::move_step(unit, inbox, &UidSet::all(), to, progress).await? {
        Step::More => Ok(Step::More),
        Step::Finished(_) => Ok(Step::Finished(WriteReply::Folder(Box::new(unit.info(to)?)))),
    }
}

fn find(unit: &Unit<'_>, parent: FolderId, name: &str) -> Result<FolderId> {
    let found = unit
        .folders()
        .find(|row| row.info.parent == Some(parent) && row.info.name == name)
        .map(|row| row.info.id);
    found.ok_or_else(|| Error::not_found("The folder"))
}
