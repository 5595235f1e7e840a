//! NOOP (RFC 3501 §6.1.2): always asks what happened, since wake-ups may be lost.

use super::bring_up_to_date;
use crate::reply::{Answer, Reply};
use crate::session::Session;

/// NOOP.
pub(crate) async fn run(session: &mut Session) -> Answer {
    if let Ok((user, selected)) = session.state.selected() {
        bring_up_to_date(user, selected, "NOOP").await?;
    }
    Ok(Reply::ok("Done"))
}
