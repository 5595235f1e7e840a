//! NOOP (RFC 1939 §5).

use crate::phrase::Phrase;
use crate::reply::{Answer, Reply};
use crate::session::Session;

/// NOOP.
pub(crate) fn run(session: &mut Session) -> Answer {
    session.state.user()?;
    Ok(Reply::ok(Phrase::Done).into())
}
