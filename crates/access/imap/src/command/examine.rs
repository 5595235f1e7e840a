//! EXAMINE (RFC 3501 §6.3.2): SELECT that changes nothing, \Recent among it.

use super::select::open;
use crate::reply::Answer;
use crate::session::Session;
use codec_imap::command::Select;

/// EXAMINE.
pub(crate) async fn run(session: &mut Session, command: &Select) -> Answer {
    open(session, command, true).await
}
