//! STAT (RFC 1939 §5): how many messages, and their bytes, without those that are marked.

use crate::reply::{Answer, Reply};
use crate::session::Session;

/// STAT.
pub(crate) fn run(session: &mut Session) -> Answer {
    let drop = &session.state.user()?.drop;
    Ok(Reply::words(format!("{} {}", drop.count(), drop.size_bytes())).into())
}
