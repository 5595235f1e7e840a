//! RSET (RFC 1939 §5): takes back the marks of DELE.

use crate::phrase::Phrase;
use crate::reply::{Answer, Reply};
use crate::session::Session;

/// RSET.
pub(crate) fn run(session: &mut Session) -> Answer {
    session.state.user()?.drop.restore();
    Ok(Reply::ok(Phrase::Restored).into())
}
