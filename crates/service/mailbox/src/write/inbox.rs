//! Renaming the Inbox: its messages move to a new folder, the Inbox stays (RFC 3501 §6.3.5).

use super::bulk::Progress;
use super::{Step, copy, folder};
use crate::unit::Unit;
use base::FolderId;
use contract_mailbox::{FolderClass, SpecialUse, UidSet, WriteReply};
use contract_store::BodyError;

pub(super) async fn rename(
    unit: &mut Unit<'_>,
    parent: FolderId,
    name: &str,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    let to = match progress.made {
        Some(made) => made,
        None => *progress.made.insert(folder::add(unit, parent, name, FolderClass::Mail)?),
    };
    let inbox = SpecialUse::Inbox.folder_id();
    match copy::move_step(unit, inbox, &UidSet::all(), to, progress).await? {
        Step::More => Ok(Step::More),
        Step::Finished(_) => Ok(Step::Finished(WriteReply::Folder(Box::new(unit.info(to)?)))),
    }
}
