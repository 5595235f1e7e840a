//! STORE and UID STORE (RFC 3501 §6.4.6).

use super::{failed, unexpected, write};
use crate::flags;
use crate::reply::{Answer, Reply};
use crate::selection::Selection;
use crate::session::Session;
use crate::sync::{self, Ask};
use codec_imap::Code;
use codec_imap::command::{Store, StoreMode};
use contract_mailbox::request::StoreMode as Mode;
use contract_mailbox::{Write, WriteReply};

/// STORE. The new flags are told with the news that follow every command; messages that others
/// expunged meanwhile are answered as RFC 2180 §4.2.1 proposes: the rest is done, and NO says that
/// some were not there. With UIDs they are passed over (RFC 3501 §6.4.8).
pub(crate) async fn run(session: &mut Session, command: Store) -> Answer {
    let (user, selected) = session.state.writable()?;
    let selection = Selection::resolve(&command.set, command.uid, &selected.view)?;
    let asked = flags::named(&command.flags)?;
    let flags = flags::allowed(asked, selected, command.mode == StoreMode::Replace)?;
    if selection.is_empty() {
        return Ok(Reply::ok("There was nothing to store"));
    }
    let mode = match command.mode {
        StoreMode::Replace => Mode::Replace,
        StoreMode::Add => Mode::Add,
        StoreMode::Remove => Mode::Remove,
    };
    let request = Write::Store {
        folder: selected.folder,
        uids: selection.uids(&selected.view),
        mode,
        flags: flags.clone(),
        unchanged_since: None,
    };
    let stored = match write(user, "STORE", request).await? {
        Some(WriteReply::Stored(stored)) => stored,
        None => {
            sync::catch_up(user, selected, Ask::Always)
                .await
                .map_err(|error| failed("STORE", error))?;
            return Ok(Reply::ok("Stored"));
        }
        Some(_) => return unexpected("STORE"),
    };
    selected.view.stored(&stored, command.silent, mode, &flags);
    if !command.uid && stored.entries.len() < selection.len() {
        let text = "Some of the messages were expunged by somebody else";
        return Err(Reply::no(Code::ExpungeIssued, text).into());
    }
    Ok(Reply::ok("Stored"))
}
