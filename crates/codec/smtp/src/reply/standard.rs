//! The replies of the server, by name, so that the same event reads the same everywhere.
//!
//! Codes from RFC 5321 §4.2, RFC 3463, RFC 4954 §6, RFC 3207 §4 and RFC 1870 §6. Replies to EHLO,
//! HELO and the greeting carry no enhanced code (RFC 2034 §3).

use std::borrow::Cow;

use super::{EnhancedCode, Reply};

/// An enhanced code follows the class of its reply code, so only the rest is given.
fn reply(code: u16, subject: u16, detail: u16, text: impl Into<Cow<'static, str>>) -> Reply {
    Reply::new(code, Some(EnhancedCode::new(0, subject, detail)), text)
}

impl Reply {
    /// 214: the answer to HELP.
    #[must_use]
    pub fn help() -> Reply {
        reply(214, 0, 0, "see RFC 5321")
    }

    /// 220: the first line of a connection; it must begin with the server's name.
    #[must_use]
    pub fn greeting(host: &str) -> Reply {
        Reply::new(220, None, format!("{host} ESMTP Rialto"))
    }

    /// 220: the answer to STARTTLS.
    #[must_use]
    pub fn ready_for_tls() -> Reply {
        reply(220, 0, 0, "ready to start TLS")
    }

    /// 221: the answer to QUIT.
    #[must_use]
    pub fn closing() -> Reply {
        reply(221, 0, 0, "closing connection")
    }

    /// 235: authenticated.
    #[must_use]
    pub fn authenticated() -> Reply {
        reply(235, 7, 0, "authentication successful")
    }

    /// 250: done, nothing more to say.
    #[must_use]
    pub fn ok() -> Reply {
        reply(250, 0, 0, "ok")
    }

    /// 250: the answer to HELO.
    #[must_use]
    pub fn hello(host: &str) -> Reply {
        Reply::new(250, None, host.to_owned())
    }

    /// 250: MAIL accepted.
    #[must_use]
    pub fn sender_ok() -> Reply {
        reply(250, 1, 0, "sender ok")
    }

    /// 250: RCPT accepted.
    #[must_use]
    pub fn recipient_ok() -> Reply {
        reply(250, 1, 5, "recipient ok")
    }

    /// 250: the message is durable, under this queue id.
    #[must_use]
    pub fn message_accepted(queue_id: &str) -> Reply {
        reply(250, 6, 0, format!("queued as {queue_id}"))
    }

    /// 250: a BDAT chunk was taken (RFC 3030 §2 asks to repeat its size).
    #[must_use]
    pub fn chunk_ok(size_bytes: u64) -> Reply {
        reply(250, 0, 0, format!("{size_bytes} bytes received"))
    }

    /// 252: the answer to VRFY that tells nothing.
    #[must_use]
    pub fn cannot_verify() -> Reply {
        reply(252, 5, 0, "cannot verify, send mail and see")
    }

    /// 334: the next SASL challenge, in base64.
    #[must_use]
    pub fn auth_challenge(challenge_base64: &str) -> Reply {
        Reply::new(334, None, challenge_base64.to_owned())
    }

    /// 354: send the message.
    #[must_use]
    pub fn start_data() -> Reply {
        Reply::new(354, None, "end data with <CRLF>.<CRLF>")
    }

    /// 421: the server drains or stops. The connection closes.
    #[must_use]
    pub fn shutting_down(host: &str) -> Reply {
        reply(421, 3, 2, format!("{host} shutting down"))
    }

    /// 421: too many connections. The connection closes.
    #[must_use]
    pub fn too_many_connections(host: &str) -> Reply {
        reply(421, 3, 2, format!("{host} too many connections"))
    }

    /// 421: nothing came for too long. The connection closes.
    #[must_use]
    pub fn timed_out(host: &str) -> Reply {
        reply(421, 4, 2, format!("{host} timeout"))
    }

    /// 421: too many bad commands. The connection closes.
    #[must_use]
    pub fn too_many_errors(host: &str) -> Reply {
        reply(421, 7, 0, format!("{host} too many errors"))
    }

    /// 421: bytes came behind STARTTLS in clear (attack 3). The connection closes.
    #[must_use]
    pub fn pipelined_starttls(host: &str) -> Reply {
        reply(421, 5, 1, format!("{host} commands behind STARTTLS"))
    }

    /// 451: something of ours failed; the client should try again.
    #[must_use]
    pub fn try_again() -> Reply {
        reply(451, 3, 0, "temporary failure, try again later")
    }

    /// 452: no room, or back-pressure.
    #[must_use]
    pub fn insufficient_resources() -> Reply {
        reply(452, 3, 1, "insufficient system resources")
    }

    /// 452: the recipient's mailbox is full.
    #[must_use]
    pub fn mailbox_full() -> Reply {
        reply(452, 2, 2, "mailbox full")
    }

    /// 452: no more recipients in this envelope; those before stand.
    #[must_use]
    pub fn too_many_recipients() -> Reply {
        reply(452, 5, 3, "too many recipients")
    }

    /// 454: TLS can not start at the moment.
    #[must_use]
    pub fn tls_unavailable() -> Reply {
        reply(454, 7, 0, "TLS not available")
    }

    /// 454: passwords can not be checked at the moment.
    #[must_use]
    pub fn auth_unavailable() -> Reply {
        reply(454, 7, 0, "temporary authentication failure")
    }

    /// 500: a verb we do not have.
    #[must_use]
    pub fn unrecognised() -> Reply {
        reply(500, 5, 1, "command not recognised")
    }

    /// 500: the line can not be read: too long, or a bare line end.
    #[must_use]
    pub fn bad_line(text: impl Into<Cow<'static, str>>) -> Reply {
        reply(500, 5, 2, text)
    }

    /// 501: an argument is wrong.
    #[must_use]
    pub fn bad_argument(text: impl Into<Cow<'static, str>>) -> Reply {
        reply(501, 5, 4, text)
    }

    /// 501: a SASL response is no base64 or of the wrong form.
    #[must_use]
    pub fn bad_auth_response() -> Reply {
        reply(501, 5, 2, "cannot decode response")
    }

    /// 501: the client gave up with `*` (RFC 4954 §4).
    #[must_use]
    pub fn auth_cancelled() -> Reply {
        reply(501, 7, 0, "authentication cancelled")
    }

    /// 502: a verb we know and do not serve.
    #[must_use]
    pub fn not_implemented() -> Reply {
        reply(502, 5, 1, "command not implemented")
    }

    /// 503: not at this point; the text tells what is missing.
    #[must_use]
    pub fn bad_sequence(text: impl Into<Cow<'static, str>>) -> Reply {
        reply(503, 5, 1, text)
    }

    /// 504: a SASL mechanism or a parameter value we do not have.
    #[must_use]
    pub fn not_supported(text: impl Into<Cow<'static, str>>) -> Reply {
        reply(504, 5, 4, text)
    }

    /// 530: log in first.
    #[must_use]
    pub fn auth_required() -> Reply {
        reply(530, 7, 0, "authentication required")
    }

    /// 530: start TLS first.
    #[must_use]
    pub fn tls_required() -> Reply {
        reply(530, 7, 0, "must issue a STARTTLS command first")
    }

    /// 535: wrong name or password; never tells which.
    #[must_use]
    pub fn auth_failed() -> Reply {
        reply(535, 7, 8, "authentication credentials invalid")
    }

    /// 538: this mechanism only under TLS.
    #[must_use]
    pub fn encryption_required() -> Reply {
        reply(538, 7, 11, "encryption required for authentication")
    }

    /// 550: nobody of that name here.
    #[must_use]
    pub fn no_such_user() -> Reply {
        reply(550, 1, 1, "recipient unknown")
    }

    /// 550: not one of our domains, and no right to send there.
    #[must_use]
    pub fn relaying_denied() -> Reply {
        reply(550, 7, 1, "relaying denied")
    }

    /// 550: an authenticated client used an address that is not its own.
    #[must_use]
    pub fn sender_not_allowed() -> Reply {
        reply(550, 7, 1, "not allowed to send as this sender")
    }

    /// 550: CR or LF alone in the message.
    #[must_use]
    pub fn bare_line_ends() -> Reply {
        reply(550, 6, 0, "message contains bare CR or LF")
    }

    /// 552: over the size limit.
    #[must_use]
    pub fn message_too_large() -> Reply {
        reply(552, 3, 4, "message size exceeds limit")
    }

    /// 553: an address we can not use.
    #[must_use]
    pub fn bad_mailbox(text: impl Into<Cow<'static, str>>) -> Reply {
        reply(553, 1, 3, text)
    }

    /// 554: DATA without an accepted recipient (RFC 5321 §3.3).
    #[must_use]
    pub fn no_valid_recipients() -> Reply {
        reply(554, 5, 1, "no valid recipients")
    }

    /// 554: the message is refused for good; the text tells why.
    #[must_use]
    pub fn transaction_failed(text: impl Into<Cow<'static, str>>) -> Reply {
        reply(554, 0, 0, text)
    }

    /// 554: too many Received headers.
    #[must_use]
    pub fn mail_loop() -> Reply {
        reply(554, 4, 6, "too many hops")
    }

    /// 555: a MAIL or RCPT parameter that was not offered.
    #[must_use]
    pub fn unknown_parameter(keyword: &str) -> Reply {
        reply(555, 5, 4, format!("parameter {keyword} not recognised"))
    }
}
