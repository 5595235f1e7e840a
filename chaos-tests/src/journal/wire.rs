//! As much of the stand-in's protocol as a gate reads along: frames, commits and how they ended
//! (`crates/store/fdb-standin/src/wire.rs`, which keeps its types to itself). Nothing is versioned
//! there, so `tests/main/gate.rs` holds this to the real thing.

use bytes::Bytes;
use serde::Deserialize;

/// The longest frame of the protocol.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// Length and number.
const HEADER_BYTES: usize = 12;

/// The number of `Request::Commit` among the requests.
const COMMIT: u8 = 3;

/// The numbers of the responses to a commit.
const COMMITTED: u8 = 3;
const CONFLICT: u8 = 4;

/// Begin and end of a range of keys.
pub type Span = (Bytes, Bytes);

/// A transaction to commit.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct Commit {
    /// At which version it read.
    pub read_version: Option<i64>,
    /// What it read, so that a change is a conflict.
    pub reads: Vec<Span>,
    /// What counts as written besides.
    pub writes: Vec<Span>,
    /// What it changes.
    pub mutations: Vec<Change>,
    /// Numbers of mutations that nobody conflicts with.
    pub silent: Vec<u32>,
}

/// A mutation.
#[derive(Debug, PartialEq, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
pub enum Change {
    /// Key and value.
    Set(Bytes, Bytes),
    /// One key.
    Clear(Bytes),
    /// Begin and end.
    ClearRange(Bytes, Bytes),
    /// Operation, key and operand.
    Atomic(u8, Bytes, Bytes),
}

impl Change {
    /// The (first) key that it changes.
    #[must_use]
    pub fn key(&self) -> &Bytes {
        match self {
            Change::Set(key, _)
            | Change::Clear(key)
            | Change::ClearRange(key, _)
            | Change::Atomic(_, key, _) => key,
        }
    }
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// At this place in the order of all commits.
    Committed {
        /// Its version.
        version: i64,
        /// Its place among those of this version.
        batch: u16,
    },
    /// It did not happen.
    Refused,
    /// Nobody says so.
    Unknown,
}

/// The frames of one direction, cut out of its bytes.
#[derive(Debug, Default)]
pub struct Frames(Vec<u8>);

impl Frames {
    /// Takes bytes in, gives each whole frame's number and body to `each`. What is no frame is
    /// passed over: the ends will notice.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(u64, &[u8])) {
        self.0.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((length, rest)) = self.0[at..].split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if !(HEADER_BYTES - 4..=FRAME_BYTES_MAX).contains(&length) {
                self.0.clear();
                return;
            }
            let Some((number, body)) = rest.get(..length).and_then(|f| f.split_first_chunk::<8>())
            else {
                break;
            };
            each(u64::from_le_bytes(*number), body);
            at += 4 + length;
        }
        self.0.drain(..at);
    }
}

/// The commit of a request's body, if it is one.
#[must_use]
pub fn commit(body: &[u8]) -> Option<Commit> {
    let (kind, rest) = body.split_first()?;
    let config = bincode::config::standard();
    (*kind == COMMIT)
        .then(|| bincode::serde::decode_from_slice(rest, config).ok())?
        .map(|one| one.0)
}

/// How the commit ended that a response's body answers.
#[must_use]
pub fn ending(body: &[u8]) -> Ending {
    let Some((kind, rest)) = body.split_first() else {
        return Ending::Unknown;
    };
    let place =
        bincode::serde::decode_from_slice::<(i64, u16), _>(rest, bincode::config::standard());
    match (*kind, place) {
        (COMMITTED, Ok(((version, batch), _))) => Ending::Committed { version, batch },
        (CONFLICT, _) => Ending::Refused,
        _ => Ending::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u64, body: &[u8]) -> Vec<u8> {
        let mut frame = (body.len() as u32 + 8).to_le_bytes().to_vec();
        frame.extend_from_slice(&number.to_le_bytes());
        frame.extend_from_slice(body);
        frame
    }

    #[test]
    fn frames_are_cut_out_wherever_the_pieces_end() {
        let wire = [frame(7, b"one"), frame(8, b""), frame(9, b"three")].concat();
        for size in 1..wire.len() {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for piece in wire.chunks(size) {
                frames.push(piece, |number, body| seen.push((number, body.to_vec())));
            }
            let expected = [(7, b"one".to_vec()), (8, Vec::new()), (9, b"three".to_vec())];
            assert_eq!(seen, expected, "{size}");
        }
    }

    #[test]
    fn commits_and_their_endings_are_read() {
        let bytes = Bytes::from_static;
        let told = Commit {
            read_version: Some(5),
            reads: vec![(bytes(b"F"), bytes(b"G"))],
            mutations: vec![Change::Set(bytes(b"A"), bytes(b"v")), Change::Clear(bytes(b"B"))],
            ..Commit::default()
        };
        let config = bincode::config::standard();
        let mut body = vec![COMMIT];
        body.extend(bincode::serde::encode_to_vec(&told, config).unwrap());
        assert_eq!(commit(&body), Some(told));
        assert_eq!(commit(&[0]), None);
        let mut body = vec![COMMITTED];
        body.extend(bincode::serde::encode_to_vec((77_i64, 2_u16), config).unwrap());
        assert_eq!(ending(&body), Ending::Committed { version: 77, batch: 2 });
        assert_eq!(ending(&[CONFLICT, 0]), Ending::Refused);
        assert_eq!(ending(&[5, 1]), Ending::Unknown);
    }
}
