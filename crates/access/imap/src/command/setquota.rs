//! SETQUOTA (RFC 9208 §4.1.3), which nobody may use here: quotas are the administrator's, who sets
//! them with `rialto mailbox set`. QUOTASET is not offered.

use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::Code;
use codec_imap::command::SetQuota;

/// SETQUOTA.
pub(crate) fn run(session: &mut Session, _command: &SetQuota) -> Answer {
    session.state.user()?;
    Err(Reply::no(Code::NoPerm, "Only an administrator sets quotas, and not by IMAP").into())
}
