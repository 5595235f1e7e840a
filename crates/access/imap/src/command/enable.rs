//! ENABLE (RFC 5161). No extension of ours needs to be enabled yet, so none is.

use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::response::Response;

/// ENABLE.
pub(crate) fn run(session: &mut Session) -> Answer {
    session.state.user()?;
    session.wire.put(&Response::Enabled(&[]));
    Ok(Reply::ok("Done"))
}
