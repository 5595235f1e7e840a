//! LOGOUT (RFC 3501 §6.1.3).

use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::state::State;
use codec_imap::Status;

/// LOGOUT. The session ends once its OK is on the way.
pub(crate) fn run(session: &mut Session) -> Answer {
    let bye = Reply { status: Status::Bye, code: None, text: "Until next time".into() };
    session.wire.condition(None, &bye);
    session.state = State::Logout;
    Ok(Reply::ok("Done"))
}
