//! EXPN (RFC 5321 §3.5.2): who is in a group is told to nobody.

use crate::session::Outcome;
use codec_smtp::Reply;

pub(crate) fn run() -> Outcome {
    Ok(Reply::not_implemented())
}
