//! MYRIGHTS (RFC 4314 §3.5).

use super::no_such;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::{others, rights};
use codec_imap::command::OfMailbox;
use codec_imap::response::Response;

/// MYRIGHTS.
pub(crate) async fn run(session: &mut Session, command: &OfMailbox) -> Answer {
    let user = session.state.user()?;
    let located = others::find(&session.shared, user, &command.mailbox).await?;
    let Some(folder) = located.find().map(|info| info.id) else {
        return Err(no_such(&command.mailbox).into());
    };
    let rights = rights::of(located.rights(folder).await?);
    session.wire.put(&Response::MyRights(command.mailbox.as_str(), rights));
    Ok(Reply::ok("Done"))
}
