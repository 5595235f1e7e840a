//! ID (RFC 2971).

use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::response::Response;

/// ID. What the client says of itself is not used.
pub(crate) fn run(session: &mut Session) -> Answer {
    session.wire.put(&Response::Id(&[
        ("name", Some("Rialto")),
        ("version", Some(env!("CARGO_PKG_VERSION"))),
    ]));
    Ok(Reply::ok("Done"))
}
