//! SetPermissions and SetReadPerUser: who may do what in a folder, and whose read state it keeps.

use super::folder::{check_exists, check_holds_messages};
use crate::unit::Unit;
use base::{Error, FolderId, Kind, Result};
use contract_mailbox::{Permission, WriteReply};

/// The most entries of one folder.
const PERMISSIONS_MAX: usize = 1_000;

pub(super) fn set(
    unit: &mut Unit<'_>,
    folder: FolderId,
    permissions: &[Permission],
) -> Result<WriteReply> {
    check_exists(unit, folder)?;
    if permissions.len() > PERMISSIONS_MAX {
        let text = format!("A folder can have permissions for at most {PERMISSIONS_MAX} accounts");
        return Err(Error::new(Kind::Limit, text));
    }
    if permissions.iter().any(|permission| permission.rights & !Permission::ALL != 0) {
        return Err(Error::invalid("There are no such rights"));
    }
    let mut sorted = permissions.to_vec();
    sorted.sort_by_key(|permission| permission.account);
    if sorted.windows(2).any(|pair| pair[0].account == pair[1].account) {
        return Err(Error::invalid("An account has its permissions once in a folder"));
    }
    let change = unit.next_change();
    let row = unit.folder_mut(folder)?;
    row.permissions = sorted;
    row.info.own_change = change;
    Ok(WriteReply::Done)
}

/// Switches read state per user on or off. What users have read is kept while it is off.
pub(super) fn read_per_user(unit: &mut Unit<'_>, folder: FolderId, on: bool) -> Result<WriteReply> {
    check_holds_messages(unit, folder)?;
    if unit.folder(folder)?.read_per_user != on {
        let change = unit.next_change();
        let row = unit.folder_mut(folder)?;
        row.read_per_user = on;
        row.info.own_change = change;
    }
    Ok(WriteReply::Done)
}
