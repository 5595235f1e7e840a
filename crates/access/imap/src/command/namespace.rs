//! NAMESPACE (RFC 2342): the user's own, and that of other people's mailboxes where somebody has
//! given the user a right in one.

use crate::others::{self, PREFIX};
use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::tree::DELIMITER;
use codec_imap::response::{NamespaceItem, Response};

/// NAMESPACE.
pub(crate) async fn run(session: &mut Session) -> Answer {
    let user = session.state.user()?;
    let shown = !others::owners(&session.shared, user, 1).await?.is_empty();
    let item = |prefix| NamespaceItem { prefix, delimiter: Some(DELIMITER) };
    let (personal, others) = ([item("")], [item(PREFIX)]);
    let other = if shown { &others[..] } else { &[] };
    session.wire.put(&Response::Namespace { personal: &personal, other, shared: &[] });
    Ok(Reply::ok("Done"))
}
