//! DELETE (RFC 3501 §6.3.4). A mailbox with others below it stays: its messages are worth more
//! than the letter of the RFC, which would empty it and keep the name.

use super::{failed, no_such, tree};
use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::state::State;
use codec_imap::Code;
use codec_imap::command::Delete;

/// DELETE.
pub(crate) async fn run(session: &mut Session, command: &Delete) -> Answer {
    let user = session.state.user()?;
    let name = command.mailbox.as_str();
    let tree = tree(user).await?;
    let Some(info) = tree.find(name) else {
        return Err(no_such(&command.mailbox).into());
    };
    if tree.has_children(name) {
        return Err(Reply::no(Code::HasChildren, "There are mailboxes below it").into());
    }
    user.mailbox.delete_folder(info.id).await.map_err(|error| failed("DELETE", error))?;
    if matches!(&session.state, State::Selected(_, selected) if selected.folder == info.id) {
        session.state.deselect();
    }
    Ok(Reply::ok("Deleted"))
}
