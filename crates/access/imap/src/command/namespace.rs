//! NAMESPACE (RFC 2342): one namespace, the user's own.

use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::tree::DELIMITER;
use codec_imap::response::{NamespaceItem, Response};

/// NAMESPACE.
pub(crate) fn run(session: &mut Session) -> Answer {
    session.state.user()?;
    let own = [NamespaceItem { prefix: "", delimiter: Some(DELIMITER) }];
    session.wire.put(&Response::Namespace { personal: &own, other: &[], shared: &[] });
    Ok(Reply::ok("Done"))
}
