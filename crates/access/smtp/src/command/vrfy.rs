//! VRFY (RFC 5321 §3.5.3): 252 for every name, looked up or not, so that nobody learns who is here
//! (attack 8).

use crate::session::Outcome;
use codec_smtp::Reply;

pub(crate) fn run() -> Outcome {
    Ok(Reply::cannot_verify())
}
