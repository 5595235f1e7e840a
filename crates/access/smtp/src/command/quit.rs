//! QUIT (RFC 5321 §4.1.1.10).

use crate::session::{End, Outcome};
use codec_smtp::Reply;

pub(crate) fn run() -> Outcome {
    Err(End::Say(Reply::closing()))
}
