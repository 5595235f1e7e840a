//! Commands that change a mailbox: one file each, and the one dispatch.

mod append;
pub(crate) mod bulk;
mod claim_recent;
mod collection;
mod copy;
pub(crate) mod deliver;
mod expunge;
pub(crate) mod folder;
mod inbox;
pub(crate) mod items;
mod permissions;
pub(crate) mod search_folder;
mod store;
mod submit;
pub(crate) mod undo;

use crate::authorise::{self, Standing};
use crate::unit::Unit;
use base::{Error, Result};
use bulk::Progress;
use contract_mailbox::{Write, WriteReply};
use contract_store::BodyError;

/// Whether a command is finished.
#[derive(Debug)]
pub(crate) enum Step {
    /// It is; this is the answer.
    Finished(WriteReply),
    /// A chunk of it is done; go on in another transaction.
    More,
}

/// Runs a command, or its next chunk, in a unit of work.
///
/// # Errors
/// The command's own refusal; nothing of the unit is committed then.
pub(crate) async fn run(
    unit: &mut Unit<'_>,
    request: &Write,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    if progress.steps == 0 {
        may(unit, request)?;
    }
    let reply = match request {
        Write::Store { folder, uids, mode, flags, unchanged_since } => {
            let change = store::Change { mode: *mode, flags, unchanged_since: *unchanged_since };
            return store::step(unit, *folder, uids, change, progress).await;
        }
        Write::Copy { from, uids, to } => {
            return copy::copy_step(unit, *from, uids, *to, progress).await;
        }
        Write::Move { from, uids, to } => {
            return copy::move_step(unit, *from, uids, *to, progress).await;
        }
        Write::Expunge { folder, uids } => {
            return expunge::step(unit, *folder, uids.as_ref(), progress).await;
        }
        Write::RenameFolder { folder, parent, name } => {
            return folder::rename(unit, *folder, *parent, name, progress).await;
        }
        Write::DeleteFolder(folder) => return folder::delete(unit, *folder).await,
        Write::SetRead { items, read } => {
            return items::set_read(unit, items, *read, progress).await;
        }
        Write::DeleteItems { folder, items, hard } => {
            return items::delete(unit, *folder, items, *hard, progress).await;
        }
        Write::CreateSearchFolder { parent, name, scope, search } => {
            let new = search_folder::New { parent: *parent, name, scope, search };
            return search_folder::create(unit, new, progress).await;
        }
        Write::CreateFolder { parent, name, class, role } => {
            folder::create(unit, *parent, name, *class, *role)?
        }
        Write::CreateFolders { parent, names, class } => {
            folder::create_chain(unit, *parent, names, *class)?
        }
        Write::Subscribe { path, on } => folder::subscribe(unit, path, *on)?,
        Write::Append { folder, messages } => append::run(unit, *folder, messages).await?,
        Write::ClaimRecent(folder) => claim_recent::run(unit, *folder)?,
        Write::Submit(outgoing) => submit::run(unit, outgoing).await?,
        Write::ReserveIds { count } => items::reserve(unit, *count).await?,
        Write::CreateItem { folder, item } => items::create(unit, *folder, item).await?,
        Write::EditItem { item, edit } => items::edit(unit, *item, edit).await?,
        Write::SetCollectionState { device, folder, latest } => {
            collection::set(unit, device, *folder, latest).await?
        }
        Write::SetPermissions { folder, permissions } => {
            permissions::set(unit, *folder, permissions)?
        }
        Write::Grant { folder, account, mode, rights } => {
            permissions::grant(unit, *folder, *account, *mode, *rights)?
        }
        Write::SetReadPerUser { folder, on } => permissions::read_per_user(unit, *folder, *on)?,
        // Made together with others, see `gather`.
        Write::Deliver(_) => return Err(Error::internal("a delivery is no command").into()),
        // Runs without a mailbox's cache, see `purge`.
        Write::Purge => return Err(Error::internal("a purge is no command on a mailbox").into()),
    };
    Ok(Step::Finished(reply))
}

/// Refuses a principal that has not the rights for a command, which is decided when it begins.
fn may(unit: &Unit<'_>, request: &Write) -> Result<()> {
    if unit.standing == Standing::Whole {
        return Ok(());
    }
    let need = authorise::of_write(request);
    let one = |id| unit.folder(id).map(|row| &row.permissions[..]);
    let all = unit.folders().map(|row| &row.permissions[..]);
    authorise::satisfied(unit.standing, &need, one, all)
}
