//! What the client is told: the one table from contract errors to replies, and the replies that
//! are Exchange's or policy rather than the protocol's own (those are in `codec_smtp`).
//!
//! A temporary failure says nothing of its cause: that is in the log, written here, once.

use base::{Blame, Error, Kind, QueueId};
use codec_smtp::{EnhancedCode, Reply};

/// The reply to a contract's error.
pub(crate) fn of(error: &Error, what: &'static str) -> Reply {
    match error.kind.blame() {
        Blame::Client => tracing::debug!(what, ?error, "refused"),
        Blame::Operator | Blame::Server => tracing::warn!(what, ?error, "failed"),
    }
    metrics::counter!("rialto_smtp_failures_total", "what" => what).increment(1);
    let text = error.text.clone();
    match error.kind {
        Kind::OutOfSpace => Reply::insufficient_resources(),
        Kind::OverQuota => reply(552, 2, 2, "mailbox is over its quota, nothing can be sent"),
        Kind::Limit => reply(552, 3, 4, text),
        Kind::Denied => reply(550, 7, 1, text),
        Kind::BadCredentials => Reply::auth_failed(),
        Kind::Invalid | Kind::AlreadyExists | Kind::CannotChange => reply(554, 6, 0, text),
        // Not found: the lease of an upload ran out, or the account went away a moment ago. The
        // next attempt tells which.
        Kind::NotFound
        | Kind::Conflict
        | Kind::Unavailable
        | Kind::Fenced
        | Kind::Timeout
        | Kind::Overloaded
        | Kind::Corrupt
        | Kind::Internal => Reply::try_again(),
    }
}

fn reply(
    code: u16,
    subject: u16,
    detail: u16,
    text: impl Into<std::borrow::Cow<'static, str>>,
) -> Reply {
    Reply::new(code, Some(EnhancedCode::new(5, subject, detail)), text)
}

/// 250, in Exchange's words.
pub(crate) fn queued(queue: QueueId) -> Reply {
    reply(250, 6, 0, format!("{queue} Queued mail for delivery"))
}

/// 550: not ours, and nobody here sends it on. Exchange's words, which administrators search for.
pub(crate) fn unable_to_relay() -> Reply {
    reply(550, 7, 1, "Unable to relay")
}

/// 550: no send connector covers the domain (RFC 3463 §3.5).
pub(crate) fn no_route() -> Reply {
    reply(550, 4, 4, "there is no route to that domain")
}

/// 451: the domain is relayed, but no send connector covers it now (RFC 3463 §3.5).
pub(crate) fn no_route_now() -> Reply {
    reply(451, 4, 4, "there is no route to that domain now, try again later")
}

/// 550: the sender is not one of the client's own addresses (Exchange's code).
pub(crate) fn cannot_send_as() -> Reply {
    reply(550, 7, 60, "client does not have permissions to send as this sender")
}

/// 550: the group takes mail from people who signed in only.
pub(crate) fn needs_authenticated_sender() -> Reply {
    reply(550, 7, 1, "only authenticated senders may write to this recipient")
}

/// 550: the header is not one that a person can be held to.
pub(crate) fn several_from_fields() -> Reply {
    reply(550, 6, 0, "message has more than one From or Sender field")
}

/// 550: readers may disagree on who the author is.
pub(crate) fn unclear_author() -> Reply {
    reply(550, 6, 0, "From or Sender field cannot be read")
}

/// 421: the account was disabled, or its password changed, since the session signed in.
pub(crate) fn signed_out() -> Reply {
    reply(421, 7, 0, "your account has changed, sign in again")
}

/// The longest reason that a client is told, in bytes: a reply line has 512 (RFC 5321 §4.5.3.1.5).
const REASON_BYTES_MAX: usize = 450;

/// 550: the message is not from whom it says (RFC 7489 §10.3).
pub(crate) fn not_authentic(reason: &str) -> Reply {
    let printable = reason.chars().filter(|c| matches!(c, ' '..='~'));
    reply(550, 7, 1, printable.take(REASON_BYTES_MAX).collect::<String>())
}

/// What a scanner wants the client to hear. A code that is no refusal is not passed on.
pub(crate) fn of_scanner(said: &contract_transport::scanner::scanning::Reply) -> Reply {
    let printable = said.text.chars().filter(|c| matches!(c, ' '..='~'));
    let text = printable.take(REASON_BYTES_MAX).collect::<String>();
    match (said.code, said.status) {
        (code @ 400..=599, [class, subject, detail]) if class == code / 100 => {
            Reply::new(code, Some(EnhancedCode::new(class as u8, subject, detail)), text)
        }
        _ => Reply::new(451, Some(EnhancedCode::new(4, 7, 1)), text),
    }
}

/// 552: the header is too large.
pub(crate) fn header_too_large() -> Reply {
    reply(552, 3, 4, "message header size exceeds limit")
}

/// 451: too many messages in a minute.
pub(crate) fn submission_rate() -> Reply {
    reply(451, 7, 0, "submission rate exceeded, try again in a minute")
}

/// 451: too many messages in a minute, whoever sends them.
pub(crate) fn source_rate() -> Reply {
    reply(451, 7, 0, "message rate of your address exceeded, try again in a minute")
}

/// 452: the node is short of something (RFC 3463 §3.4). Exchange's code.
pub(crate) fn short_of_resources() -> Reply {
    reply(452, 3, 1, "insufficient system resources, try again later")
}

/// 421: the same, and the connection is needed for others (RFC 3463 §3.4).
pub(crate) fn closed_for_now(host: &str) -> Reply {
    let text = format!("{host} takes no mail from outside now, try again later");
    reply(421, 3, 2, text)
}

/// 220, with the words of the connector.
pub(crate) fn greeting(host: &str, banner: &str) -> Reply {
    Reply::new(220, None, format!("{host} {banner}"))
}

/// 554 instead of a greeting (RFC 5321 §3.1): no receive connector is for the client.
pub(crate) fn not_for_you() -> Reply {
    reply(554, 7, 1, "no mail is taken from your address")
}

/// 421: the client speaks something else; nothing of what it sends is looked at (attack 21).
pub(crate) fn not_smtp() -> Reply {
    reply(421, 7, 0, "this is an SMTP server")
}

/// 502: AUTH is for submission.
pub(crate) fn auth_not_offered() -> Reply {
    reply(502, 5, 1, "AUTH is not offered here")
}

/// 454: too many attempts, or nobody to ask.
pub(crate) fn auth_later(error: &Error) -> Reply {
    match error.kind {
        Kind::Limit => reply(454, 7, 0, "too many attempts, try again later"),
        _ => {
            tracing::warn!(?error, "cannot check passwords");
            Reply::auth_unavailable()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_become_replies() {
        for (kind, expect) in [
            (Kind::OutOfSpace, "452 4.3.1 insufficient system resources"),
            (Kind::Unavailable, "451 4.3.0 temporary failure, try again later"),
            (Kind::Timeout, "451 4.3.0 temporary failure, try again later"),
            (Kind::Overloaded, "451 4.3.0 temporary failure, try again later"),
            (Kind::Fenced, "451 4.3.0 temporary failure, try again later"),
            (Kind::Internal, "451 4.3.0 temporary failure, try again later"),
            (Kind::OverQuota, "552 5.2.2 mailbox is over its quota, nothing can be sent"),
            (Kind::Denied, "550 5.7.1 No right"),
            (Kind::Limit, "552 5.3.4 No right"),
            (Kind::Invalid, "554 5.6.0 No right"),
        ] {
            let error = Error::new(kind, "No right").detail("row 17 of secret");
            assert_eq!(of(&error, "test").to_string(), expect, "{kind:?}");
        }
    }
}
