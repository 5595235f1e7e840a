//! Reads the message after DATA: finds its end, removes the dots, counts, and judges line ends.
//!
//! Only CRLF `.` CRLF ends the message (RFC 5321 §4.1.1.4); the CRLF of the DATA line itself
//! stands before the first line, so `.` CRLF at once is an empty message. A line starts only after
//! CRLF, never after a bare LF or CR, so no other sequence can end the message or lose a dot, and
//! a message can not be seen as two by us and as one by somebody else. Bare line ends are not
//! repaired but reported, and the session refuses the message after its true end.
//!
//! ```text
//!              .                  CR                LF
//!   LineStart ───▶ Dot (dropped) ───▶ DotCr (held) ───▶ end
//!       ▲  └─other─▶ Middle ◀──other───┘└──other──▶ (CR was data)
//!       └──── LF ── Cr ◀─ CR ┘
//! ```

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::{gather::Gather, scan};

/// Whether the message goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataStatus {
    /// All input was taken, and the message goes on.
    More,
    /// The end was found; bytes behind it are left in the input.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    Middle,
    Cr,
    Dot,
    DotCr,
    Ended,
}

/// An incremental decoder of one message sent with DATA.
#[derive(Debug, Clone)]
pub struct DataDecoder {
    state: State,
    limit_bytes: u64,
    size_bytes: u64,
    bare_cr: bool,
    bare_lf: bool,
    /// Scratch: the runs of the current chunk that are message bytes.
    runs: Vec<Range<usize>>,
}

impl DataDecoder {
    /// A decoder that stores nothing beyond `limit_bytes` of decoded message, but still finds the
    /// end of a longer one.
    #[must_use]
    pub fn new(limit_bytes: u64) -> DataDecoder {
        DataDecoder {
            state: State::LineStart,
            limit_bytes,
            size_bytes: 0,
            bare_cr: false,
            bare_lf: false,
            runs: Vec::new(),
        }
    }

    /// Takes what belongs to the message off `input` and appends its decoded bytes to `out`, as
    /// slices of `input` where they are long. Appends nothing from the chunk on that passes the
    /// limit: the caller has to drop the message then, see [`DataDecoder::too_large`].
    pub fn decode(&mut self, input: &mut BytesMut, out: &mut Vec<Bytes>) -> DataStatus {
        if self.state == State::Ended {
            return DataStatus::End;
        }
        self.runs.clear();
        let held_cr = self.state == State::DotCr && input.first().is_some_and(|&b| b != b'\n');
        let taken_bytes = self.scan(input);
        let chunk = input.split_to(taken_bytes).freeze();
        let run_bytes: usize = self.runs.iter().map(ExactSizeIterator::len).sum();
        let added_bytes = run_bytes as u64 + u64::from(held_cr);
        self.size_bytes = self.size_bytes.saturating_add(added_bytes);
        if !self.too_large() {
            let mut gather = Gather::new(out);
            if held_cr {
                gather.push_copy(b"\r");
            }
            for run in self.runs.drain(..) {
                gather.push_run(chunk.slice(run));
            }
            gather.flush();
        }
        if self.state == State::Ended { DataStatus::End } else { DataStatus::More }
    }

    /// Decoded bytes so far, those beyond the limit included.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The message passed the limit: answer 552 5.3.4 at its end.
    #[must_use]
    pub fn too_large(&self) -> bool {
        self.size_bytes > self.limit_bytes
    }

    /// A CR or LF stood alone somewhere: answer 550 5.6.0 at the end.
    #[must_use]
    pub fn has_bare_line_end(&self) -> bool {
        self.bare_cr || self.bare_lf
    }

    /// Walks over `chunk`, records the runs to keep, returns how many bytes belong to the message.
    fn scan(&mut self, chunk: &[u8]) -> usize {
        let mut at = 0;
        let mut run_start = 0;
        while at < chunk.len() {
            let byte = chunk[at];
            match self.state {
                State::LineStart if byte == b'.' => {
                    self.keep(run_start..at);
                    at += 1;
                    run_start = at;
                    self.state = State::Dot;
                }
                State::LineStart => self.state = State::Middle,
                State::Middle => {
                    let Some(found) = scan::cr_or_lf(&chunk[at..]) else {
                        break;
                    };
                    at += found;
                    if chunk[at] == b'\r' {
                        self.state = State::Cr;
                    } else {
                        self.bare_lf = true;
                    }
                    at += 1;
                }
                State::Cr if byte == b'\n' => {
                    at += 1;
                    self.state = State::LineStart;
                }
                State::Cr => {
                    self.bare_cr = true;
                    self.state = State::Middle;
                }
                State::Dot if byte == b'\r' => {
                    at += 1;
                    run_start = at;
                    self.state = State::DotCr;
                }
                State::Dot => self.state = State::Middle,
                State::DotCr if byte == b'\n' => {
                    self.state = State::Ended;
                    return at + 1;
                }
                State::DotCr => {
                    // The held CR was data: take it back into the run, unless it came in an
                    // earlier chunk; then `decode` puts it in front.
                    run_start = at.saturating_sub(1);
                    self.state = State::Cr;
                }
                State::Ended => return at,
            }
        }
        self.keep(run_start..chunk.len());
        chunk.len()
    }

    fn keep(&mut self, run: Range<usize>) {
        if !run.is_empty() {
            self.runs.push(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` at every chunk size; `rest` is what must be left behind the end.
    fn check(input: &[u8], expected: &[u8], rest: Option<&[u8]>, bare: bool) {
        for step in 1..=input.len() {
            let mut decoder = DataDecoder::new(1000);
            let (mut buffer, mut out, mut status) = (BytesMut::new(), Vec::new(), DataStatus::More);
            for piece in input.chunks(step) {
                buffer.extend_from_slice(piece);
                status = decoder.decode(&mut buffer, &mut out);
            }
            assert_eq!(out.concat(), expected, "{:?}", String::from_utf8_lossy(input));
            assert_eq!((status == DataStatus::End).then_some(&buffer[..]), rest);
            assert_eq!(decoder.has_bare_line_end(), bare, "bare line ends");
            assert_eq!(decoder.size_bytes(), expected.len() as u64);
        }
    }

    #[test]
    fn messages() {
        check(b".\r\n", b"", Some(b""), false);
        check(b"a\r\n.\r\n", b"a\r\n", Some(b""), false);
        check(b"a\r\n.\r\nQUIT\r\n", b"a\r\n", Some(b"QUIT\r\n"), false);
        check(b"..\r\n.x\r\n\r\n.\r\n", b".\r\nx\r\n\r\n", Some(b""), false);
        check(b"...\r\na.b\r\n.\r\n", b"..\r\na.b\r\n", Some(b""), false);
        check(b"\xff\0.\r\n.\r\n", b"\xff\0.\r\n", Some(b""), false);
        check(b"never ended\r\n", b"never ended\r\n", None, false);
    }

    #[test]
    fn attack_01_only_crlf_dot_crlf_ends_data() {
        check(b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", Some(b""), true);
        check(b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", Some(b""), true);
        check(b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", Some(b""), true);
        check(b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", Some(b""), true);
        check(b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n", Some(b""), true);
        check(b"a\r\n.\r\r\nb\r\n.\r\n", b"a\r\n\r\r\nb\r\n", Some(b""), true);
        check(b"a\r\n.\0\r\nb\r\n.\r\n", b"a\r\n\0\r\nb\r\n", Some(b""), false);
        check(b"a\r\r\n.\r\n", b"a\r\r\n", Some(b""), true);
        check(b"\n.\r\n.\r\n", b"\n.\r\n", Some(b""), true);
    }

    #[test]
    fn attack_06_beyond_the_limit_bytes_are_drained_not_kept() {
        let mut decoder = DataDecoder::new(10_000);
        let mut out = Vec::new();
        for _ in 0..1_000 {
            let mut chunk = BytesMut::from(&[b"x".repeat(1022), b"\r\n".to_vec()].concat()[..]);
            assert_eq!(decoder.decode(&mut chunk, &mut out), DataStatus::More);
            assert!(chunk.is_empty());
        }
        let mut end = BytesMut::from(&b".\r\nNOOP\r\n"[..]);
        assert_eq!(decoder.decode(&mut end, &mut out), DataStatus::End);
        assert_eq!(&end[..], b"NOOP\r\n");
        assert!(decoder.too_large());
        assert_eq!(decoder.size_bytes(), 1_024_000);
        assert!(out.concat().len() <= 10_000);
    }

    #[test]
    fn the_limit_is_inclusive() {
        for (limit, too_large) in [(3, false), (2, true)] {
            let mut decoder = DataDecoder::new(limit);
            let mut input = BytesMut::from(&b"a\r\n.\r\n"[..]);
            assert_eq!(decoder.decode(&mut input, &mut Vec::new()), DataStatus::End);
            assert_eq!(decoder.too_large(), too_large);
        }
    }

    #[test]
    fn attack_07_a_line_without_end_is_passed_on_without_a_copy() {
        let mut decoder = DataDecoder::new(u64::MAX);
        let mut out = Vec::new();
        let mut chunk = BytesMut::from(&vec![b'x'; 1 << 20][..]);
        let address = chunk.as_ptr();
        assert_eq!(decoder.decode(&mut chunk, &mut out), DataStatus::More);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].as_ptr(), address, "the very bytes that came in");
    }
}
