//! NOOP (RFC 3501 §6.1.2): always asks what happened, since wake-ups may be lost.

use super::failed;
use crate::reply::{Answer, Ending, Reply};
use crate::session::Session;
use crate::sync::{self, Ask};
use base::Kind;
use codec_imap::Code;

/// NOOP.
pub(crate) async fn run(session: &mut Session) -> Answer {
    if let Ok((user, selected)) = session.state.selected() {
        match sync::catch_up(user, selected, Ask::Always).await {
            Ok(()) => {}
            Err(error) if error.kind == Kind::NotFound => {
                return Err(Ending::bye(Some(Code::NonExistent), "The mailbox was deleted").into());
            }
            Err(error) => return Err(failed("NOOP", error)),
        }
    }
    Ok(Reply::ok("Done"))
}
