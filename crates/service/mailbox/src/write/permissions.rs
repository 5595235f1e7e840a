//! SetPermissions, Grant and SetReadPerUser: who may do what in a folder, and whose read state it
//! keeps.
//!
//! Whoever has been given something is to find the mailbox without asking every one there is: the
//! same transaction writes a row outside of the mailbox, below the guest's id. The row is only a
//! hint, so it may outlast the folder or the mailbox that it speaks of.

use super::folder::{check_exists, check_holds_messages};
use crate::unit::Unit;
use base::{AccountId, Error, FolderId, Kind, Result};
use contract_mailbox::request::StoreMode;
use contract_mailbox::{Permission, WriteReply};
use std::collections::BTreeSet;

/// The most entries of one folder.
const PERMISSIONS_MAX: usize = 1_000;

pub(super) fn set(
    unit: &mut Unit<'_>,
    folder: FolderId,
    permissions: &[Permission],
) -> Result<WriteReply> {
    check_exists(unit, folder)?;
    if permissions.len() > PERMISSIONS_MAX {
        return Err(too_many());
    }
    if permissions.iter().any(|permission| permission.rights & !Permission::ALL != 0) {
        return Err(Error::invalid("There are no such rights"));
    }
    let mut sorted = permissions.to_vec();
    sorted.sort_by_key(|permission| permission.account);
    if sorted.windows(2).any(|pair| pair[0].account == pair[1].account) {
        return Err(Error::invalid("An account has its permissions once in a folder"));
    }
    replace(unit, folder, sorted)
}

/// Changes the rights of one account.
pub(super) fn grant(
    unit: &mut Unit<'_>,
    folder: FolderId,
    account: AccountId,
    mode: StoreMode,
    rights: u32,
) -> Result<WriteReply> {
    check_exists(unit, folder)?;
    if rights & !Permission::ALL != 0 {
        return Err(Error::invalid("There are no such rights"));
    }
    if account == unit.owner.id {
        return Err(Error::invalid("The owner of a mailbox needs no rights in it"));
    }
    let mut permissions = unit.folder(folder)?.permissions.clone();
    let place = permissions.binary_search_by_key(&account, |permission| permission.account);
    let old = place.map_or(0, |place| permissions[place].rights);
    let rights = match mode {
        StoreMode::Replace => rights,
        StoreMode::Add => old | rights,
        StoreMode::Remove => old & !rights,
    };
    match (place, rights) {
        (Ok(place), 0) => drop(permissions.remove(place)),
        (Ok(place), rights) => permissions[place].rights = rights,
        (Err(_), 0) => {}
        (Err(_), _) if permissions.len() == PERMISSIONS_MAX => return Err(too_many()),
        (Err(place), rights) => permissions.insert(place, Permission { account, rights }),
    }
    match rights == old {
        true => Ok(WriteReply::Done),
        false => replace(unit, folder, permissions),
    }
}

/// Replaces a folder's permissions, sorted ones.
fn replace(
    unit: &mut Unit<'_>,
    folder: FolderId,
    permissions: Vec<Permission>,
) -> Result<WriteReply> {
    let change = unit.next_change();
    let row = unit.folder_mut(folder)?;
    let old = std::mem::replace(&mut row.permissions, permissions);
    row.info.own_change = change;
    let now = row.permissions.iter();
    let concerned: BTreeSet<AccountId> = old.iter().chain(now).map(|one| one.account).collect();
    for account in concerned {
        tell(unit, account);
    }
    Ok(WriteReply::Done)
}

/// Writes or removes the row by which somebody finds this mailbox.
fn tell(unit: &Unit<'_>, account: AccountId) {
    let key = unit.keys.guest_mark(account);
    let given = |permission: &Permission| permission.account == account && permission.rights != 0;
    match unit.folders().any(|row| row.permissions.iter().any(given)) {
        true => unit.tx.set(&key, &[]),
        false => unit.tx.clear(&key),
    }
}

fn too_many() -> Error {
    let text = format!("A folder can have permissions for at most {PERMISSIONS_MAX} accounts");
    Error::new(Kind::Limit, text)
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
