//! What one scanner made of one message.

use contract_transport::scanner::OnFound;
use contract_transport::scanner::scanning::{Reply, plain};
use std::fmt;
use std::io;

/// What a scanner decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing against it.
    Clean,
    /// It belongs into Junk Email.
    Junk,
    /// Its client is told this.
    Refused(Reply),
    /// It is to vanish.
    Discarded,
}

/// A change that a scanner wants of the header. Numbers count fields of the name from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Edit {
    /// Another field, behind all others: its number is the last of its name. It stands in front
    /// all the same, behind what is inserted, so that the header need not be written anew.
    Add { name: String, value: String },
    /// Another field, before all others: its number is 1.
    Insert { name: String, value: String },
    /// Another value; a field more where there are not so many.
    Change { name: String, number: usize, value: String },
    /// A field less; all of the name where the number is 0.
    Remove { name: String, number: usize },
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) verdict: Verdict,
    pub(crate) edits: Vec<Edit>,
    /// For people.
    pub(crate) text: String,
}

impl Answer {
    /// Nothing against it, and nothing to be said.
    pub(crate) fn clean() -> Self {
        Self { verdict: Verdict::Clean, edits: Vec::new(), text: String::new() }
    }

    /// Something was found, which is dealt with as configured. `told` is for the client.
    pub(crate) fn found(choice: OnFound, told: &str, text: String) -> Self {
        let verdict = match choice {
            OnFound::Refuse => Verdict::Refused(Reply::refused(plain(told))),
            OnFound::Discard => Verdict::Discarded,
            OnFound::Junk => Verdict::Junk,
        };
        Self { verdict, edits: Vec::new(), text }
    }
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// It could not be connected to.
    NotReached(String),
    /// It has not answered in time.
    TimedOut,
    /// Nobody had time to ask it: as many messages as it may have were in it for so long.
    Busy,
    /// It closed the connection, or that broke.
    Ended,
    /// What it said makes no sense, or is too much.
    Nonsense(String),
    /// It says itself that it failed.
    Failed(String),
    /// It says that the message is too large for it: no failure.
    TooLarge,
    /// The message could not be read: not the scanner's fault.
    Own(String),
}

impl Trouble {
    /// Whether the scanner is to blame.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(self, Self::TooLarge | Self::Own(_) | Self::Busy)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotReached(why) => write!(f, "it cannot be reached: {why}"),
            Self::TimedOut => f.write_str("it did not answer in time"),
            Self::Busy => f.write_str("it has too much to do"),
            Self::Ended => f.write_str("it closed the connection"),
            Self::Nonsense(what) => write!(f, "it gave an answer that makes no sense: {what}"),
            Self::Failed(what) => write!(f, "it failed: {what}"),
            Self::TooLarge => f.write_str("the message is too large for it"),
            Self::Own(what) => write!(f, "the message could not be read: {what}"),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(_: io::Error) -> Self {
        Self::Ended
    }
}
