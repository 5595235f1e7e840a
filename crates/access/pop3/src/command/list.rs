//! LIST (RFC 1939 §5): numbers and sizes.

use super::sign_in::totals;
use crate::reply::{Answer, Reply, Said};
use crate::session::Session;

/// LIST: of one message, or of all.
pub(crate) async fn run(session: &mut Session, number: Option<u32>) -> Answer {
    let Session { wire, state, .. } = session;
    let user = state.user()?;
    if let Some(number) = number {
        let message = user.message(number)?;
        return Ok(Reply::words(format!("{number} {}", message.size_bytes)).into());
    }
    wire.say(&totals(&user.drop));
    for number in 1..=user.drop.last() {
        if let Some(message) = user.drop.message(number) {
            wire.put(&format!("{number} {}", message.size_bytes));
            wire.relieve().await?;
        }
    }
    wire.put(".");
    Ok(Said::All)
}
