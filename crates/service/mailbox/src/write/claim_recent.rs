//! ClaimRecent: gives one session the \Recent messages, so that no other gets them
//! (RFC 3501 §2.3.2).

use crate::unit::Unit;
use base::{FolderId, Result};
use contract_mailbox::WriteReply;

pub(super) fn run(unit: &mut Unit<'_>, folder: FolderId) -> Result<WriteReply> {
    let info = &unit.folder(folder)?.info;
    let (from, next) = (info.recent_from, info.uid_next);
    if from != next {
        unit.folder_mut(folder)?.info.recent_from = next;
    }
    Ok(WriteReply::Recent(from))
}
