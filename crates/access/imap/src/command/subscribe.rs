//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7).

use super::{failed, no_such};
use crate::others::{self, Place};
use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::tree::normal;
use codec_imap::MailboxName;

/// SUBSCRIBE (`on`) or UNSUBSCRIBE. Only what exists can be subscribed to, so nobody can fill the
/// list with names; what was, stays in it until it is taken out.
pub(crate) async fn run(session: &mut Session, name: &MailboxName, on: bool) -> Answer {
    let user = session.state.user()?;
    let located = others::locate(&session.shared, user, name.as_str()).await?;
    if on && located.as_ref().and_then(|located| located.find()).is_none() {
        return Err(no_such(name).into());
    }
    let path = match &located {
        Some(own) if matches!(own.place, Place::Own(_)) => own.tree.stored_path(own.name),
        _ => match others::split(name.as_str()) {
            Some((owner, name)) => others::shown(&owner, &normal(name)),
            None => name.as_str().to_owned(),
        },
    };
    user.mailbox.subscribe(path, on).await.map_err(|error| failed("SUBSCRIBE", error))?;
    Ok(Reply::ok(if on { "Subscribed" } else { "Unsubscribed" }))
}
