//! The line that ends a command, and the one table from errors to response codes (RFC 2449 §8,
//! RFC 3206).

use crate::phrase::{Language, Phrase};
use base::{Error, Kind};
use bytes::BytesMut;
use codec_pop3::{Code, StatusLine};

/// `+OK` or `-ERR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) ok: bool,
    pub(crate) code: Option<Code>,
    pub(crate) text: Text,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// In the client's language.
    Phrase(Phrase),
    /// In the client's language, behind the language's tag, as the answers to LANG are.
    Tagged(Phrase),
    /// As it is.
    Words(String),
}

/// Why a command did not come to its reply.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is answered with this.
    Reply(Reply),
    /// The session ends.
    End(Ending),
}

/// How a session ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With these last words.
    Words(Reply),
    /// Everything was said, or nothing shall be (RFC 1939 §3, the autologout timer).
    Quiet,
    /// The connection is broken, or the client cannot be told any more.
    Broken,
}

/// What a handler has done.
#[derive(Debug)]
pub(crate) enum Said {
    /// This is the answer.
    Line(Reply),
    /// The answer is in the wire's buffer, or sent already.
    All,
}

/// What a handler gives.
pub(crate) type Answer = Result<Said, Stop>;

impl Reply {
    pub(crate) fn ok(phrase: Phrase) -> Self {
        Self { ok: true, code: None, text: Text::Phrase(phrase) }
    }

    pub(crate) fn words(text: impl Into<String>) -> Self {
        Self { ok: true, code: None, text: Text::Words(text.into()) }
    }

    pub(crate) fn err(phrase: Phrase) -> Self {
        Self { ok: false, code: None, text: Text::Phrase(phrase) }
    }

    pub(crate) fn because(code: Code, phrase: Phrase) -> Self {
        Self { ok: false, code: Some(code), text: Text::Phrase(phrase) }
    }

    /// Prints it.
    pub(crate) fn encode(&self, out: &mut BytesMut, language: Language) {
        let tagged;
        let text: &str = match &self.text {
            Text::Phrase(phrase) => phrase.words(language),
            Text::Tagged(phrase) => {
                tagged = format!("{} {}", language.tag(), phrase.words(language));
                &tagged
            }
            Text::Words(words) => words,
        };
        StatusLine { ok: self.ok, code: self.code, text }.encode(out);
    }
}

impl From<Reply> for Said {
    fn from(reply: Reply) -> Self {
        Self::Line(reply)
    }
}

impl From<Reply> for Stop {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Self {
        Self::End(ending)
    }
}

/// An error as an answer; the server's own are logged here.
pub(crate) fn failed(command: &'static str, error: &Error) -> Stop {
    log(command, error);
    Stop::Reply(of_error(error))
}

/// The table.
pub(crate) fn of_error(error: &Error) -> Reply {
    match error.kind {
        Kind::NotFound | Kind::AlreadyExists => Reply::err(Phrase::Gone),
        Kind::Denied | Kind::Invalid | Kind::CannotChange => Reply::err(Phrase::NotAllowed),
        Kind::BadCredentials => Reply::because(Code::Auth, Phrase::WrongPassword),
        Kind::Limit
        | Kind::OverQuota
        | Kind::Conflict
        | Kind::Unavailable
        | Kind::Fenced
        | Kind::Timeout
        | Kind::Overloaded
        | Kind::OutOfSpace => Reply::because(Code::SysTemp, Phrase::Later),
        Kind::Corrupt | Kind::Internal => Reply::because(Code::SysPerm, Phrase::Damaged),
    }
}

/// Logs an error where it is the server's or the operator's fault; the client's are not logged.
pub(crate) fn log(command: &str, error: &Error) {
    match error.blame() {
        base::Blame::Client => tracing::debug!(command, %error, "refused"),
        base::Blame::Operator | base::Blame::Server => {
            tracing::warn!(command, kind = ?error.kind, %error, "command failed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_replies() {
        let check = |kind, expect: &str| {
            let mut out = BytesMut::new();
            let error = Error::new(kind, "Text").detail("secret");
            of_error(&error).encode(&mut out, Language::English);
            let line = String::from_utf8_lossy(&out).into_owned();
            assert!(line.starts_with(expect) && !line.contains("secret"), "{kind:?}: {line}");
        };
        check(Kind::NotFound, "-ERR Somebody");
        check(Kind::AlreadyExists, "-ERR Somebody");
        check(Kind::Denied, "-ERR You may not");
        check(Kind::Invalid, "-ERR You may not");
        check(Kind::CannotChange, "-ERR You may not");
        check(Kind::BadCredentials, "-ERR [AUTH] Wrong");
        for kind in [
            Kind::Limit,
            Kind::OverQuota,
            Kind::Conflict,
            Kind::Unavailable,
            Kind::Fenced,
            Kind::Timeout,
            Kind::Overloaded,
            Kind::OutOfSpace,
        ] {
            check(kind, "-ERR [SYS/TEMP] ");
        }
        check(Kind::Corrupt, "-ERR [SYS/PERM] ");
        check(Kind::Internal, "-ERR [SYS/PERM] ");
    }

    #[test]
    fn the_answers_to_lang_begin_with_the_tag() {
        let mut out = BytesMut::new();
        let text = Text::Tagged(Phrase::LanguageChanged);
        Reply { ok: true, code: None, text }.encode(&mut out, Language::German);
        assert_eq!(&out[..], b"+OK de Jetzt auf Deutsch\r\n");
    }
}
