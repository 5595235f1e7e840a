//! DELE (RFC 1939 §5): marks a message; it is removed at QUIT.

use crate::phrase::Phrase;
use crate::reply::{Answer, Reply};
use crate::session::Session;

/// DELE.
pub(crate) fn run(session: &mut Session, number: u32) -> Answer {
    let user = session.state.user()?;
    let message = user.message(number)?;
    user.drop.delete(&message);
    Ok(Reply::ok(Phrase::Marked).into())
}
