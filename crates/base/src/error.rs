//! One error type for everything above the store.
//!
//! An [`Error`] says what happened ([`Kind`]), whose fault it is ([`Blame`]), whether trying again
//! can help ([`Permanence`]), a sentence that may be shown to the client, and a detail that is for
//! the log only. It crosses nodes, so it is serialisable and holds no boxed causes. It is logged
//! once, where it is handled. Protocols translate it in one table each (`reply.rs`).

use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// The result of anything that can fail with an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, in terms that a protocol can translate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// The named thing does not exist (confirmed from the store).
    NotFound,
    /// A thing of that name exists already.
    AlreadyExists,
    /// Signed in, but without the right to do this.
    Denied,
    /// The credentials are wrong.
    BadCredentials,
    /// The request makes no sense or breaks a rule of the protocol.
    Invalid,
    /// A limit on size, number or rate; the text names the limit.
    Limit,
    /// The mailbox may not grow any more.
    OverQuota,
    /// Somebody else changed the thing first.
    Conflict,
    /// The thing cannot be changed in this way (a default folder, a read-only view).
    CannotChange,
    /// Nobody can serve this now: no owner, no store, shutting down.
    Unavailable,
    /// This node no longer owns the slot; a router takes this as "ask the new owner".
    Fenced,
    /// The deadline passed; the outcome of a command is not known to the caller.
    Timeout,
    /// Too much work is waiting; nothing was done.
    Overloaded,
    /// The disk or store has no room.
    OutOfSpace,
    /// Stored data failed its check; an operator must look.
    Corrupt,
    /// A bug of ours.
    Internal,
}

/// Whose fault it is; decides the log level and whose statistics it counts in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Blame {
    /// The person or program that asked.
    Client,
    /// This installation: its operator can change it.
    Operator,
    /// Rialto itself.
    Server,
}

/// Whether the same request can succeed later without being changed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Permanence {
    /// Trying again later may help: SMTP 4xx, IMAP `NO [UNAVAILABLE]`, HTTP 503.
    Temporary,
    /// The same request will fail again: SMTP 5xx.
    Permanent,
}

impl Kind {
    /// Whose fault an error of this kind is.
    pub fn blame(self) -> Blame {
        match self {
            Self::NotFound
            | Self::AlreadyExists
            | Self::Denied
            | Self::BadCredentials
            | Self::Invalid
            | Self::Limit
            | Self::OverQuota
            | Self::Conflict
            | Self::CannotChange => Blame::Client,
            Self::OutOfSpace => Blame::Operator,
            Self::Unavailable
            | Self::Fenced
            | Self::Timeout
            | Self::Overloaded
            | Self::Corrupt
            | Self::Internal => Blame::Server,
        }
    }

    /// Whether trying again can help.
    pub fn permanence(self) -> Permanence {
        match self {
            Self::NotFound
            | Self::AlreadyExists
            | Self::Denied
            | Self::BadCredentials
            | Self::Invalid
            | Self::Limit
            | Self::CannotChange => Permanence::Permanent,
            Self::OverQuota
            | Self::Conflict
            | Self::Unavailable
            | Self::Fenced
            | Self::Timeout
            | Self::Overloaded
            | Self::OutOfSpace
            | Self::Corrupt
            | Self::Internal => Permanence::Temporary,
        }
    }
}

/// What went wrong, for the client and for the log apart. See the module's words.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// What happened.
    pub kind: Kind,
    /// One sentence that the client may see: names what and where, discloses no internals.
    pub text: Cow<'static, str>,
    /// What the log gets beside it; may be empty.
    pub detail: String,
}

impl Error {
    /// An error whose text may be shown to the client.
    pub fn new(kind: Kind, text: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, text: text.into(), detail: String::new() }
    }

    /// Adds what only the log should know.
    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// The thing named by `what` does not exist.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("{what} does not exist"))
    }

    /// The request is wrong in the way that `text` says.
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, text)
    }

    /// The acting principal lacks the right.
    pub fn denied(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Denied, text)
    }

    /// Nobody can serve this now; `detail` is for the log.
    pub fn unavailable(detail: impl fmt::Display) -> Self {
        Self::new(Kind::Unavailable, "The service is temporarily unavailable").detail(detail)
    }

    /// A bug of ours; `detail` is for the log.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, "Internal error").detail(detail)
    }

    /// Stored data that does not check out; `detail` names the row.
    pub fn corrupt(detail: impl fmt::Display) -> Self {
        Self::new(Kind::Corrupt, "Stored data is damaged").detail(detail)
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        self.kind.blame()
    }

    /// Whether trying again can help.
    pub fn is_temporary(&self) -> bool {
        self.kind.permanence() == Permanence::Temporary
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)
    }
}

impl std::error::Error for Error {}
