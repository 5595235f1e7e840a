//! CLOSE (RFC 3501 §6.4.2): expunges without telling, then closes. It names no HIGHESTMODSEQ: what it
//! removed the client was not told of (RFC 7162 §3.2.8).

use super::write;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use contract_mailbox::Write;

/// CLOSE. If expunging is not possible now the mailbox stays open and the client may try again.
pub(crate) async fn run(session: &mut Session) -> Answer {
    let (user, selected) = session.state.selected()?;
    if !selected.read_only {
        write(user, "CLOSE", Write::Expunge { folder: selected.folder, uids: None }).await?;
    }
    session.state.deselect();
    Ok(Reply::ok("Closed"))
}
