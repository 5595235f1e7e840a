//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7).

use super::{failed, no_such, tree};
use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::MailboxName;

/// SUBSCRIBE (`on`) or UNSUBSCRIBE. Only what exists can be subscribed to, so nobody can fill the
/// list with names; what was, stays in it until it is taken out.
pub(crate) async fn run(session: &mut Session, name: &MailboxName, on: bool) -> Answer {
    let user = session.state.user()?;
    let tree = tree(user).await?;
    if on && tree.find(name.as_str()).is_none() {
        return Err(no_such(name).into());
    }
    let path = tree.stored_path(name.as_str());
    user.mailbox.subscribe(path, on).await.map_err(|error| failed("SUBSCRIBE", error))?;
    Ok(Reply::ok(if on { "Subscribed" } else { "Unsubscribed" }))
}
