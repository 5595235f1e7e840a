//! The byte stream to one host: commands and blocks out, replies in, each within its time.
//!
//! While something is being sent, what comes is taken in, so neither side ever waits for the other
//! to read. What was taken in is only looked at when a reply is due. A command is refused while
//! anything is left over ([`Trouble::OutOfStep`]): an answer without a question is a host gone wrong
//! or somebody who speaks in its name, before STARTTLS above all (RFC 3207 §6).

use crate::limits::{HANDSHAKE_TIME, INPUT_BYTES_MAX};
use crate::told::fault_of;
use base::env::Stream;
use base::logs::Conversation;
use base::telemetry::PrintableBytes;
use bytes::{Buf, Bytes, BytesMut};
use codec_smtp::{Command, Reply, ReplyError, ReplyReader};
use contract_transport::reports::tls::TlsFault;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, OtherError};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How much is read at once.
const READ_BYTES: usize = 4 * 1024;

/// How many pieces go into one system call.
const PIECES_MAX: usize = 16;

/// The stream and what came from it.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    reader: ReplyReader,
    ended: bool,
    host: String,
    /// Of TLS, where there is any.
    tls: Option<&'static str>,
    /// What is said, if that is logged.
    log: Option<Box<Conversation>>,
}

/// Why a stream is of no more use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Trouble {
    /// The host closed it.
    Ended,
    /// It broke.
    Broken(io::ErrorKind),
    /// Nothing, or not enough, came in time.
    TimedOut,
    /// What came is no reply.
    Garbled(ReplyError),
    /// The host said something unasked.
    OutOfStep,
    /// A reply that makes no sense where it came.
    Unexpected(u16),
    /// The host ends the session (421).
    Closing(Reply),
    /// The TLS handshake failed.
    Handshake {
        /// In words.
        why: String,
        /// As it is reported.
        fault: TlsFault,
        /// Whether the host's certificate is what is wrong.
        is_verdict: bool,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("the host closed the connection"),
            Self::Broken(kind) => write!(f, "the connection broke ({kind})"),
            Self::TimedOut => f.write_str("the host did not answer in time"),
            Self::Garbled(error) => write!(f, "the host does not speak SMTP: {error}"),
            Self::OutOfStep => f.write_str("the host said more than it was asked"),
            Self::Unexpected(code) => write!(f, "the host gave an unexpected answer ({code})"),
            Self::Closing(reply) => write!(f, "{reply}"),
            Self::Handshake { why, .. } => write!(f, "no encryption could be agreed on: {why}"),
        }
    }
}

impl Trouble {
    /// The enhanced status code (RFC 3463 §3.5, §3.6, §3.8).
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Ended | Self::Broken(_) | Self::Closing(_) => "4.4.2",
            Self::TimedOut => "4.4.1",
            Self::Garbled(_) | Self::OutOfStep | Self::Unexpected(_) => "4.5.0",
            Self::Handshake { .. } => "4.7.5",
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => Self::Ended,
            kind => Self::Broken(kind),
        }
    }
}

impl Wire {
    /// A stream on which nothing was said yet. `host` is for logs.
    pub(crate) fn new(stream: Box<dyn Stream>, host: &str) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            reader: ReplyReader::new(),
            ended: false,
            host: host.to_owned(),
            tls: None,
            log: None,
        }
    }

    /// The same; what is said is logged.
    pub(crate) fn with_log(self, log: Option<Box<Conversation>>) -> Self {
        Self { log, ..self }
    }

    /// The version of TLS, where there is any.
    pub(crate) fn tls(&self) -> Option<&'static str> {
        self.tls
    }

    /// Something that belongs into the log, and is no command.
    pub(crate) fn note(&mut self, what: &str, context: &str) {
        if let Some(log) = &mut self.log {
            log.note(what, context);
        }
    }

    /// Something is sent that is never logged.
    pub(crate) fn sent_hidden(&mut self, what: &str) {
        if let Some(log) = &mut self.log {
            log.sent_hidden(what);
        }
    }

    /// With whom.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Sends one command and waits for its reply.
    pub(crate) async fn command(
        &mut self,
        command: &Command,
        time: Duration,
    ) -> Result<Reply, Trouble> {
        self.send_commands(std::slice::from_ref(command), time).await?;
        self.reply(time).await
    }

    /// Sends commands in one write.
    pub(crate) async fn send_commands<'a>(
        &mut self,
        commands: impl IntoIterator<Item = &'a Command>,
        time: Duration,
    ) -> Result<(), Trouble> {
        let mut out = BytesMut::new();
        for command in commands {
            let begin = out.len();
            command.encode(&mut out);
            let line = out[begin..].trim_ascii_end();
            match command {
                Command::Auth { mechanism, .. } => {
                    tracing::debug!(target: "protocol", host = self.host, "> AUTH {mechanism} …");
                    self.sent_hidden(&format!("AUTH {mechanism}"));
                }
                _ => {
                    if let Some(log) = &mut self.log {
                        log.sent(line);
                    }
                    let line = PrintableBytes(line);
                    tracing::debug!(target: "protocol", host = self.host, "> {line}");
                }
            }
        }
        if !self.is_quiet() {
            return Err(Trouble::OutOfStep);
        }
        self.send(vec![out.freeze()], time).await
    }

    /// Waits for one reply.
    pub(crate) async fn reply(&mut self, time: Duration) -> Result<Reply, Trouble> {
        tokio::time::timeout(time, self.read_reply()).await.unwrap_or(Err(Trouble::TimedOut))
    }

    async fn read_reply(&mut self) -> Result<Reply, Trouble> {
        loop {
            if let Some(reply) = self.received_reply()? {
                return Ok(reply);
            }
            if self.ended {
                return Err(Trouble::Ended);
            }
            self.input.reserve(READ_BYTES);
            self.ended = self.stream.read_buf(&mut self.input).await? == 0;
        }
    }

    /// A reply that has come already.
    pub(crate) fn received_reply(&mut self) -> Result<Option<Reply>, Trouble> {
        let reply = self.reader.next_reply(&mut self.input).map_err(Trouble::Garbled)?;
        if let Some(reply) = &reply {
            tracing::debug!(target: "protocol", host = self.host, "< {reply}");
            if let Some(log) = &mut self.log {
                let bytes = reply.to_bytes();
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
                lines.for_each(|line| log.received(line.trim_ascii_end()));
            }
        }
        Ok(reply)
    }

    /// Whether nothing has come that nobody looked at.
    pub(crate) fn is_quiet(&self) -> bool {
        self.input.is_empty()
    }

    /// Whether the host has closed its side, or has said that it does (421).
    pub(crate) fn has_ended(&self) -> bool {
        self.ended || self.input.starts_with(b"421")
    }

    /// Takes in what has come, without waiting.
    pub(crate) async fn listen(&mut self) {
        poll_fn(|cx| {
            self.poll_listen(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// Sends pieces, in few system calls.
    pub(crate) async fn send(&mut self, pieces: Vec<Bytes>, time: Duration) -> Result<(), Trouble> {
        let mut rest = VecDeque::from(pieces);
        let sending = poll_fn(|cx| self.poll_send(cx, &mut rest));
        tokio::time::timeout(time, sending).await.unwrap_or(Err(Trouble::TimedOut))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        rest: &mut VecDeque<Bytes>,
    ) -> Poll<Result<(), Trouble>> {
        self.poll_listen(cx);
        loop {
            while rest.front().is_some_and(Bytes::is_empty) {
                rest.pop_front();
            }
            if rest.is_empty() {
                return Pin::new(&mut self.stream).poll_flush(cx).map_err(Trouble::from);
            }
            let mut slices = [IoSlice::new(&[]); PIECES_MAX];
            let count = rest.len().min(PIECES_MAX);
            for (slice, piece) in slices.iter_mut().zip(rest.iter()) {
                *slice = IoSlice::new(piece);
            }
            let stream = Pin::new(&mut self.stream);
            let mut written = ready!(stream.poll_write_vectored(cx, &slices[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(Trouble::Ended));
            }
            while let Some(first) = rest.front_mut() {
                let taken = written.min(first.len());
                first.advance(taken);
                written -= taken;
                if !first.is_empty() {
                    break;
                }
                rest.pop_front();
            }
        }
    }

    fn poll_listen(&mut self, cx: &mut Context<'_>) {
        let mut room = [0; READ_BYTES];
        while !self.ended && self.input.len() < INPUT_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.input.extend_from_slice(buffer.filled());
                }
                // A connection that is reset says so again to whoever writes or waits.
                Poll::Ready(Ok(()) | Err(_)) => self.ended = true,
            }
        }
    }

    /// Closes our side, so that the host need not wait to find out.
    pub(crate) async fn close(mut self, time: Duration) {
        let _unimportant = tokio::time::timeout(time, self.stream.shutdown()).await;
    }

    /// Goes on under TLS.
    pub(crate) async fn encrypted(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, Trouble> {
        if !self.is_quiet() {
            return Err(Trouble::OutOfStep);
        }
        let Self { stream, host, mut log, .. } = self;
        let handshake = TlsConnector::from(config).connect(name, stream);
        let shaken = tokio::time::timeout(HANDSHAKE_TIME, Box::pin(handshake)).await;
        let (why, fault, is_verdict) = match shaken {
            Ok(Ok(stream)) => return Ok(Self::begun(stream, &host, log)),
            Ok(Err(error)) => reason(&error),
            Err(_) => ("it took too long".to_owned(), TlsFault::ValidationFailure, false),
        };
        if let Some(log) = &mut log {
            log.note("the TLS handshake failed", &why);
        }
        Err(Trouble::Handshake { why, fault, is_verdict })
    }

    /// What goes on under TLS.
    fn begun(
        stream: TlsStream<Box<dyn Stream>>,
        host: &str,
        mut log: Option<Box<Conversation>>,
    ) -> Self {
        let version = stream.get_ref().1.protocol_version();
        tracing::debug!(target: "protocol", host, ?version, "encrypted");
        let tls = version.and_then(|version| version.as_str()).unwrap_or("TLS");
        if let Some(log) = &mut log {
            log.note("TLS", tls);
        }
        Self { tls: Some(tls), ..Self::new(Box::new(stream), host).with_log(log) }
    }
}

/// Why a handshake failed, and whether that is our verdict on a certificate; one of our own making
/// stands alone.
fn reason(error: &io::Error) -> (String, TlsFault, bool) {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let why = match inner {
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(why)))) => {
            why.to_string()
        }
        _ => error.to_string(),
    };
    let is_verdict = matches!(
        inner,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    );
    (why, inner.map_or(TlsFault::ValidationFailure, fault_of), is_verdict)
}
