//! RSET (RFC 5321 §4.1.1.5): forgets the envelope, not who the client is.

use crate::session::{Outcome, Session};
use codec_smtp::Reply;

pub(crate) fn run(session: &mut Session) -> Outcome {
    session.reset();
    Ok(Reply::ok())
}
