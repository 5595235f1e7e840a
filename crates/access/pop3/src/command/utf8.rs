//! UTF8 (RFC 6856 §2). Messages are sent as they are stored, UTF-8 in their headers among it, and
//! names and passwords are UTF-8 in any case, so there is nothing to be switched.

use crate::phrase::Phrase;
use crate::reply::{Answer, Reply};
use crate::session::Session;

/// UTF8; before signing in only.
pub(crate) fn run(session: &mut Session) -> Answer {
    session.state.stranger()?;
    Ok(Reply::ok(Phrase::Utf8On).into())
}
