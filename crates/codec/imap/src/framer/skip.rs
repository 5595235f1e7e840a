//! Giving a command up, and finding where the next one begins.
//!
//! A client that waits for a continuation sends nothing more of its command; what one sends without
//! waiting is thrown away as it comes, within [`super::Limits::skip_bytes`].

use super::header::{HEADER_BYTES_MAX, Header, HeaderError};
use super::{FrameError, FrameEvent, Framer, Part, RawCommand, State, take_len};
use crate::limits::MAX_TAG_BYTES;
use crate::value::Tag;
use bytes::{Buf, Bytes, BytesMut};

impl Framer {
    pub(super) fn skip_literal(
        &mut self,
        left_bytes: u64,
        buffer: &mut BytesMut,
    ) -> Result<Option<FrameEvent>, FrameError> {
        let len = take_len(left_bytes, buffer);
        buffer.advance(len);
        let left_bytes = left_bytes - len as u64;
        if left_bytes > 0 {
            self.state = State::SkipLiteral { left_bytes };
            return Ok(Some(FrameEvent::NeedMore));
        }
        self.state = State::SkipLine;
        Ok(None)
    }

    pub(super) fn skip_line(
        &mut self,
        buffer: &mut BytesMut,
    ) -> Result<Option<FrameEvent>, FrameError> {
        let Some(line) = self.take_line(buffer) else {
            // The tail stays, as a literal header at the end of the line must still be seen.
            let len = buffer.len().saturating_sub(HEADER_BYTES_MAX);
            buffer.advance(len);
            self.scanned = buffer.len();
            self.count_skipped(len as u64)?;
            return Ok(Some(FrameEvent::NeedMore));
        };
        self.count_skipped(line.len() as u64)?;
        match Header::at_end_of(&line) {
            Ok(Some((header, _))) if !header.sync => self.skip_from(header.len_bytes)?,
            Err(error) => return Err(self.bad_size(error)),
            // The client either ended the command or waits, and has its BAD.
            Ok(_) => self.drop_command(),
        }
        Ok(None)
    }

    /// Drops the command, of which `line` came last, and keeps its tag.
    pub(super) fn give_up(&mut self, line: &[u8]) {
        self.broken_tag = match self.pending.parts().first() {
            Some(Part::Text(first)) => tag_of(first),
            _ => tag_of(line),
        };
        self.drop_command();
    }

    /// Gives up the command at a line; a literal the client sends without waiting is skipped.
    pub(super) fn fail(&mut self, error: FrameError, header: Option<Header>) -> FrameError {
        self.drop_command();
        match header {
            Some(header) if !header.sync => match self.skip_from(header.len_bytes) {
                Ok(()) => error,
                Err(fatal) => fatal,
            },
            _ => error,
        }
    }

    pub(super) fn bad_size(&mut self, error: HeaderError) -> FrameError {
        self.drop_command();
        if error.sync {
            return FrameError::LiteralSize;
        }
        self.state = State::Closed;
        FrameError::LiteralSizeUnskippable
    }

    pub(super) fn skip_from(&mut self, literal_bytes: u64) -> Result<(), FrameError> {
        self.count_skipped(literal_bytes)?;
        self.state = State::SkipLiteral { left_bytes: literal_bytes };
        Ok(())
    }

    pub(super) fn count_skipped(&mut self, bytes: u64) -> Result<(), FrameError> {
        self.skipped_bytes = self.skipped_bytes.saturating_add(bytes);
        if self.skipped_bytes <= self.limits.skip_bytes {
            return Ok(());
        }
        self.state = State::Closed;
        Err(FrameError::SkippedTooMuch)
    }

    /// Back to the start of a command.
    pub(super) fn drop_command(&mut self) {
        self.state = State::Line;
        self.pending = RawCommand::default();
        self.scanned = 0;
        self.line_bytes = 0;
        self.literal_bytes = 0;
        self.literals = 0;
        self.skipped_bytes = 0;
    }
}

/// The tag at the start of a command: only one that can be told from what follows.
fn tag_of(line: &[u8]) -> Option<Tag> {
    let end = line.iter().take(MAX_TAG_BYTES + 1).position(|byte| *byte == b' ')?;
    Tag::new(Bytes::copy_from_slice(&line[..end]))
}
