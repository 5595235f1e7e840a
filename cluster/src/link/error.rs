//! Why a call failed, and whether its request may have been executed all the same.

use base::{Error, Kind};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether a request whose call failed has been executed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Executed {
    /// Certainly not: it never left whole, or the peer says that nobody was given it. May be sent
    /// again, anywhere.
    No,
    /// The target answered with this error; what that means for the request, the error says.
    Answered,
    /// Nobody knows: it was sent, and no answer came. May be sent again only under the same
    /// [`CommandId`](base::CommandId), or if it is harmless to repeat.
    Unknown,
}

/// Why a call failed.
#[derive(Clone, PartialEq, Eq)]
pub struct CallError {
    /// For the caller, as any other error.
    pub error: Error,
    /// Whether the request may have been executed.
    pub executed: Executed,
}

impl CallError {
    /// The request certainly was not executed.
    pub(super) fn not_sent(error: Error) -> Self {
        Self { error, executed: Executed::No }
    }

    /// The request may have been executed.
    pub(super) fn unknown(error: Error) -> Self {
        Self { error, executed: Executed::Unknown }
    }

    /// There is no link; `why` is for the log.
    pub(super) fn no_link(why: impl fmt::Display) -> Self {
        Self::not_sent(Error::unavailable(why))
    }

    /// Whether the same request may simply be sent again, over another link.
    pub fn is_safe_to_resend(&self) -> bool {
        self.executed == Executed::No && self.error.is_temporary()
    }
}

impl From<CallError> for Error {
    fn from(failed: CallError) -> Self {
        failed.error
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (executed: {:?})", self.error, self.executed)
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, executed: {:?}", self.error, self.executed)
    }
}

impl std::error::Error for CallError {}

/// What a peer sent that it must not send; ends the link.
pub(super) fn violation(what: impl fmt::Display) -> Error {
    Error::new(Kind::Invalid, "The other node broke the rules of the link").detail(what)
}
