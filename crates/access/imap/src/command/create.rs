//! CREATE (RFC 3501 §6.3.3), and making the parents that a name lacks.

use super::{failed, tree};
use crate::config::MISSING_PARENTS_MAX;
use crate::others;
use crate::reply::{Answer, Reply, Stop};
use crate::session::Session;
use crate::state::User;
use crate::tree::{DELIMITER, Tree};
use base::{FolderId, Kind};
use codec_imap::Code;
use codec_imap::command::Create;
use contract_mailbox::FolderClass;

/// How often to look again when another session makes the same parents meanwhile.
const ROUNDS: usize = 4;

/// CREATE. What it needs is made at once, or nothing of it.
pub(crate) async fn run(session: &mut Session, command: &Create) -> Answer {
    let user = session.state.user()?;
    for _ in 0..ROUNDS {
        let located = others::find(&session.shared, user, &command.mailbox).await?;
        others::check_new(&located)?;
        let (parent, missing) = way(&located.tree, check(located.name)?)?;
        if make(&located.place, parent, &missing).await?.is_some() {
            return Ok(Reply::ok("Created"));
        }
    }
    Err(busy())
}

/// Where a folder of a name is to be.
pub(crate) struct Place<'n> {
    pub(crate) parent: FolderId,
    /// Its own name, which is free.
    pub(crate) name: &'n str,
    /// How many folders, `parent` and those above it, were made for it.
    made: usize,
}

/// Where a folder of this name is to be; its parents are made if need be.
pub(crate) async fn place<'n>(user: &User, name: &'n str) -> Result<Place<'n>, Stop> {
    let name = check(name)?;
    for _ in 0..ROUNDS {
        let tree = tree(user).await?;
        let (parent, mut missing) = way(&tree, name)?;
        let name = missing.pop().unwrap_or(name);
        if missing.is_empty() {
            return Ok(Place { parent, name, made: 0 });
        }
        if let Some(parent) = make(user, parent, &missing).await? {
            return Ok(Place { parent, name, made: missing.len() });
        }
    }
    Err(busy())
}

impl Place<'_> {
    /// Removes the parents that were made, now that nothing comes there. One in which somebody has
    /// put something meanwhile stays.
    pub(crate) async fn give_up(self, user: &User) {
        let mut last = Some(self.parent);
        for _ in 0..self.made {
            let Some(id) = last else { return };
            let Ok(info) = user.mailbox.folder(id).await else { return };
            if info.counts.messages > 0 || user.mailbox.delete_folder(id).await.is_err() {
                return;
            }
            last = info.parent;
        }
    }
}

fn busy() -> Stop {
    Reply::no(Code::InUse, "Somebody else is changing these mailboxes").into()
}

fn way<'n>(tree: &Tree, name: &'n str) -> Result<(FolderId, Vec<&'n str>), Stop> {
    let (parent, missing) = tree.way_to(name);
    if missing.is_empty() {
        return Err(Reply::no(Code::AlreadyExists, "A mailbox of that name exists").into());
    }
    if missing.len() > MISSING_PARENTS_MAX {
        return Err(Reply::no(Code::Limit, "The name has too many levels").into());
    }
    Ok((parent, missing))
}

/// Makes folders, each below the one before; gives the last one. `None` if somebody else made one
/// of them first.
async fn make(user: &User, parent: FolderId, missing: &[&str]) -> Result<Option<FolderId>, Stop> {
    let names = missing.iter().map(|name| (*name).to_owned()).collect();
    match user.mailbox.create_folders(parent, names, FolderClass::Mail).await {
        Ok(info) => Ok(Some(info.id)),
        Err(error) if error.kind == Kind::AlreadyExists => Ok(None),
        Err(error) => Err(failed("CREATE", error)),
    }
}

/// A name that a folder can have. `.` and `..` would be at home in no export (attack 28).
fn check(name: &str) -> Result<&str, Stop> {
    let name = name.strip_suffix(DELIMITER).unwrap_or(name);
    if name.split(DELIMITER).any(|part| matches!(part, "" | "." | "..")) {
        return Err(Reply::no(Code::Cannot, "That is no name for a mailbox").into());
    }
    Ok(name)
}
