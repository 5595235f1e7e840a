//! Making, renaming, removing folders, and subscriptions.

use super::bulk::{self, Progress};
use super::permissions::tell;
use super::{Step, inbox, search_folder};
use crate::authorise::Standing;
use crate::rows::FolderRow;
use crate::unit::Unit;
use base::{AccountId, Change, Error, FolderId, Kind, Result, Uid};
use contract_mailbox::{
    FolderClass, FolderCounts, FolderInfo, FolderKind, Permission, SpecialUse, WriteReply,
    default_folders,
};
use contract_store::BodyError;
use std::collections::BTreeSet;

/// The longest name, in bytes of UTF-8.
const NAME_BYTES_MAX: usize = 255;

/// The deepest folder tree (Exchange's limit for public folders).
pub(crate) const DEPTH_MAX: usize = 300;

/// The most folders of one mailbox.
pub(crate) const FOLDERS_MAX: usize = 10_000;

/// The most subscriptions of one mailbox: one for each folder it can have. Names outlive folders.
const SUBSCRIPTIONS_MAX: usize = FOLDERS_MAX;

/// The most bytes that the paths of all subscriptions may have together.
const SUBSCRIPTION_BYTES_MAX: usize = 1_000_000;

/// The longest subscription path, in bytes.
const PATH_BYTES_MAX: usize = 4_096;

pub(super) fn create(
    unit: &mut Unit<'_>,
    parent: FolderId,
    name: &str,
    class: FolderClass,
    role: Option<SpecialUse>,
) -> Result<WriteReply> {
    let id = add(unit, parent, name, class)?;
    if let Some(role) = role {
        if unit.folders().any(|row| row.info.role == Some(role)) {
            let text = "Another folder has that special use already";
            return Err(Error::new(Kind::AlreadyExists, text));
        }
        unit.folder_mut(id)?.info.role = Some(role);
    }
    Ok(WriteReply::Folder(Box::new(unit.info(id)?)))
}

/// Makes folders, each below the one before.
pub(super) fn create_chain(
    unit: &mut Unit<'_>,
    parent: FolderId,
    names: &[String],
    class: FolderClass,
) -> Result<WriteReply> {
    if names.is_empty() {
        return Err(Error::invalid("A folder needs a name"));
    }
    let mut last = parent;
    for name in names {
        last = add(unit, last, name, class)?;
    }
    Ok(WriteReply::Folder(Box::new(unit.info(last)?)))
}

/// Adds an empty folder; gives its id.
pub(super) fn add(
    unit: &mut Unit<'_>,
    parent: FolderId,
    name: &str,
    class: FolderClass,
) -> Result<FolderId> {
    check_name(name)?;
    check_parent(unit, parent)?;
    check_free(unit, parent, name, None)?;
    if unit.folders().count() >= unit.folders_max {
        let text = format!("A mailbox can have at most {} folders", unit.folders_max);
        return Err(Error::new(Kind::Limit, text));
    }
    if depth(unit, parent)? + 1 > DEPTH_MAX {
        return Err(Error::new(Kind::Limit, format!("Folders nest at most {DEPTH_MAX} deep")));
    }
    let id = FolderId(unit.summary().next_folder);
    unit.summary().next_folder += 1;
    let (change, uid_validity) = (unit.next_change(), unit.next_uid_validity());
    let hidden = unit.folder(parent)?.info.hidden;
    let mut row = new_row(id, Some(parent), name, class, hidden, change, uid_validity);
    if let Standing::Guest(account) = unit.standing {
        row.permissions = of_guest(&unit.folder(parent)?.permissions, account);
    }
    unit.insert_folder(row);
    Ok(id)
}

/// The permissions of a folder that somebody makes in another's mailbox: those of its parent, and
/// all for himself.
fn of_guest(parent: &[Permission], guest: AccountId) -> Vec<Permission> {
    let mut permissions = parent.to_vec();
    permissions.retain(|permission| permission.account != guest);
    permissions.push(Permission { account: guest, rights: Permission::OF_CREATOR });
    permissions.sort_by_key(|permission| permission.account);
    permissions
}

fn new_row(
    id: FolderId,
    parent: Option<FolderId>,
    name: &str,
    class: FolderClass,
    hidden: bool,
    change: Change,
    uid_validity: u32,
) -> FolderRow {
    let info = FolderInfo {
        id,
        parent,
        name: name.to_owned(),
        class,
        kind: FolderKind::Normal,
        role: None,
        hidden,
        subscribed: false,
        counts: FolderCounts::default(),
        uid_validity,
        uid_next: Uid(1),
        highest_change: change,
        recent_from: Uid(1),
        own_change: change,
    };
    FolderRow {
        info,
        read_per_user: false,
        compacted: Change(0),
        search: None,
        permissions: Vec::new(),
        deleted: None,
    }
}

/// The folders of a new mailbox. Mail folders are subscribed, since many clients show no others.
pub(crate) fn create_defaults(unit: &mut Unit<'_>) {
    for folder in default_folders() {
        let (change, uid_validity) = (unit.next_change(), unit.next_uid_validity());
        let parent = folder.parent.map(SpecialUse::folder_id);
        let id = folder.role.folder_id();
        let row =
            new_row(id, parent, folder.name, folder.class, folder.hidden, change, uid_validity);
        let info = FolderInfo { role: Some(folder.role), ..row.info };
        unit.insert_folder(FolderRow { info, ..row });
        if folder.class == FolderClass::Mail && !folder.hidden {
            unit.subscribe(folder.name.to_owned(), true);
        }
    }
}

/// Renames or moves a folder; children stay below it, UIDs stay valid.
pub(super) async fn rename(
    unit: &mut Unit<'_>,
    id: FolderId,
    parent: FolderId,
    name: &str,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    if id == SpecialUse::Inbox.folder_id() {
        return inbox::rename(unit, parent, name, progress).await;
    }
    check_changeable(unit, id)?;
    check_name(name)?;
    check_parent(unit, parent)?;
    check_free(unit, parent, name, Some(id))?;
    let mut at = Some(parent);
    for _ in 0..=DEPTH_MAX {
        match at {
            Some(above) if above == id => {
                let text = "A folder cannot be moved below itself";
                return Err(Error::new(Kind::CannotChange, text).into());
            }
            Some(above) => at = unit.folder(above)?.info.parent,
            None => break,
        }
    }
    if depth(unit, parent)? + height(unit, id) > DEPTH_MAX {
        let text = format!("Folders nest at most {DEPTH_MAX} deep");
        return Err(Error::new(Kind::Limit, text).into());
    }
    let change = unit.next_change();
    let info = &mut unit.folder_mut(id)?.info;
    info.parent = Some(parent);
    info.name = name.to_owned();
    info.own_change = change;
    Ok(Step::Finished(WriteReply::Folder(Box::new(unit.info(id)?))))
}

/// Takes a folder away. In one transaction it becomes a child of Recoverable Items, with all its
/// messages; housekeeping removes those when their time has come. Only where search folders show
/// its messages these have to be taken out of them, one after the other.
pub(super) async fn delete(unit: &mut Unit<'_>, id: FolderId) -> Result<Step, BodyError> {
    check_changeable(unit, id)?;
    unit.check_free(id)?;
    if unit.folders().any(|row| row.info.parent == Some(id)) {
        let text = "The folder has folders below it; remove those first";
        return Err(Error::new(Kind::CannotChange, text).into());
    }
    let permissions = unit.folder(id)?.permissions.iter();
    let guests: BTreeSet<AccountId> = permissions.map(|permission| permission.account).collect();
    if unit.folder(id)?.search.is_some() {
        search_folder::remove(unit, id);
        tell(unit, &guests);
        return Ok(Step::Finished(WriteReply::Done));
    }
    if search_folder::members::leave_with_folder(unit, id, bulk::CHUNK).await? {
        return Ok(Step::More);
    }
    let reply = dispose_of(unit, id)?;
    tell(unit, &guests);
    Ok(Step::Finished(reply))
}

fn dispose_of(unit: &mut Unit<'_>, id: FolderId) -> Result<WriteReply> {
    let (change, now) = (unit.next_change(), unit.now);
    let row = unit.folder_mut(id)?;
    let size_bytes = row.info.counts.size_bytes;
    let items = row.info.counts.messages + row.info.counts.associated;
    row.info.parent = Some(SpecialUse::Deletions.folder_id());
    row.info.hidden = true;
    row.info.role = None;
    row.info.own_change = change;
    row.deleted = Some(now);
    let summary = unit.summary();
    summary.size_bytes = summary.size_bytes.saturating_sub(size_bytes);
    summary.recoverable_bytes = summary.recoverable_bytes.saturating_add(size_bytes);
    summary.items = summary.items.saturating_sub(items);
    Ok(WriteReply::Done)
}

pub(super) fn subscribe(unit: &mut Unit<'_>, path: &str, on: bool) -> Result<WriteReply> {
    if path.is_empty() || path.len() > PATH_BYTES_MAX || path.chars().any(char::is_control) {
        return Err(Error::invalid("That is no name of a folder"));
    }
    if on {
        check_subscriptions(unit, path)?;
    }
    unit.subscribe(path.to_owned(), on);
    Ok(WriteReply::Done)
}

/// Refuses one subscription too many: all of them are kept in memory and listed at once.
fn check_subscriptions(unit: &Unit<'_>, path: &str) -> Result<()> {
    let known = unit.subscriptions();
    let bytes: usize = known.iter().map(String::len).sum();
    let full = known.len() >= SUBSCRIPTIONS_MAX || bytes + path.len() > SUBSCRIPTION_BYTES_MAX;
    if full && !known.contains(path) {
        let text = format!("A mailbox can have at most {SUBSCRIPTIONS_MAX} subscriptions");
        return Err(Error::new(Kind::Limit, text));
    }
    Ok(())
}

/// Refuses folders that messages cannot be put into.
pub(super) fn check_takes_mail(unit: &Unit<'_>, id: FolderId) -> Result<()> {
    let row = unit.folder(id)?;
    if row.deleted.is_some() {
        return Err(Error::not_found("The folder"));
    }
    if row.info.parent.is_none() || row.search.is_some() {
        return Err(Error::new(Kind::CannotChange, "Nothing can be put into that folder"));
    }
    check_seen(unit, id)
}

/// Refuses folders that nothing can be put below: deleted and search folders, and the Recoverable
/// Items tree, whose bytes count elsewhere.
fn check_parent(unit: &Unit<'_>, id: FolderId) -> Result<()> {
    check_exists(unit, id)?;
    if unit.folder(id)?.search.is_some() {
        return Err(Error::new(Kind::CannotChange, "A search folder has no folders below it"));
    }
    check_seen(unit, id)
}

/// Refuses folders of the Recoverable Items tree: things come there by being removed only.
fn check_seen(unit: &Unit<'_>, id: FolderId) -> Result<()> {
    if crate::message::is_recoverable(unit, id)? {
        let text = "Things come to Recoverable Items only by being removed";
        return Err(Error::new(Kind::CannotChange, text));
    }
    Ok(())
}

/// Refuses folders that have been deleted.
pub(super) fn check_exists(unit: &Unit<'_>, id: FolderId) -> Result<()> {
    match unit.folder(id)?.deleted {
        None => Ok(()),
        Some(_) => Err(Error::not_found("The folder")),
    }
}

/// Refuses folders whose messages are not their own: those of a search folder are changed where
/// they are.
pub(super) fn check_holds_messages(unit: &Unit<'_>, id: FolderId) -> Result<()> {
    let row = unit.folder(id)?;
    if row.deleted.is_some() {
        return Err(Error::not_found("The folder"));
    }
    if row.search.is_some() {
        let text = "Messages of a search folder can only be changed in their own folders";
        return Err(Error::new(Kind::CannotChange, text));
    }
    Ok(())
}

/// Refuses default folders and those that are deleted.
fn check_changeable(unit: &Unit<'_>, id: FolderId) -> Result<()> {
    let row = unit.folder(id)?;
    if row.deleted.is_some() {
        return Err(Error::not_found("The folder"));
    }
    let is_default = default_folders().iter().any(|folder| folder.role.folder_id() == id);
    if is_default {
        let text = format!("\"{}\" is a default folder and stays", row.info.name);
        return Err(Error::new(Kind::CannotChange, text));
    }
    Ok(())
}

pub(super) fn check_name(name: &str) -> Result<()> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let text = format!("A folder's name has 1 to {NAME_BYTES_MAX} bytes");
        return Err(Error::invalid(text));
    }
    if name.chars().any(|c| c.is_control() || c == '/') {
        return Err(Error::invalid("A folder's name has neither \"/\" nor control characters"));
    }
    Ok(())
}

/// Refuses a name that a sibling has; names are compared without regard to case where the folder
/// is one of the default ones, as clients do with the Inbox.
fn check_free(unit: &Unit<'_>, parent: FolderId, name: &str, but: Option<FolderId>) -> Result<()> {
    unit.folder(parent)?;
    let taken = unit.folders().any(|row| {
        let same = match row.info.role {
            Some(_) => row.info.name.eq_ignore_ascii_case(name),
            None => row.info.name == name,
        };
        row.info.parent == Some(parent) && same && Some(row.info.id) != but
    });
    if taken {
        return Err(Error::new(Kind::AlreadyExists, "A folder of that name exists already"));
    }
    Ok(())
}

/// How many folders are above and including this one.
fn depth(unit: &Unit<'_>, id: FolderId) -> Result<usize> {
    let (mut depth, mut at) = (0, Some(id));
    while let Some(id) = at {
        depth += 1;
        if depth > DEPTH_MAX + 1 {
            return Err(Error::corrupt(format!("the parents of {id} form a loop")));
        }
        at = unit.folder(id)?.info.parent;
    }
    Ok(depth)
}

/// How many levels a folder and those below it take.
fn height(unit: &Unit<'_>, id: FolderId) -> usize {
    let mut level = vec![id];
    let mut height = 0;
    while !level.is_empty() && height <= DEPTH_MAX {
        height += 1;
        level = unit
            .folders()
            .filter(|row| row.info.parent.is_some_and(|parent| level.contains(&parent)))
            .map(|row| row.info.id)
            .collect();
    }
    height
}
