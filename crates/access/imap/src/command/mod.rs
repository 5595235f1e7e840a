//! One file for each command: what it asks of the contracts and what it tells the client.

pub(crate) mod append;
pub(crate) mod authenticate;
pub(crate) mod capability;
pub(crate) mod check;
pub(crate) mod close;
pub(crate) mod compress;
pub(crate) mod copy;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod enable;
pub(crate) mod examine;
pub(crate) mod expunge;
pub(crate) mod fetch;
pub(crate) mod getacl;
pub(crate) mod getquota;
pub(crate) mod id;
pub(crate) mod idle;
pub(crate) mod list;
pub(crate) mod listrights;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod lsub;
pub(crate) mod myrights;
pub(crate) mod namespace;
pub(crate) mod noop;
pub(crate) mod rename;
pub(crate) mod search;
pub(crate) mod select;
pub(crate) mod setacl;
pub(crate) mod setquota;
pub(crate) mod sort;
pub(crate) mod starttls;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod subscribe;
pub(crate) mod thread;
pub(crate) mod unauthenticate;
pub(crate) mod unselect;

use crate::reply::{self, Answer, Ending, Stop};
use crate::state::{Selected, User};
use crate::sync::{self, Ask};
use crate::tree::Tree;
use base::{Error, FolderId, Kind};
use codec_imap::{Code, MailboxName};
use contract_mailbox::{Write, WriteReply};

/// The user's folders by name.
pub(crate) async fn tree(user: &User) -> Result<Tree, Stop> {
    let folders = user.mailbox.folders().await.map_err(|error| failed("folders", error))?;
    Ok(Tree::new(folders))
}

/// An error as an answer; the server's own are logged here.
pub(crate) fn failed(command: &'static str, error: Error) -> Stop {
    reply::log(command, &error);
    error.into()
}

/// The answer where a mailbox that is named does not exist.
pub(crate) fn no_such(name: &MailboxName) -> Error {
    Error::new(Kind::NotFound, format!("Mailbox {name} does not exist"))
}

/// Takes in what happened to the open folder until now: whatever was acknowledged before, to
/// whomever and by whichever node, is in the view then. A wake-up alone does not promise that: it
/// may be on its way from another node.
async fn bring_up_to_date(
    user: &User,
    selected: &mut Selected,
    command: &'static str,
) -> Result<(), Stop> {
    match sync::catch_up(user, selected, Ask::Always).await {
        Ok(()) => Ok(()),
        Err(error) if error.kind == Kind::NotFound => {
            Err(Ending::bye(Some(Code::NonExistent), "The mailbox was deleted").into())
        }
        Err(error) if error.kind == Kind::Denied => Err(sync::shut_out().into()),
        Err(error) => Err(failed(command, error)),
    }
}

/// A change whose answer may have got lost on the way of a command that was sent again: `None`
/// then, and the view tells what became of it.
async fn write(
    user: &User,
    command: &'static str,
    request: Write,
) -> Result<Option<WriteReply>, Stop> {
    match user.mailbox.write(request).await {
        Ok(WriteReply::LookAgain) => Ok(None),
        Ok(reply) => Ok(Some(reply)),
        Err(error) => Err(failed(command, error)),
    }
}

/// The same for a change that puts messages `into` a folder. One that was deleted a moment ago may
/// be made anew by the client (RFC 3501 §6.4.7); where it is there, something else is missing.
async fn write_into(
    user: &User,
    command: &'static str,
    into: FolderId,
    request: Write,
) -> Result<Option<WriteReply>, Stop> {
    let error = match user.mailbox.write(request).await {
        Ok(WriteReply::LookAgain) => return Ok(None),
        Ok(reply) => return Ok(Some(reply)),
        Err(error) => error,
    };
    if error.kind == Kind::NotFound
        && let Err(gone) = user.mailbox.folder(into).await
        && gone.kind == Kind::NotFound
    {
        return Err(reply::of_target_error(&error).into());
    }
    Err(failed(command, error))
}

/// An answer of the wrong kind.
fn unexpected(command: &'static str) -> Answer {
    Err(failed(command, Error::internal(format!("{command}: an answer of another kind"))))
}
