//! Search folders: criteria over the messages of other folders, membership kept in rows.
//!
//! A message is looked at when it comes into a folder of the scope and when its flags or content
//! change, in the transaction that does so ([`members`]). A member is an entry in the search
//! folder's own index, with a UID and a history of its own, that names the item; nothing of it is
//! counted twice in the mailbox. Criteria may ask for what index and envelope know
//! ([`criteria`]), not for the text of bodies.

pub(crate) mod criteria;
pub(crate) mod members;

use super::bulk::{CHUNK, Progress};
use super::{Step, folder};
use crate::select::select;
use crate::unit::Unit;
use base::{Error, FolderId, Kind, Result, Uid};
use contract_mailbox::{FolderClass, FolderKind, Search, UidSet, WriteReply};
use contract_store::BodyError;

/// The most folders in one scope.
const SCOPE_MAX: usize = 1_000;

/// The most search folders of a mailbox: each may have to look at each message that comes or
/// changes.
const SEARCH_FOLDERS_MAX: usize = 100;

/// A search folder to be made.
#[derive(Clone, Copy)]
pub(super) struct New<'a> {
    pub(super) parent: FolderId,
    pub(super) name: &'a str,
    pub(super) scope: &'a [FolderId],
    pub(super) search: &'a Search,
}

/// Makes a search folder and finds its first members, a chunk of the scope at a time.
pub(super) async fn create(
    unit: &mut Unit<'_>,
    new: New<'_>,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    let id = match progress.made {
        Some(id) => id,
        None => *progress.made.insert(add(unit, new)?),
    };
    let mut room = CHUNK;
    while room > 0 {
        let Some(source) = new.scope.get(progress.place as usize) else {
            return Ok(Step::Finished(WriteReply::Folder(Box::new(unit.info(id)?))));
        };
        let (seen, more) = look(unit, id, *source, new.search, room, progress).await?;
        room -= seen.min(room);
        if !more {
            progress.place += 1;
            progress.after = Uid(0);
        }
    }
    Ok(Step::More)
}

/// Looks at some messages of one folder; gives how many, and whether there are more.
async fn look(
    unit: &mut Unit<'_>,
    id: FolderId,
    source: FolderId,
    search: &Search,
    limit: usize,
    progress: &mut Progress,
) -> Result<(usize, bool), BodyError> {
    let (entries, more) = select(unit, source, &UidSet::all(), progress.after, limit).await?;
    // A message that came or changed since this began is a member already.
    members::join_one(unit, id, source, search, &entries).await?;
    if let Some(last) = entries.last() {
        progress.after = last.uid;
    }
    Ok((entries.len(), more))
}

/// Adds the folder, without members.
fn add(unit: &mut Unit<'_>, new: New<'_>) -> Result<FolderId> {
    criteria::check(new.search)?;
    if new.scope.is_empty() || new.scope.len() > SCOPE_MAX {
        let text = format!("A search folder searches 1 to {SCOPE_MAX} folders");
        return Err(Error::new(Kind::Limit, text));
    }
    for (place, source) in new.scope.iter().enumerate() {
        folder::check_holds_messages(unit, *source)?;
        if new.scope[..place].contains(source) {
            return Err(Error::invalid("A search folder searches each folder once"));
        }
    }
    if unit.folders().filter(|row| row.search.is_some()).count() >= SEARCH_FOLDERS_MAX {
        let text = format!("A mailbox can have at most {SEARCH_FOLDERS_MAX} search folders");
        return Err(Error::new(Kind::Limit, text));
    }
    let id = folder::add(unit, new.parent, new.name, FolderClass::Mail)?;
    let row = unit.folder_mut(id)?;
    row.info.kind = FolderKind::Search;
    row.search = Some((new.scope.to_vec(), new.search.clone()));
    Ok(id)
}

/// Takes a search folder away; its members stay where they are.
pub(super) fn remove(unit: &mut Unit<'_>, id: FolderId) {
    unit.forget_blocks(id);
    unit.tx.clear_range(&unit.keys.blocks(id));
    unit.tx.clear_range(&unit.keys.history(id));
    unit.tx.clear_range(&unit.keys.tombstones(id));
    unit.tx.clear_range(&unit.keys.members(id));
    unit.tx.clear_range(&unit.keys.collections(id));
    unit.tx.clear_range(&unit.keys.read_by_all(id));
    unit.remove_folder(id);
}
