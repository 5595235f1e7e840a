//! The condition that ends a command, and the one table from errors to NO with a response code
//! (RFC 3501 §7.1, RFC 5530).

use base::{Error, Kind};
use bytes::BytesMut;
use codec_imap::{Capability, Code, IdRange, Status, StatusResponse, Tag};
use std::borrow::Cow;

/// The answer to a command: its tagged condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) code: Option<ReplyCode>,
    pub(crate) text: Cow<'static, str>,
}

/// A response code with its own values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplyCode {
    Plain(Code<'static>),
    Capability(Vec<Capability>),
    AppendUid {
        uid_validity: u32,
        uids: Vec<IdRange>,
    },
    CopyUid {
        uid_validity: u32,
        source: Vec<IdRange>,
        target: Vec<IdRange>,
    },
    Modified(Vec<IdRange>),
    /// The modification sequence up to which the client has been told everything, where it wants
    /// to know; which that is shows when the rest has been told ([`crate::modseq::stamp`]).
    UpToDate,
}

/// Why a command did not come to its OK.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It is answered with NO or BAD.
    Reply(Reply),
    /// It is answered, and the session ends with BYE and these words.
    Last(Reply, &'static str),
    /// It was answered already (STARTTLS must, before the handshake).
    Answered,
    /// The session ends.
    End(Ending),
}

/// How a session ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With `* BYE` and these words.
    Bye(Reply),
    /// Everything was said (LOGOUT).
    Quiet,
    /// The connection is broken, or the client cannot be told any more.
    Broken,
}

/// What a handler gives.
pub(crate) type Answer = Result<Reply, Stop>;

impl Reply {
    pub(crate) fn ok(text: &'static str) -> Self {
        Self { status: Status::Ok, code: None, text: text.into() }
    }

    pub(crate) fn no(code: Code<'static>, text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::No, code: Some(ReplyCode::Plain(code)), text: text.into() }
    }

    pub(crate) fn refused(text: &'static str) -> Self {
        Self { status: Status::No, code: None, text: text.into() }
    }

    pub(crate) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: Status::Bad, code: None, text: text.into() }
    }

    pub(crate) fn code(mut self, code: ReplyCode) -> Self {
        self.code = Some(code);
        self
    }

    /// Prints it behind its tag; without one it is untagged.
    pub(crate) fn encode(&self, out: &mut BytesMut, tag: Option<&Tag>) {
        let code = self.code.as_ref().map(ReplyCode::borrow);
        StatusResponse { tag, status: self.status, code, text: &self.text }.encode(out);
    }
}

impl ReplyCode {
    fn borrow(&self) -> Code<'_> {
        match self {
            Self::Plain(code) => code.clone(),
            Self::Capability(capabilities) => Code::Capability(capabilities),
            Self::AppendUid { uid_validity, uids } => {
                Code::AppendUid { uid_validity: *uid_validity, uids }
            }
            Self::CopyUid { uid_validity, source, target } => {
                Code::CopyUid { uid_validity: *uid_validity, source, target }
            }
            Self::Modified(ids) => Code::Modified(ids),
            // The least there is: nobody is told more than is true.
            Self::UpToDate => Code::HighestModSeq(1),
        }
    }
}

impl Ending {
    pub(crate) fn bye(code: Option<Code<'static>>, text: &'static str) -> Self {
        let code = code.map(ReplyCode::Plain);
        Self::Bye(Reply { status: Status::Bye, code, text: text.into() })
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Reply(of_error(&error))
    }
}

impl From<Ending> for Stop {
    fn from(ending: Ending) -> Self {
        Self::End(ending)
    }
}

impl From<Reply> for Stop {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// The table.
pub(crate) fn of_error(error: &Error) -> Reply {
    let code = match error.kind {
        Kind::NotFound => Some(Code::NonExistent),
        Kind::AlreadyExists => Some(Code::AlreadyExists),
        Kind::Denied => Some(Code::NoPerm),
        Kind::BadCredentials => Some(Code::AuthenticationFailed),
        Kind::Invalid | Kind::CannotChange => Some(Code::Cannot),
        Kind::Limit => Some(Code::Limit),
        Kind::OverQuota => Some(Code::OverQuota),
        Kind::Conflict => Some(Code::InUse),
        Kind::Unavailable | Kind::Fenced | Kind::Timeout | Kind::Overloaded | Kind::OutOfSpace => {
            Some(Code::Unavailable)
        }
        Kind::Corrupt => Some(Code::Corruption),
        Kind::Internal => Some(Code::ServerBug),
    };
    let code = code.map(ReplyCode::Plain);
    Reply { status: Status::No, code, text: error.text.clone() }
}

/// The same for the target of COPY, MOVE and APPEND: the client may make it and try again
/// (RFC 3501 §6.3.11).
pub(crate) fn of_target_error(error: &Error) -> Reply {
    match error.kind {
        Kind::NotFound => Reply::no(Code::TryCreate, error.text.clone()),
        _ => of_error(error),
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_conditions() {
        let check = |kind, expect: &str| {
            let mut out = BytesMut::new();
            of_error(&Error::new(kind, "Text").detail("secret")).encode(&mut out, None);
            assert_eq!(&out[..], format!("* NO [{expect}] Text\r\n").as_bytes());
        };
        check(Kind::NotFound, "NONEXISTENT");
        check(Kind::AlreadyExists, "ALREADYEXISTS");
        check(Kind::Denied, "NOPERM");
        check(Kind::BadCredentials, "AUTHENTICATIONFAILED");
        check(Kind::Invalid, "CANNOT");
        check(Kind::CannotChange, "CANNOT");
        check(Kind::Limit, "LIMIT");
        check(Kind::OverQuota, "OVERQUOTA");
        check(Kind::Conflict, "INUSE");
        for kind in [Kind::Unavailable, Kind::Fenced, Kind::Timeout, Kind::Overloaded] {
            check(kind, "UNAVAILABLE");
        }
        check(Kind::OutOfSpace, "UNAVAILABLE");
        check(Kind::Corrupt, "CORRUPTION");
        check(Kind::Internal, "SERVERBUG");
        let target = of_target_error(&Error::not_found("The folder"));
        assert_eq!(target.code, Some(ReplyCode::Plain(Code::TryCreate)));
    }

    #[test]
    fn attack_29_texts_cannot_break_out_of_their_line() {
        let mut out = BytesMut::new();
        let evil = Error::invalid("no\r\n* 1 EXPUNGE\r\na OK [ALERT]\0 x");
        of_error(&evil).encode(&mut out, Tag::new("t").as_ref());
        assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
        assert!(out.starts_with(b"t NO [CANNOT] no??"));
    }
}
