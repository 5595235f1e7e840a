//! CLOSE (RFC 3501 §6.4.2): expunges without telling, then closes. It names no HIGHESTMODSEQ: what it
//! removed the client was not told of (RFC 7162 §3.2.8).

use super::failed;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use base::Kind;
use contract_mailbox::Write;

/// CLOSE. If expunging is not possible now the mailbox stays open and the client may try again.
pub(crate) async fn run(session: &mut Session) -> Answer {
    let (user, selected) = session.state.selected()?;
    if selected.may_delete() {
        let request = Write::Expunge { folder: selected.folder, uids: None };
        match user.mailbox.write(request).await {
            Ok(_) => {}
            // Who may not expunge may still close (RFC 4314 §4).
            Err(error) if error.kind == Kind::Denied => {}
            Err(error) => return Err(failed("CLOSE", error)),
        }
    }
    session.state.deselect();
    Ok(Reply::ok("Closed"))
}
