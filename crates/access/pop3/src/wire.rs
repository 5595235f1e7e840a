//! The session's line: lines cut out of the connection's input, answers gathered for its output.
//!
//! Output is gathered in one buffer that is sent when it is large or before the session waits for
//! input, so a batch of pipelined commands is answered in one write (RFC 2449 §6.6). Neither buffer
//! is kept while the client is silent.

use crate::config::OUTPUT_BYTES;
use crate::phrase::{Language, Phrase};
use crate::reply::{Ending, Reply};
use access_listener::Connection;
use base::Deadline;
use bytes::{Bytes, BytesMut};
use codec_pop3::{Code, put_challenge};
use codec_smtp::LineFramer;
use codec_smtp::framer::{LINE_BYTES_MAX, LineError};
use std::io;
use std::time::Duration;

/// The session's end of its connection.
pub(crate) struct Wire {
    pub(crate) connection: Connection,
    pub(crate) language: Language,
    framer: LineFramer,
    out: BytesMut,
    /// By when the line that has begun to come must have ended.
    line_due: Option<Deadline>,
}

/// How long to wait for a client.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// By when the next line must have begun.
    pub(crate) silence: Deadline,
    /// How long a line may take.
    pub(crate) stall: Duration,
}

impl Wire {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            language: Language::default(),
            framer: LineFramer::new(LINE_BYTES_MAX),
            out: BytesMut::new(),
            line_due: None,
        }
    }

    /// The next line, without its CRLF, or why it is none.
    pub(crate) async fn line(
        &mut self,
        patience: Patience,
    ) -> Result<Result<Bytes, LineError>, Ending> {
        loop {
            match self.framer.next_line(self.connection.input()) {
                Ok(None) => self.fill(patience).await?,
                Ok(Some(line)) => {
                    self.line_due = None;
                    return Ok(Ok(line));
                }
                Err(error) => {
                    self.line_due = None;
                    return Ok(Err(error));
                }
            }
        }
    }

    /// Sends what is there to send and waits for more input.
    async fn fill(&mut self, patience: Patience) -> Result<(), Ending> {
        self.flush().await?;
        let due = if self.connection.input().is_empty() {
            self.line_due = None;
            patience.silence
        } else {
            // From its first byte on, so that single bytes buy no time.
            let due = self.line_due.get_or_insert_with(|| Deadline::after(patience.stall));
            patience.silence.min(*due)
        };
        let left = due.remaining();
        if left.is_zero() {
            return Err(Ending::Quiet);
        }
        let shutdown = self.connection.shutdown().clone();
        let read = tokio::select! {
            biased;
            () = shutdown.cancelled() => {
                let reply = Reply::because(Code::SysTemp, Phrase::ShuttingDown);
                return Err(Ending::Words(reply));
            }
            read = self.connection.fill(left) => read,
        };
        match read {
            Ok(0) => Err(Ending::Broken),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Ending::Quiet),
            Err(_) => Err(Ending::Broken),
        }
    }

    /// Prints a line of an answer.
    pub(crate) fn put(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// Where lines are printed.
    pub(crate) fn out(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Prints a status line.
    pub(crate) fn say(&mut self, reply: &Reply) {
        reply.encode(&mut self.out, self.language);
    }

    /// Asks for a SASL response.
    pub(crate) fn challenge(&mut self, base64: &str) {
        put_challenge(&mut self.out, base64);
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

    /// Forgets what was read: TLS starts.
    pub(crate) fn reset(&mut self) {
        self.framer.reset();
        self.line_due = None;
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
