//! UNSELECT (RFC 3691): closes without expunging.

use crate::reply::{Answer, Reply};
use crate::session::Session;

/// UNSELECT.
pub(crate) fn run(session: &mut Session) -> Answer {
    session.state.selected()?;
    session.state.deselect();
    Ok(Reply::ok("Closed"))
}
