//! HELP (RFC 5321 §4.1.1.8).

use crate::session::Outcome;
use codec_smtp::Reply;

pub(crate) fn run() -> Outcome {
    Ok(Reply::help())
}
