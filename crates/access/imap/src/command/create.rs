//! CREATE (RFC 3501 §6.3.3), and making the parents that a name lacks.

use super::{failed, tree};
use crate::config::MISSING_PARENTS_MAX;
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

/// CREATE.
pub(crate) async fn run(session: &mut Session, command: &Create) -> Answer {
    let user = session.state.user()?;
    let (parent, name) = place(user, command.mailbox.as_str()).await?;
    let made = user.mailbox.create_folder(parent, name.to_owned(), FolderClass::Mail, None).await;
    made.map_err(|error| failed("CREATE", error))?;
    Ok(Reply::ok("Created"))
}

/// Where a folder of this name is to be: its parent, made if need be, and its own name. The name
/// must be free.
pub(crate) async fn place<'n>(user: &User, name: &'n str) -> Result<(FolderId, &'n str), Stop> {
    let name = check(name)?;
    for _ in 0..ROUNDS {
        let tree = tree(user).await?;
        let (parent, missing) = way(&tree, name)?;
        if let Some(place) = make(user, parent, &missing).await? {
            return Ok(place);
        }
    }
    Err(Reply::no(Code::InUse, "Somebody else is changing these mailboxes").into())
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

/// Makes all but the last of `missing`. `None` if somebody else made one of them first.
async fn make<'n>(
    user: &User,
    mut parent: FolderId,
    missing: &[&'n str],
) -> Result<Option<(FolderId, &'n str)>, Stop> {
    let Some((name, above)) = missing.split_last() else {
        return Ok(None);
    };
    for part in above {
        let part = (*part).to_owned();
        match user.mailbox.create_folder(parent, part, FolderClass::Mail, None).await {
            Ok(info) => parent = info.id,
            Err(error) if error.kind == Kind::AlreadyExists => return Ok(None),
            Err(error) => return Err(failed("CREATE", error)),
        }
    }
    Ok(Some((parent, name)))
}

/// A name that a folder can have. `.` and `..` would be at home in no export (attack 28).
fn check(name: &str) -> Result<&str, Stop> {
    let name = name.strip_suffix(DELIMITER).unwrap_or(name);
    if name.split(DELIMITER).any(|part| matches!(part, "" | "." | "..")) {
        return Err(Reply::no(Code::Cannot, "That is no name for a mailbox").into());
    }
    Ok(name)
}
