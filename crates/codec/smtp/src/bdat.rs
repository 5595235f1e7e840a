//! Reads the chunks of one message sent with BDAT (RFC 3030 §2).
//!
//! A chunk is counted, not searched: exactly as many bytes as announced are taken. Its bytes must
//! be drained even when the message is refused, or the stream is out of step; a session that does
//! not want to drain a huge chunk closes the connection ([`BdatDecoder::remaining_bytes`] tells).
//! Mixing DATA and BDAT, or BDAT without RCPT, is the session's business.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::{DataStatus, scan::LineEndWatch};

/// Why a chunk is not kept. Its bytes are still on their way and are drained by `decode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BdatError {
    /// A chunk after the one marked LAST: answer 503 5.5.1.
    AfterLast,
    /// A chunk was begun before the one before it was read. A bug of the caller.
    Unfinished,
    /// The message is larger than the limit: answer 552 5.3.4.
    TooLarge,
}

impl fmt::Display for BdatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BdatError::AfterLast => "the last chunk was already sent",
            BdatError::Unfinished => "the chunk before is not complete",
            BdatError::TooLarge => "message too large",
        })
    }
}

impl std::error::Error for BdatError {}

/// Reads one message in chunks.
#[derive(Debug, Clone)]
pub struct BdatDecoder {
    limit_bytes: u64,
    size_bytes: u64,
    remaining_bytes: u64,
    has_last: bool,
    refused: bool,
    watch: LineEndWatch,
}

impl BdatDecoder {
    /// A reader for a message of at most `limit_bytes` in all its chunks.
    #[must_use]
    pub fn new(limit_bytes: u64) -> BdatDecoder {
        BdatDecoder {
            limit_bytes,
            size_bytes: 0,
            remaining_bytes: 0,
            has_last: false,
            refused: false,
            watch: LineEndWatch::default(),
        }
    }

    /// A `BDAT size [LAST]` command came; its bytes follow in [`BdatDecoder::decode`].
    ///
    /// # Errors
    /// [`BdatError`]: the message is refused from here on, and the announced bytes are drained
    /// (except for `Unfinished`, which changes nothing).
    pub fn begin(&mut self, size_bytes: u64, last: bool) -> Result<(), BdatError> {
        if self.remaining_bytes > 0 {
            return Err(BdatError::Unfinished);
        }
        self.remaining_bytes = size_bytes;
        if self.has_last {
            self.refused = true;
            return Err(BdatError::AfterLast);
        }
        self.has_last = last;
        self.size_bytes = self.size_bytes.saturating_add(size_bytes);
        if self.size_bytes > self.limit_bytes {
            self.refused = true;
            return Err(BdatError::TooLarge);
        }
        Ok(())
    }

    /// Takes what belongs to the chunk off `input`; appends it to `out` unless the message is
    /// refused. `End` means the chunk is complete (at once for a chunk of 0 bytes).
    pub fn decode(&mut self, input: &mut BytesMut, out: &mut Vec<Bytes>) -> DataStatus {
        let taken = usize::try_from(self.remaining_bytes).unwrap_or(usize::MAX).min(input.len());
        let chunk = input.split_to(taken).freeze();
        self.remaining_bytes -= taken as u64;
        if !self.refused && !chunk.is_empty() {
            self.watch.see(&chunk);
            out.push(chunk);
        }
        if self.remaining_bytes > 0 {
            return DataStatus::More;
        }
        if self.has_last {
            self.watch.end();
        }
        DataStatus::End
    }

    /// Bytes of the current chunk still to come.
    #[must_use]
    pub fn remaining_bytes(&self) -> u64 {
        self.remaining_bytes
    }

    /// Bytes announced so far by all chunks; stops at the largest u64.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The chunk marked LAST is complete: the message is whole.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.has_last && self.remaining_bytes == 0
    }

    /// The message was refused: nothing of it may be kept.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// A CR or LF stood alone. Without BODY=BINARYMIME the session refuses that as it does for
    /// DATA. Final once the message is complete.
    #[must_use]
    pub fn has_bare_line_end(&self) -> bool {
        self.watch.bare_cr || self.watch.bare_lf
    }

    /// The bytes so far end with CRLF, as a message must.
    #[must_use]
    pub fn ends_line(&self) -> bool {
        self.watch.ends_line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_counted_across_reads() {
        let mut decoder = BdatDecoder::new(100);
        let (mut input, mut out) = (BytesMut::from(&b"Subj"[..]), Vec::new());
        assert_eq!(decoder.begin(7, false), Ok(()));
        assert_eq!(decoder.decode(&mut input, &mut out), DataStatus::More);
        assert_eq!(decoder.remaining_bytes(), 3);
        assert_eq!(decoder.begin(1, false), Err(BdatError::Unfinished));
        input.extend_from_slice(b"ect\r");
        assert_eq!(decoder.decode(&mut input, &mut out), DataStatus::End);
        assert!(!decoder.is_complete());
        assert_eq!(decoder.begin(2, true), Ok(()));
        input.extend_from_slice(b"\nRSET\r\n");
        assert_eq!(decoder.decode(&mut input, &mut out), DataStatus::End);
        assert_eq!((out.concat(), &input[..]), (b"Subject\r\n".to_vec(), &b"RSET\r\n"[..]));
        assert!(decoder.is_complete() && decoder.ends_line() && !decoder.has_bare_line_end());
        assert_eq!(decoder.size_bytes(), 9);
    }

    #[test]
    fn an_empty_last_chunk_ends_the_message() {
        let mut decoder = BdatDecoder::new(100);
        assert_eq!(decoder.begin(0, true), Ok(()));
        assert_eq!(decoder.decode(&mut BytesMut::new(), &mut Vec::new()), DataStatus::End);
        assert!(decoder.is_complete());
    }

    #[test]
    fn attack_05_sizes_and_last_twice() {
        let mut decoder = BdatDecoder::new(100);
        assert_eq!(decoder.begin(1 << 63, false), Err(BdatError::TooLarge));
        assert_eq!(decoder.remaining_bytes(), 1 << 63);
        let (mut input, mut out) = (BytesMut::from(&b"drained"[..]), Vec::new());
        assert_eq!(decoder.decode(&mut input, &mut out), DataStatus::More);
        assert!(input.is_empty() && out.is_empty() && decoder.is_refused());

        let mut decoder = BdatDecoder::new(u64::MAX - 1);
        assert_eq!(decoder.begin(1, false), Ok(()));
        decoder.decode(&mut BytesMut::from(&b"x"[..]), &mut out);
        assert_eq!(decoder.begin(u64::MAX, true), Err(BdatError::TooLarge));

        let (mut decoder, mut out) = (BdatDecoder::new(100), Vec::new());
        assert_eq!(decoder.begin(0, true), Ok(()));
        assert_eq!(decoder.begin(3, true), Err(BdatError::AfterLast));
        let mut input = BytesMut::from(&b"abcNOOP\r\n"[..]);
        assert_eq!(decoder.decode(&mut input, &mut out), DataStatus::End);
        assert_eq!((&input[..], out.is_empty()), (&b"NOOP\r\n"[..], true));
    }

    #[test]
    fn attack_01_bare_line_ends_in_chunks_are_seen() {
        for (bytes, bare) in [(&b"a\nb"[..], true), (b"a\r", true), (b"a\r\n", false)] {
            let mut decoder = BdatDecoder::new(100);
            assert_eq!(decoder.begin(bytes.len() as u64, true), Ok(()));
            decoder.decode(&mut BytesMut::from(bytes), &mut Vec::new());
            assert_eq!(decoder.has_bare_line_end(), bare);
        }
    }
}
