//! Cuts the bytes of a client into commands, before anything is parsed.
//!
//! The framer knows lines and literals and nothing else. It bounds what a client can make the server
//! hold, and it keeps both sides in step: whatever a command contains, the next one begins where the
//! client means it to. Literals are announced before a byte of them is buffered, and the session says
//! what becomes of each: [`Framer::accept`] collects it into the command, [`Framer::stream`] hands it
//! out in chunks (the message of an APPEND, never whole in memory), [`Framer::refuse`] drops the
//! command and skips what the client sends of it anyway.
//!
//! Line ends: CRLF, and a bare LF for people at a terminal. Unlike in SMTP that lets nothing be smuggled, as
//! literals are counted. NUL and bare CR in a line are refused, NUL in a literal only passes in a
//! literal8 (RFC 3516 `~{n}`).
//!
//! ```
//! use bytes::BytesMut;
//! use codec_imap::command::is_append_message;
//! use codec_imap::framer::Refused;
//! use codec_imap::{Command, FrameEvent, Framer, Limits};
//!
//! let mut framer = Framer::new(Limits::AUTHENTICATED);
//! let mut input = BytesMut::from(&b"a1 APPEND Sent {5}\r\nhello\r\na2 NOOP\r\n"[..]);
//! let (mut output, mut message) = (Vec::new(), Vec::new());
//! loop {
//!     match framer.next(&mut input)? {
//!         FrameEvent::NeedMore => break, // read from the socket, then call again
//!         FrameEvent::Literal(offer) => {
//!             if is_append_message(framer.pending()) {
//!                 framer.stream();
//!             } else if !framer.accept() {
//!                 match framer.refuse() { // too large to buffer: say BAD
//!                     Refused::Continue => continue,
//!                     Refused::Close => break,
//!                 }
//!             }
//!             if offer.sync {
//!                 output.extend_from_slice(b"+ go on\r\n");
//!             }
//!         }
//!         FrameEvent::Chunk(chunk) => message.extend_from_slice(&chunk),
//!         FrameEvent::Command(raw) => drop(Command::parse(&raw)),
//!     }
//! }
//! assert_eq!(message, b"hello");
//! # Ok::<(), codec_imap::FrameError>(())
//! ```

mod event;
mod header;
mod raw;
mod skip;

pub use event::{FrameError, FrameEvent, Limits, LiteralOffer, Refused};
pub(crate) use raw::Part;
pub use raw::RawCommand;

use crate::value::Tag;
use bytes::{Buf, Bytes, BytesMut};
use header::Header;

#[derive(Debug, Clone, Copy)]
enum State {
    Line,
    Offered(Header),
    Buffering(Header),
    Streaming {
        header: Header,
        left_bytes: u64,
    },
    /// Throwing away a literal of a refused command, then the rest of its lines.
    SkipLiteral {
        left_bytes: u64,
    },
    SkipLine,
    Closed,
}

/// The state of one connection's input; see the module documentation for the flow.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    state: State,
    pending: RawCommand,
    /// Bytes at the front of the buffer known to hold no LF, so that no byte is searched twice.
    scanned: usize,
    line_bytes: usize,
    literal_bytes: u64,
    literals: usize,
    skipped_bytes: u64,
    /// The tag of the command that was given up last.
    broken_tag: Option<Tag>,
}

impl Framer {
    /// A framer at the start of a command.
    pub fn new(limits: Limits) -> Framer {
        Framer {
            limits,
            state: State::Line,
            pending: RawCommand::default(),
            scanned: 0,
            line_bytes: 0,
            literal_bytes: 0,
            literals: 0,
            skipped_bytes: 0,
            broken_tag: None,
        }
    }

    /// Other limits from the next literal or line on, as after authentication.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Forgets everything, as STARTTLS needs it; the caller clears the buffer itself.
    pub fn reset(&mut self) {
        *self = Framer::new(self.limits);
    }

    /// What has come of the current command: its lines and literals up to the literal on offer.
    pub fn pending(&self) -> &RawCommand {
        &self.pending
    }

    /// The tag of the command that the last [`FrameError`] was about, once, where that much of it
    /// could be read: the client waits for an answer that bears it.
    pub fn take_broken_tag(&mut self) -> Option<Tag> {
        self.broken_tag.take()
    }

    /// Whether the next byte is the first of a command.
    pub fn is_between_commands(&self) -> bool {
        matches!(self.state, State::Line) && self.pending.parts().is_empty()
    }

    /// Takes the next event from the front of the buffer. Only append to the buffer between calls.
    ///
    /// # Errors
    /// [`FrameError`]; the command is lost, and unless it is fatal the next call goes on behind it.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<FrameEvent, FrameError> {
        loop {
            let event = match self.state {
                State::Line => self.line(buffer)?,
                State::Offered(header) => Some(FrameEvent::Literal(self.offer(header))),
                State::Buffering(header) => self.buffer(header, buffer),
                State::Streaming { header, left_bytes } => {
                    self.chunk(header, left_bytes, buffer)?
                }
                State::SkipLiteral { left_bytes } => self.skip_literal(left_bytes, buffer)?,
                State::SkipLine => self.skip_line(buffer)?,
                State::Closed => return Err(FrameError::Closed),
            };
            if let Some(event) = event {
                return Ok(event);
            }
        }
    }

    /// Takes one line as it is, without looking for literals: the answers of the client within
    /// AUTHENTICATE and IDLE. `None`: read more and call again.
    ///
    /// # Errors
    /// `NotBetweenCommands` in the middle of a command; `LineTooLong`, after which every call
    /// answers `Closed`, as such a client is not talking IMAP; `ControlByte` for the one line.
    pub fn next_line(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
        match self.state {
            State::Line if self.pending.parts().is_empty() => {}
            State::Closed => return Err(FrameError::Closed),
            _ => return Err(FrameError::NotBetweenCommands),
        }
        let line = self.take_line(buffer);
        let len_bytes = line.as_ref().map_or(buffer.len(), BytesMut::len);
        if len_bytes > self.limits.line_bytes {
            self.state = State::Closed;
            return Err(FrameError::LineTooLong);
        }
        match line {
            Some(line) if has_control(&line) => Err(FrameError::ControlByte),
            line => Ok(line.map(BytesMut::freeze)),
        }
    }

    /// Collects the literal on offer into the command. `false`, and nothing changes, if it passes
    /// the limits or there is no offer.
    #[must_use]
    pub fn accept(&mut self) -> bool {
        match self.state {
            State::Offered(header) if self.fits(header) => {
                self.literal_bytes += header.len_bytes;
                self.state = State::Buffering(header);
                true
            }
            _ => false,
        }
    }

    /// Hands the literal on offer out in chunks. Its size is for the session to judge beforehand.
    pub fn stream(&mut self) {
        if let State::Offered(header) = self.state {
            self.state = State::Streaming { header, left_bytes: header.len_bytes };
        }
    }

    /// Drops the command with the literal on offer, or being streamed. A client that waits for a
    /// continuation sends nothing more of it; one that does not is skipped over, within the limits.
    pub fn refuse(&mut self) -> Refused {
        let left_bytes = match self.state {
            State::Offered(header) if header.sync => 0,
            State::Offered(header) => header.len_bytes,
            State::Streaming { left_bytes, .. } => left_bytes,
            State::Closed => return Refused::Close,
            _ => return Refused::Continue,
        };
        let waits = matches!(self.state, State::Offered(header) if header.sync);
        self.drop_command();
        if waits {
            return Refused::Continue;
        }
        match self.skip_from(left_bytes) {
            Ok(()) => Refused::Continue,
            Err(_) => Refused::Close,
        }
    }

    fn fits(&self, header: Header) -> bool {
        header.len_bytes <= self.limits.literal_bytes.saturating_sub(self.literal_bytes)
            && usize::try_from(header.len_bytes).is_ok()
    }

    fn offer(&self, header: Header) -> LiteralOffer {
        LiteralOffer {
            len_bytes: header.len_bytes,
            sync: header.sync,
            binary: header.binary,
            fits: self.fits(header),
        }
    }

    /// The index of the first LF.
    fn find_line_end(&mut self, buffer: &BytesMut) -> Option<usize> {
        let from = self.scanned.min(buffer.len());
        let found = buffer[from..].iter().position(|&b| b == b'\n').map(|found| from + found);
        self.scanned = found.unwrap_or(buffer.len());
        found
    }

    /// Takes a line with its end off; `None` if there is no LF yet.
    fn take_line(&mut self, buffer: &mut BytesMut) -> Option<BytesMut> {
        let end = self.find_line_end(buffer)?;
        self.scanned = 0;
        let mut line = buffer.split_to(end + 1);
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        Some(line)
    }

    fn line(&mut self, buffer: &mut BytesMut) -> Result<Option<FrameEvent>, FrameError> {
        let allowed = self.limits.line_bytes.saturating_sub(self.line_bytes);
        let end = self.find_line_end(buffer);
        // One byte more than allowed may be the CR.
        let known_bytes = end.unwrap_or(buffer.len());
        let too_long = match known_bytes.checked_sub(1) {
            Some(last) if buffer.get(last) == Some(&b'\r') => last > allowed,
            _ if end.is_none() => known_bytes > allowed.saturating_add(1),
            _ => known_bytes > allowed,
        };
        if too_long {
            self.give_up(&buffer[..known_bytes]);
            self.state = State::SkipLine;
            return Err(FrameError::LineTooLong);
        }
        let Some(line) = self.take_line(buffer) else {
            return Ok(Some(FrameEvent::NeedMore));
        };
        self.line_bytes += line.len();
        let (header, text_len) = match Header::at_end_of(&line) {
            Ok(Some((header, text_len))) => (Some(header), text_len),
            Ok(None) => (None, line.len()),
            Err(error) => {
                self.give_up(&line);
                return Err(self.bad_size(error));
            }
        };
        if has_control(&line) {
            self.give_up(&line);
            return Err(self.fail(FrameError::ControlByte, header));
        }
        let mut line = line.freeze();
        line.truncate(text_len);
        self.pending.push(Part::Text(line));
        let Some(header) = header else {
            let raw = std::mem::take(&mut self.pending);
            self.drop_command();
            return Ok(Some(FrameEvent::Command(raw)));
        };
        self.literals += 1;
        if self.literals > self.limits.literals {
            self.give_up(&[]);
            return Err(self.fail(FrameError::TooManyLiterals, Some(header)));
        }
        self.state = State::Offered(header);
        Ok(None)
    }

    fn buffer(&mut self, header: Header, buffer: &mut BytesMut) -> Option<FrameEvent> {
        // `accept` has checked that the size is within a usize.
        let len = header.len_bytes as usize;
        if buffer.len() < len {
            return Some(FrameEvent::NeedMore);
        }
        let bytes = buffer.split_to(len).freeze();
        self.pending.push(Part::Literal { bytes, binary: header.binary });
        self.state = State::Line;
        None
    }

    fn chunk(
        &mut self,
        header: Header,
        left_bytes: u64,
        buffer: &mut BytesMut,
    ) -> Result<Option<FrameEvent>, FrameError> {
        if left_bytes == 0 {
            let Header { len_bytes, binary, .. } = header;
            self.pending.push(Part::Streamed { len_bytes, binary });
            self.state = State::Line;
            return Ok(None);
        }
        if buffer.is_empty() {
            return Ok(Some(FrameEvent::NeedMore));
        }
        let len = take_len(left_bytes, buffer);
        let nul = match &buffer[..len] {
            some if header.binary || !some.contains(&0) => None,
            some => some.iter().position(|&b| b == 0),
        };
        if nul == Some(0) {
            buffer.advance(1);
            self.give_up(&[]);
            self.skip_from(left_bytes - 1)?;
            return Err(FrameError::NulInLiteral);
        }
        // What stands before a NUL goes out first, so that the events do not depend on the reads.
        let chunk = buffer.split_to(nul.unwrap_or(len)).freeze();
        let left_bytes = left_bytes - chunk.len() as u64;
        self.state = State::Streaming { header, left_bytes };
        Ok(Some(FrameEvent::Chunk(chunk)))
    }
}

fn has_control(line: &[u8]) -> bool {
    line.contains(&0) || line.contains(&b'\r')
}

/// How much of the buffer belongs to a literal.
fn take_len(left_bytes: u64, buffer: &BytesMut) -> usize {
    usize::try_from(left_bytes).map_or(buffer.len(), |left| left.min(buffer.len()))
}
