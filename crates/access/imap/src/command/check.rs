//! CHECK (RFC 3501 §6.4.1): everything is durable anyway, so it is a NOOP with a mailbox open.

use super::noop;
use crate::reply::Answer;
use crate::session::Session;

/// CHECK.
pub(crate) async fn run(session: &mut Session) -> Answer {
    session.state.selected()?;
    noop::run(session).await
}
