//! RENAME (RFC 3501 §6.3.5). What is below the mailbox moves with it; the messages of the Inbox
//! move to a new mailbox, and the Inbox stays.

use super::create::place;
use super::{failed, no_such};
use crate::others;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::tree::DELIMITER;
use codec_imap::Code;
use codec_imap::command::Rename;

/// RENAME.
pub(crate) async fn run(session: &mut Session, command: &Rename) -> Answer {
    let user = session.state.user()?;
    let (from, to) = (&command.from, &command.to);
    let source = others::find(&session.shared, user, from).await?;
    let Some(folder) = source.find().map(|info| info.id) else {
        return Err(no_such(from).into());
    };
    let target = others::find(&session.shared, user, to).await?;
    if target.place.mailbox.mailbox() != source.place.mailbox.mailbox() {
        let text = "A mailbox stays with its owner; copy the messages";
        return Err(Reply::no(Code::Cannot, text).into());
    }
    others::check_new(&target)?;
    let user = &*source.place;
    let below = target.name.strip_prefix(source.name);
    let is_inbox = source.name.eq_ignore_ascii_case("INBOX");
    if !is_inbox && below.is_some_and(|rest| rest.starts_with(DELIMITER)) {
        return Err(Reply::no(Code::Cannot, "A mailbox cannot be below itself").into());
    }
    let place = place(user, target.name).await?;
    let renamed = user.mailbox.rename_folder(folder, place.parent, place.name.to_owned()).await;
    if let Err(error) = renamed {
        // What may still be done must find its place.
        if !error.is_temporary() {
            place.give_up(user).await;
        }
        return Err(failed("RENAME", error));
    }
    Ok(Reply::ok("Renamed"))
}
