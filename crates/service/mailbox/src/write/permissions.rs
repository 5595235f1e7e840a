//! SetPermissions: replaces who may do what in a folder.

use crate::unit::Unit;
use base::{FolderId, Result};
use contract_mailbox::{Permission, WriteReply};

pub(super) fn set(
    unit: &mut Unit<'_>,
    folder: FolderId,
    permissions: &[Permission],
) -> Result<WriteReply> {
    let change = unit.next_change();
    let row = unit.folder_mut(folder)?;
    row.permissions = permissions.to_vec();
    row.info.own_change = change;
    Ok(WriteReply::Done)
}
