//! The session's end of its connection: commands in, one buffer of responses out.
//!
//! Responses are printed into one buffer that is sent when it is large or before the session waits
//! for input, so a batch of pipelined commands is answered in one write. Neither buffer is kept
//! while the client is silent.

use crate::config::{COMMAND_BYTES_PER_S_MIN, OUTPUT_BYTES};
use crate::reply::{Ending, Reply};
use crate::view::View;
use access_listener::{Connection, Pace};
use base::Deadline;
use bytes::{Bytes, BytesMut};
use codec_imap::framer::LiteralOffer;
use codec_imap::response::{Response, put_continuation};
use codec_imap::{
    Code, FetchWriter, FrameError, FrameEvent, Framer, Limits, Names, RawCommand, Tag,
};
use std::io;
use std::time::Duration;

/// The session's end of its connection.
pub(crate) struct Wire {
    pub(crate) connection: Connection,
    pub(crate) framer: Framer,
    out: BytesMut,
    /// How mailbox names are printed and read.
    pub(crate) names: Names,
    /// Whether messages are told by UID alone (RFC 9586).
    pub(crate) uid_only: bool,
    /// Of the command that has begun to come.
    pace: Option<Pace>,
}

/// What came next.
pub(crate) enum Incoming {
    /// A complete command.
    Command(RawCommand),
    /// A literal is announced; what is known of its command is pending in the framer.
    Literal(LiteralOffer),
    /// Bytes of a literal that is streamed.
    Chunk(Bytes),
    /// Something that is no command; the framer is past it, or lost.
    Broken(FrameError),
}

impl Wire {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            framer: Framer::new(Limits::PRE_AUTH),
            out: BytesMut::new(),
            names: Names::Utf7,
            uid_only: false,
            pace: None,
        }
    }

    /// The next event.
    pub(crate) async fn next(&mut self, patience: Patience) -> Result<Incoming, Ending> {
        loop {
            match self.framer.next(self.connection.input()) {
                Ok(FrameEvent::NeedMore) => self.fill(patience).await?,
                Ok(FrameEvent::Literal(offer)) => return Ok(Incoming::Literal(offer)),
                Ok(FrameEvent::Chunk(chunk)) => return Ok(Incoming::Chunk(chunk)),
                Ok(FrameEvent::Command(raw)) => {
                    self.pace = None;
                    return Ok(Incoming::Command(raw));
                }
                Err(error) => return Ok(Incoming::Broken(error)),
            }
        }
    }

    /// The next line as it is, for the exchanges within AUTHENTICATE and IDLE.
    pub(crate) async fn line(&mut self, patience: Patience) -> Result<Bytes, Ending> {
        loop {
            if let Some(line) = self.buffered_line()? {
                self.pace = None;
                return Ok(line);
            }
            self.fill(patience).await?;
        }
    }

    /// The same, if it has come already.
    pub(crate) fn buffered_line(&mut self) -> Result<Option<Bytes>, Ending> {
        let line = self.framer.next_line(self.connection.input());
        line.map_err(|_| Ending::bye(None, "That is no answer"))
    }

    /// Sends what is there to send and waits for more input.
    pub(crate) async fn fill(&mut self, patience: Patience) -> Result<(), Ending> {
        self.flush().await?;
        let left = self.due(patience).remaining();
        if left.is_zero() {
            return Err(too_slow());
        }
        let shutdown = self.connection.shutdown().clone();
        let read = tokio::select! {
            biased;
            () = shutdown.cancelled() => {
                return Err(Ending::bye(Some(Code::Unavailable), "Shutting down, come again"));
            }
            read = self.connection.fill(left) => read,
        };
        match read {
            Ok(0) => Err(Ending::Broken),
            Ok(bytes) => {
                if let Some(pace) = &mut self.pace {
                    pace.took(bytes);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(too_slow()),
            Err(_) => Err(Ending::Broken),
        }
    }

    /// By when more must have come. Silence is counted from the last command; a command from its
    /// first byte, so that single bytes buy no time, not even where one is always waiting.
    fn due(&mut self, patience: Patience) -> Deadline {
        let has_begun = !self.framer.is_between_commands() || !self.connection.input().is_empty();
        if !has_begun {
            self.pace = None;
            return patience.silence.min(patience.end);
        }
        let begin = || Pace::new(patience.stall, COMMAND_BYTES_PER_S_MIN);
        let pace = self.pace.get_or_insert_with(begin);
        pace.deadline().within(patience.stall).min(patience.end)
    }

    /// Where responses are printed.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Prints an untagged response.
    pub(crate) fn put(&mut self, response: &Response<'_>) {
        response.encode_with(&mut self.out, self.names);
    }

    /// Begins the FETCH response for a row.
    pub(crate) fn begin_fetch(&mut self, view: &View, row: usize) -> FetchWriter {
        match view.uid(row) {
            Some(uid) if self.uid_only => FetchWriter::begin_uid(&mut self.out, uid.0),
            _ => FetchWriter::begin(&mut self.out, row as u32 + 1),
        }
    }

    /// Prints a condition.
    pub(crate) fn condition(&mut self, tag: Option<&Tag>, reply: &Reply) {
        reply.encode(&mut self.out, tag);
    }

    /// Asks the client to go on.
    pub(crate) fn invite(&mut self, text: &str) {
        put_continuation(&mut self.out, text);
    }

    /// Sends the output if there is much of it.
    pub(crate) async fn relieve(&mut self) -> Result<(), Ending> {
        if self.out.len() + self.connection.queued_bytes() >= OUTPUT_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Adds bytes of a message behind what was printed, without copying long ones.
    pub(crate) async fn payload(&mut self, bytes: Bytes) -> Result<(), Ending> {
        self.hand_over();
        self.connection.queue(bytes);
        self.relieve().await
    }

    /// Sends all output.
    pub(crate) async fn flush(&mut self) -> Result<(), Ending> {
        self.hand_over();
        self.connection.flush().await.map_err(|_| Ending::Broken)
    }

    /// Ends the connection in good order.
    pub(crate) async fn close(mut self) {
        self.hand_over();
        self.connection.close().await;
    }

    fn hand_over(&mut self) {
        if !self.out.is_empty() {
            self.connection.queue(std::mem::take(&mut self.out).freeze());
        }
    }
}

/// How long to wait for a client.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// By when the next command must have begun.
    pub(crate) silence: Deadline,
    /// How long a command may take, unless it keeps a pace, and how long it may stop.
    pub(crate) stall: Duration,
    /// By when all must be over.
    pub(crate) end: Deadline,
}

/// The end of a client that has used up somebody's patience.
pub(crate) fn too_slow() -> Ending {
    Ending::bye(None, "Autologout, there was nothing to do for too long")
}
