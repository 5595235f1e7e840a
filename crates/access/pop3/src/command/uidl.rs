//! UIDL (RFC 1939 §7): numbers and names for ever.

use super::sign_in::totals;
use crate::reply::{Answer, Reply, Said};
use crate::session::Session;

/// UIDL: of one message, or of all.
pub(crate) async fn run(session: &mut Session, number: Option<u32>) -> Answer {
    let Session { wire, state, .. } = session;
    let user = state.user()?;
    if let Some(number) = number {
        let message = user.message(number)?;
        return Ok(Reply::words(format!("{number} {}", user.drop.unique_id(&message))).into());
    }
    wire.say(&totals(&user.drop));
    for number in 1..=user.drop.last() {
        if let Some(message) = user.drop.message(number) {
            wire.put(&format!("{number} {}", user.drop.unique_id(&message)));
            wire.relieve().await?;
        }
    }
    wire.put(".");
    Ok(Said::All)
}
