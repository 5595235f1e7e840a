//! What client and server say to each other: frames of length, number and bincode body.
//!
//! ```text
//! length of the rest (u32) | number of the request (u64) | body       all little-endian
//! ```
//!
//! A request is answered by one response with its number, in any order, except [`Request::Forget`],
//! which has no answer. Both ends are always of the same build, so nothing is versioned.

use crate::server::{CommitFault, Faults, Stats};
use bytes::Bytes;
use contract_store::rules::Mutation;
use contract_store::{AtomicOp, KeyRange, Version};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Begin and end of a range.
pub(crate) type Span = (Bytes, Bytes);

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    ReadVersion,
    Get {
        version: Version,
        key: Bytes,
    },
    Scan(Scan),
    Commit(Commit),
    /// Answered when the value is another than `expected`.
    Watch {
        key: Bytes,
        expected: Option<Bytes>,
    },
    /// Answered when no commit that was sent before, over any connection, can happen any more.
    Barrier,
    /// The watch with this number is not waited for any more.
    Forget(u64),
    Size {
        version: Version,
        span: Span,
    },
    Split {
        version: Version,
        span: Span,
        chunk_bytes: u64,
    },
    Control(Control),
}

/// A page of rows: at most `rows` (0 = any number), ending after about `bytes`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scan {
    pub(crate) version: Version,
    pub(crate) span: Span,
    pub(crate) reverse: bool,
    pub(crate) rows: u32,
    pub(crate) bytes: u32,
}

/// A transaction to commit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Commit {
    pub(crate) read_version: Option<Version>,
    pub(crate) reads: Vec<Span>,
    /// Written for conflicts, besides what the mutations write.
    pub(crate) writes: Vec<Span>,
    pub(crate) mutations: Vec<Change>,
    /// Numbers of the mutations that nobody conflicts with, ascending.
    pub(crate) silent: Vec<u32>,
}

/// A mutation as it is sent and stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Change {
    Set(Bytes, Bytes),
    Clear(Bytes),
    ClearRange(Bytes, Bytes),
    Atomic(u8, Bytes, Bytes),
}

/// What somebody who tests asks of a server, over any connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Control {
    /// What has happened so far.
    Stats,
    /// What is to go wrong from now on.
    Faults(Faults),
    /// What is to happen to the next commit; several queue up.
    Script(CommitFault),
    /// Stop answering for so many milliseconds; commits in flight become unknown.
    Recover(u64),
    /// Drop all connections and accept none for so many milliseconds.
    Die(u64),
    /// No more faults; late commits land now or never.
    Settle,
    /// Moves the age of versions on, in milliseconds.
    Advance(u64),
    /// Removes all rows.
    Clear,
    /// With which code the next request for a version or for rows fails; several queue up.
    ScriptRead(i32),
    /// Fires every watch that waits, though nothing has changed.
    FireWatches,
}

/// What a server answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Version(Version),
    Value(Option<Bytes>),
    Rows {
        rows: Vec<(Bytes, Bytes)>,
        more: bool,
    },
    Committed {
        version: Version,
        batch: u16,
    },
    /// Which of the commit's reads were changed.
    Conflict(Vec<u32>),
    Failed(i32),
    Fired,
    Keys(Vec<Bytes>),
    Stats(Box<Stats>),
    Done,
}

/// Operations by the numbers that the C API gives them.
const OPERATIONS: [(u8, AtomicOp); 14] = [
    (2, AtomicOp::Add),
    (6, AtomicOp::BitAnd),
    (7, AtomicOp::BitOr),
    (8, AtomicOp::BitXor),
    (9, AtomicOp::AppendIfFits),
    (12, AtomicOp::Max),
    (13, AtomicOp::Min),
    (14, AtomicOp::SetVersionstampedKey),
    (15, AtomicOp::SetVersionstampedValue),
    (16, AtomicOp::ByteMin),
    (17, AtomicOp::ByteMax),
    (18, AtomicOp::Min),
    (19, AtomicOp::BitAnd),
    (20, AtomicOp::CompareAndClear),
];

/// The operation with a number.
pub(crate) fn operation(number: i32) -> Option<AtomicOp> {
    OPERATIONS.iter().find(|(n, _)| i32::from(*n) == number).map(|(_, op)| *op)
}

impl From<Mutation> for Change {
    fn from(mutation: Mutation) -> Self {
        match mutation {
            Mutation::Set(key, value) => Self::Set(key, value),
            Mutation::Clear(key) => Self::Clear(key),
            Mutation::ClearRange(range) => Self::ClearRange(range.begin, range.end),
            Mutation::Atomic(op, key, param) => {
                let number = OPERATIONS.iter().find(|(_, known)| *known == op).map_or(0, |o| o.0);
                Self::Atomic(number, key, param)
            }
        }
    }
}

impl Change {
    /// The mutation; `None` where the operation is unknown.
    pub(crate) fn mutation(self) -> Option<Mutation> {
        Some(match self {
            Self::Set(key, value) => Mutation::Set(key, value),
            Self::Clear(key) => Mutation::Clear(key),
            Self::ClearRange(begin, end) => Mutation::ClearRange(KeyRange { begin, end }),
            Self::Atomic(number, key, param) => {
                Mutation::Atomic(operation(i32::from(number))?, key, param)
            }
        })
    }
}

/// The longest frame that is written and read.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// What stands before a body.
const HEADER_BYTES: usize = 12;

fn config() -> impl bincode::config::Config {
    // Decoding counts numbers at their full width, up to nine times what was written.
    bincode::config::standard().with_limit::<{ 9 * FRAME_BYTES_MAX }>()
}

/// Appends a frame; `false` where it would be too long to be read: nothing is appended then, and
/// whoever waits for an answer must be told.
#[must_use]
pub(crate) fn put(out: &mut Vec<u8>, number: u64, body: &impl Serialize) -> bool {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&number.to_le_bytes());
    let encoded = bincode::serde::encode_into_std_write(body, out, config());
    let length = out.len() - start - 4;
    if encoded.is_err() || length > FRAME_BYTES_MAX {
        out.truncate(start);
        return false;
    }
    out[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
    true
}

/// Takes the next whole frame off `input`: its number and body. `Ok(None)` where more is needed.
///
/// # Errors
/// Where it is no frame; the connection is of no use any more.
pub(crate) fn take<T: DeserializeOwned>(input: &mut &[u8]) -> Result<Option<(u64, T)>, ()> {
    let Some((length, rest)) = input.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if !(HEADER_BYTES - 4..=FRAME_BYTES_MAX).contains(&length) {
        return Err(());
    }
    let Some((frame, behind)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    let (number, body) = frame.split_first_chunk::<8>().ok_or(())?;
    let (body, _) = bincode::serde::decode_from_slice(body, config()).map_err(|_| ())?;
    *input = behind;
    Ok(Some((u64::from_le_bytes(*number), body)))
}

/// Bytes as a log stores them; `None` where they would be too many.
pub(crate) fn encode(body: &impl Serialize) -> Option<Vec<u8>> {
    let bytes = bincode::serde::encode_to_vec(body, config()).ok()?;
    (bytes.len() <= FRAME_BYTES_MAX).then_some(bytes)
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    bincode::serde::decode_from_slice(bytes, config()).ok().map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_whole_and_in_order() {
        let mut out = Vec::new();
        assert!(put(&mut out, 7, &Request::ReadVersion));
        assert!(put(&mut out, 8, &Request::Get { version: 3, key: Bytes::from("k") }));
        let mut input = &out[..];
        let first: Option<(u64, Request)> = take(&mut input).expect("a frame");
        assert!(matches!(first, Some((7, Request::ReadVersion))), "{first:?}");
        let mut torn = &input[..input.len() - 1];
        assert!(matches!(take::<Request>(&mut torn), Ok(None)));
        let second: Option<(u64, Request)> = take(&mut input).expect("a frame");
        assert!(matches!(second, Some((8, Request::Get { version: 3, .. }))), "{second:?}");
        assert!(input.is_empty());
    }

    #[test]
    fn a_frame_that_nobody_would_read_is_not_written() {
        let mut out = b"before".to_vec();
        let longest = FRAME_BYTES_MAX - 64;
        for (bytes, fits) in [(FRAME_BYTES_MAX, false), (longest, true)] {
            let value = Response::Value(Some(Bytes::from(vec![0; bytes])));
            assert_eq!(put(&mut out, 1, &value), fits, "{bytes}");
            assert_eq!(out.len() > 6, fits, "{bytes}");
        }
        let read: Option<(u64, Response)> = take(&mut &out[6..]).expect("a frame");
        let is_whole = |value: &Bytes| value.len() == longest;
        assert!(matches!(read, Some((1, Response::Value(Some(value)))) if is_whole(&value)));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bad in [[0_u8; 16], [0xff; 16], [9, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0xee, 0, 0, 0]] {
            assert!(take::<Request>(&mut &bad[..]).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_operation_keeps_its_number() {
        for (number, op) in OPERATIONS {
            assert_eq!(operation(i32::from(number)), Some(op));
            let mutation = Mutation::Atomic(op, Bytes::from("k"), Bytes::from("p"));
            assert_eq!(Change::from(mutation.clone()).mutation(), Some(mutation));
        }
        assert_eq!(operation(0), None);
        assert_eq!(operation(258), None);
    }
}
