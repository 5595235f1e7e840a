//! USER (RFC 1939 §7). Says the same whoever is named.

use super::capa::may_sign_in;
use crate::phrase::Phrase;
use crate::reply::{Answer, Reply};
use crate::session::Session;

/// USER.
pub(crate) fn run(session: &mut Session, name: String) -> Answer {
    let may = may_sign_in(session);
    let stranger = session.state.stranger()?;
    if !may {
        return Err(Reply::err(Phrase::UseTls).into());
    }
    stranger.name = Some(name);
    Ok(Reply::ok(Phrase::NameTaken).into())
}
