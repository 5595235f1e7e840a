//! PASS (RFC 1939 §7).

use super::sign_in::{self, Claim};
use crate::phrase::Phrase;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use base::{Error, Kind};
use codec_pop3::Secret;
use codec_smtp::sasl::{NAME_BYTES_MAX, PASSWORD_BYTES_MAX};

/// PASS. The name is used up, whatever comes of it.
pub(crate) async fn run(session: &mut Session, password: &Secret) -> Answer {
    let stranger = session.state.stranger()?;
    let Some(login) = stranger.name.take() else {
        return Err(Reply::err(Phrase::NameFirst).into());
    };
    let sound = login.len() <= NAME_BYTES_MAX && password.expose().len() <= PASSWORD_BYTES_MAX;
    match String::from_utf8(password.expose().to_vec()) {
        Ok(password) if sound => {
            sign_in::run(session, Claim { login, acting_as: None, password }).await
        }
        _ => sign_in::fail(session, &Error::new(Kind::BadCredentials, "")),
    }
}
