//! The verbs, one file each. A handler checks that its command is in place, does it, and gives the
//! reply; it never writes, except for the 354 and 334 in the middle of DATA and AUTH.

pub(crate) mod auth;
pub(crate) mod bdat;
pub(crate) mod data;
pub(crate) mod ehlo;
pub(crate) mod expn;
pub(crate) mod help;
pub(crate) mod mail;
pub(crate) mod noop;
pub(crate) mod quit;
pub(crate) mod rcpt;
pub(crate) mod rset;
pub(crate) mod starttls;
pub(crate) mod vrfy;

use crate::reply;
use crate::session::{End, Outcome};
use base::Address;
use codec_smtp::Reply;

/// Verbs of HTTP, which a browser can be made to send here (attack 21, ALPACA).
const HTTP_METHODS: [&str; 10] =
    ["GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "CONNECT", "PRI"];

/// A verb we do not have. XCLIENT, XFORWARD and PROXY are among them: nobody is trusted to speak
/// for somebody else (attack 13).
pub(crate) fn unknown(verb: &str) -> Outcome {
    if HTTP_METHODS.contains(&verb) || verb.ends_with(':') {
        return Err(End::Say(reply::not_smtp()));
    }
    Ok(Reply::unrecognised())
}

/// The wire's address as the contracts know it: domains in ASCII (RFC 5890), as they are looked up.
/// A name that IDNA does not know stays as it is, and is nobody's.
pub(crate) fn address(wire: &codec_smtp::Address) -> Address {
    let domain = wire.domain().to_string();
    let domain = match domain.is_ascii() {
        true => domain,
        false => idna::domain_to_ascii(&domain).unwrap_or(domain),
    };
    Address::new(wire.local(), domain)
}
