//! LISTRIGHTS (RFC 4314 §3.4): what can be given to somebody, for who administers the folder.

use super::getacl::{find, permissions, who};
use crate::reply::{Answer, Reply};
use crate::rights;
use crate::session::Session;
use codec_imap::Rights;
use codec_imap::command::AclEntry;
use codec_imap::response::Response;

/// LISTRIGHTS. The owner always has all rights; others have none that cannot be taken away.
pub(crate) async fn run(session: &mut Session, command: &AclEntry) -> Answer {
    let user = session.state.user()?;
    let (located, folder) = find(&session.shared, user, &command.mailbox).await?;
    // Only who administers the folder may ask.
    permissions(&located, folder).await?;
    let account = who(&session.shared, &command.identifier).await?;
    let groups: Vec<Rights> = match account.id == located.place.mailbox.mailbox() {
        true => vec![rights::all()],
        false => [Rights::NONE].into_iter().chain(rights::groups()).collect(),
    };
    let (mailbox, identifier) = (command.mailbox.as_str(), command.identifier.as_str());
    session.wire.put(&Response::ListRights(mailbox, identifier, &groups));
    Ok(Reply::ok("Done"))
}
