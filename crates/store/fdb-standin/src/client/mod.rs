//! The client's side of transactions, without anything of C: what `libfdb_c` does inside a process.
//!
//! A [`database::Database`] is one connection ([`link`]); a [`transaction::Transaction`] keeps its
//! writes, conflict ranges and options, and talks to the server for read versions, rows and the
//! commit. Every call does what it can at once and gives an [`Op`]; what must wait runs as a task on
//! the one network thread ([`network`]).

mod commit;
pub(crate) mod database;
mod link;
pub(crate) mod network;
pub(crate) mod options;
mod range;
mod reads;
mod seat;
mod special;
pub(crate) mod transaction;
mod watch;
mod writes;

use bytes::Bytes;
use futures::future::BoxFuture;
use std::ffi::CString;

pub(crate) use range::RangeArguments;

/// What a call gives.
#[derive(Debug)]
pub(crate) enum Output {
    Done,
    Number(i64),
    Key(Bytes),
    Value(Option<Bytes>),
    Rows { rows: Vec<(Bytes, Bytes)>, more: bool },
    Keys(Vec<Bytes>),
    Strings(Vec<CString>),
}

/// How a call ended; errors are codes of FoundationDB.
pub(crate) type Outcome = Result<Output, i32>;

/// A call: ended, or to be waited for.
pub(crate) enum Op {
    Ready(Outcome),
    Later(BoxFuture<'static, Outcome>),
}

impl From<Outcome> for Op {
    fn from(outcome: Outcome) -> Self {
        Self::Ready(outcome)
    }
}
