//! APOP (RFC 1939 §7): known, and never offered. It needs passwords that the server can read, and
//! MD5; the greeting has no timestamp, which is how clients see it.

use crate::phrase::Phrase;
use crate::reply::{Answer, Reply};

/// APOP.
pub(crate) fn run() -> Answer {
    Err(Reply::err(Phrase::NotThisMechanism).into())
}
