//! DELETE (RFC 3501 §6.3.4). A mailbox with others below it stays: its messages are worth more
//! than the letter of the RFC, which would empty it and keep the name.

use super::{failed, no_such};
use crate::others;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::Code;
use codec_imap::command::Delete;

/// DELETE.
pub(crate) async fn run(session: &mut Session, command: &Delete) -> Answer {
    let user = session.state.user()?;
    let located = others::find(&session.shared, user, &command.mailbox).await?;
    let Some(folder) = located.find().map(|info| info.id) else {
        return Err(no_such(&command.mailbox).into());
    };
    if located.tree.has_children(located.name) {
        return Err(Reply::no(Code::HasChildren, "There are mailboxes below it").into());
    }
    let place = &located.place;
    place.mailbox.delete_folder(folder).await.map_err(|error| failed("DELETE", error))?;
    let mailbox = place.mailbox.mailbox();
    if session.state.is_open(mailbox, folder) {
        session.state.deselect();
    }
    Ok(Reply::ok("Deleted"))
}
