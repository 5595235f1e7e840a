//! ClaimRecent: gives one session the \Recent messages, so that no other gets them
//! (RFC 3501 §2.3.2).
//!
//! It is part of every SELECT of a folder with new mail, which does not wait for the disk: should
//! the claim be lost with the machine's power, the messages are \Recent once more, for a session
//! of the time after.

use crate::unit::Unit;
use base::{FolderId, Result};
use contract_mailbox::WriteReply;
use contract_store::Durability;

pub(super) fn run(unit: &mut Unit<'_>, folder: FolderId) -> Result<WriteReply> {
    let info = &unit.folder(folder)?.info;
    let (from, next) = (info.recent_from, info.uid_next);
    if from != next {
        unit.folder_mut(folder)?.info.recent_from = next;
        unit.tx.set_durability(Durability::WithNext);
    }
    Ok(WriteReply::Recent(from))
}
