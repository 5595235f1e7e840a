//! The session's end of its connection: commands in, one buffer of responses out.
//!
//! Responses are printed into one buffer that is sent when it is large or before the session waits
//! for input, so a batch of pipelined commands is answered in one write. Neither buffer is kept
//! while the client is silent.

use crate::config::OUTPUT_BYTES;
use crate::reply::{Ending, Reply};
use access_listener::Connection;
use bytes::{Bytes, BytesMut};
use codec_imap::framer::LiteralOffer;
use codec_imap::response::{Response, put_continuation};
use codec_imap::{Code, FrameError, FrameEvent, Framer, Limits, RawCommand, Tag};
use std::io;
use std::time::Duration;

/// The session's end of its connection.
pub(crate) struct Wire {
    pub(crate) connection: Connection,
    pub(crate) framer: Framer,
    out: BytesMut,
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
        Self { connection, framer: Framer::new(Limits::PRE_AUTH), out: BytesMut::new() }
    }

    /// The next event, waiting at most `patience` between two pieces of input.
    pub(crate) async fn next(&mut self, patience: Patience) -> Result<Incoming, Ending> {
        loop {
            match self.framer.next(self.connection.input()) {
                Ok(FrameEvent::NeedMore) => self.fill(patience).await?,
                Ok(FrameEvent::Literal(offer)) => return Ok(Incoming::Literal(offer)),
                Ok(FrameEvent::Chunk(chunk)) => return Ok(Incoming::Chunk(chunk)),
                Ok(FrameEvent::Command(raw)) => return Ok(Incoming::Command(raw)),
                Err(error) => return Ok(Incoming::Broken(error)),
            }
        }
    }

    /// The next line as it is, for the exchanges within AUTHENTICATE and IDLE.
    pub(crate) async fn line(&mut self, patience: Patience) -> Result<Bytes, Ending> {
        loop {
            if let Some(line) = self.buffered_line()? {
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
        let between = self.framer.is_between_commands();
        let timeout = if between { patience.silence } else { patience.stall };
        let shutdown = self.connection.shutdown().clone();
        let read = tokio::select! {
            biased;
            read = self.connection.fill(timeout) => read,
            () = shutdown.cancelled() => {
                return Err(Ending::bye(Some(Code::Unavailable), "Shutting down, come again"));
            }
        };
        match read {
            Ok(0) => Err(Ending::Broken),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(Ending::bye(None, "Autologout, there was nothing to do for too long"))
            }
            Err(_) => Err(Ending::Broken),
        }
    }

    /// Where responses are printed.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Prints an untagged response.
    pub(crate) fn put(&mut self, response: &Response<'_>) {
        response.encode(&mut self.out);
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
    /// Between commands.
    pub(crate) silence: Duration,
    /// Within a command.
    pub(crate) stall: Duration,
}
