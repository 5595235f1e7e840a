//! One client's byte stream, buffered both ways.
//!
//! Idle connections are what a mail server has most of, so nothing is kept for them: bytes are
//! read through the stack of whoever polls, the input buffer is made when bytes have come and
//! released when it is empty, and the output buffer lives from the first reply to the flush.

use crate::admission::{Admission, Refusal};
use crate::config::{HANDSHAKE_TIMEOUT_MS, ListenerConfig, WRITE_TIMEOUT_MS};
use crate::deflate::{Deflated, Quiet};
use crate::proxy::{self, Wrong};
use crate::tls::{self, TlsInfo, TlsSettings};
use base::Deadline;
use base::env::Stream;
use bytes::{Buf, Bytes, BytesMut};
use futures::FutureExt;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// The most bytes that one [`Connection::fill`] adds: the payload of one TLS record.
pub const READ_BYTES: usize = 16 * 1024;

/// Output pieces below this are copied together, so that a batch of replies is one write.
const COPY_BELOW_BYTES: usize = 4 * 1024;

/// How many bytes a client must take within the write timeout.
const WRITE_STEP_BYTES: usize = 64 * 1024;

/// After so long without a word from a client a compressed stream takes less memory. It costs a
/// client that is slower than this some of the compression.
const QUIET_AFTER: Duration = Duration::from_secs(2);

/// A client gets this long to take the last reply and close, so that the reply is not destroyed by
/// a reset for bytes that were still on their way.
const LINGER: Duration = Duration::from_secs(1);
/// And this much of what it still sends is looked past.
const LINGER_BYTES: usize = 256 * 1024;

/// One client's byte stream. Dropping it closes the socket at once; [`Connection::close`] does so
/// in good order.
pub struct Connection {
    /// `None` after a handshake that failed.
    stream: Option<Box<dyn Stream>>,
    peer: SocketAddr,
    input: BytesMut,
    output: VecDeque<Bytes>,
    /// Whether a flush has begun and not ended.
    unflushed: bool,
    /// Short pieces that were queued after the last of `output`.
    output_tail: BytesMut,
    tls: Option<Arc<TlsSettings>>,
    tls_info: Option<TlsInfo>,
    /// Under compression: tells the stream when nothing is said.
    deflate: Option<Quiet>,
    handshake_timeout: Duration,
    write_timeout: Duration,
    shutdown: CancellationToken,
    /// When its session is cut off, and what the client is told then.
    farewell: Option<(CancellationToken, Bytes)>,
    listener: Option<Place>,
}

/// Why a client behind a proxy is not served.
pub(crate) enum Unlearned {
    /// The proxy did not say who it is.
    Wrong(Wrong),
    /// It is known, and there is no room for it.
    Refused(Refusal),
}

/// The place of an accepted connection in its listener's counts.
struct Place {
    listener: Arc<str>,
    admission: Admission,
}

impl Connection {
    /// A connection over any stream, of no listener: for tests. Without TLS, never shut down.
    pub fn from_stream(stream: Box<dyn Stream>, peer: SocketAddr) -> Self {
        Self {
            stream: Some(stream),
            peer,
            input: BytesMut::new(),
            output: VecDeque::new(),
            unflushed: false,
            output_tail: BytesMut::new(),
            tls: None,
            tls_info: None,
            deflate: None,
            handshake_timeout: Duration::from_millis(HANDSHAKE_TIMEOUT_MS),
            write_timeout: Duration::from_millis(WRITE_TIMEOUT_MS),
            shutdown: CancellationToken::new(),
            farewell: None,
            listener: None,
        }
    }

    /// The same with TLS to be had.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<TlsSettings>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same, told to end by this token.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// The same; a session that is cut off says this, if it was not in the middle of something.
    pub(crate) fn with_farewell(mut self, cut: CancellationToken, words: Bytes) -> Self {
        self.farewell = Some((cut, words));
        self
    }

    pub(crate) fn accepted(
        stream: Box<dyn Stream>,
        peer: SocketAddr,
        config: &ListenerConfig,
        tls: Option<Arc<TlsSettings>>,
        shutdown: CancellationToken,
        (listener, admission): (Arc<str>, Admission),
    ) -> Self {
        metrics::gauge!("rialto_listener_connections", "listener" => listener.clone())
            .increment(1.0);
        let mut connection = Self::from_stream(stream, peer).with_shutdown(shutdown);
        connection.tls = tls;
        connection.handshake_timeout = config.handshake_timeout();
        connection.write_timeout = config.write_timeout();
        connection.listener = Some(Place { listener, admission });
        connection
    }

    /// The client's address; an IPv4 address is one, however it came.
    pub fn peer(&self) -> SocketAddr {
        SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port())
    }

    /// Takes a proxy's header off the stream; from then on the client it names is the peer, and
    /// counts as such. `taken` gets what was read, for the log.
    pub(crate) async fn learn_client(&mut self, taken: &mut Vec<u8>) -> Result<(), Unlearned> {
        let stream = self.stream.as_mut().ok_or(Unlearned::Wrong(Wrong::Nothing))?;
        let named = proxy::read_header(stream, taken).await.map_err(Unlearned::Wrong)?;
        let proxy = self.peer;
        self.peer = named.unwrap_or(proxy);
        match &mut self.listener {
            Some(place) => {
                place.admission.name(self.peer.ip(), proxy.ip()).map_err(Unlearned::Refused)
            }
            None => Ok(()),
        }
    }

    /// Whether the stream is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls_info.is_some()
    }

    /// What was agreed, if it is encrypted.
    pub fn tls_info(&self) -> Option<&TlsInfo> {
        self.tls_info.as_ref()
    }

    /// Whether [`Connection::start_tls`] can be offered.
    pub fn can_start_tls(&self) -> bool {
        self.tls.is_some() && self.tls_info.is_none()
    }

    /// Whether the stream is compressed.
    pub fn is_deflated(&self) -> bool {
        self.deflate.is_some()
    }

    /// Compresses the stream in both directions from here on (RFC 4978). Everything that was
    /// queued must have been sent, and nothing may have come that was not compressed.
    ///
    /// # Errors
    /// `InvalidData` for input or output that waits, and for a stream that is compressed already.
    pub fn start_deflate(&mut self) -> io::Result<()> {
        let idle = self.input.is_empty() && self.queued_bytes() == 0 && !self.unflushed;
        if !idle || self.deflate.is_some() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let stream = self.stream.take().ok_or(io::ErrorKind::NotConnected)?;
        let quiet = Quiet::default();
        self.stream = Some(Box::new(Deflated::new(stream, quiet.clone())));
        self.deflate = Some(quiet);
        Ok(())
    }

    /// Cancelled when the session should come to its end.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// The bytes that have come and were not taken yet. Whoever reads takes them off the front.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// Waits for more input, appends at most [`READ_BYTES`] of it, and gives its length; 0 is the
    /// end. The session bounds the buffer by taking from it before it asks for more. May be
    /// dropped at any time without losing bytes.
    ///
    /// # Errors
    /// `TimedOut`, or of the stream. A TLS peer that closes without saying so is at its end too:
    /// mail protocols mark the end of what matters themselves.
    pub async fn fill(&mut self, timeout: Duration) -> io::Result<usize> {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let input = &mut self.input;
        let mut read = std::pin::pin!(poll_fn(|cx| {
            let mut room = [MaybeUninit::uninit(); READ_BYTES];
            let mut buffer = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            input.extend_from_slice(buffer.filled());
            Poll::Ready(io::Result::Ok(buffer.filled().len()))
        }));
        let mut timeout = timeout;
        if let Some(quiet) = &self.deflate
            && timeout > QUIET_AFTER
        {
            match tokio::time::timeout(QUIET_AFTER, &mut read).await {
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Ok(result) => return result,
                Err(_) => quiet.begins(),
            }
            timeout -= QUIET_AFTER;
        }
        match tokio::time::timeout(timeout, read).await {
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Adds to the output; nothing is sent before [`Connection::flush`].
    pub fn queue(&mut self, bytes: Bytes) {
        if bytes.len() < COPY_BELOW_BYTES {
            self.output_tail.extend_from_slice(&bytes);
        } else {
            self.seal_tail();
            self.output.push_back(bytes);
        }
    }

    /// How many bytes wait for [`Connection::flush`]. A session that makes much output flushes
    /// when this grows.
    pub fn queued_bytes(&self) -> usize {
        self.output.iter().map(Bytes::len).sum::<usize>() + self.output_tail.len()
    }

    /// Sends what was queued: what is short in one write. May be dropped; a later call goes on
    /// where this one stopped.
    ///
    /// # Errors
    /// `TimedOut` for a client that does not read, or of the stream.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.seal_tail();
        if self.output.is_empty() && !self.unflushed {
            return Ok(());
        }
        // A flush that is dropped after its last write leaves bytes in the TLS layer: the next one
        // must go on from there, even with nothing new to write.
        self.unflushed = true;
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut deadline = Deadline::after(self.write_timeout);
        let mut step_bytes = 0;
        while let Some(front) = self.output.front_mut() {
            let written = in_time(deadline, stream.write(front)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            front.advance(written);
            if front.is_empty() {
                self.output.pop_front();
            }
            step_bytes += written;
            if step_bytes >= WRITE_STEP_BYTES {
                deadline = Deadline::after(self.write_timeout);
                step_bytes = 0;
            }
        }
        self.output = VecDeque::new();
        in_time(deadline, stream.flush()).await?;
        self.unflushed = false;
        Ok(())
    }

    /// Encrypts the stream. Input that came in clear is never taken for input that came
    /// encrypted: with such input waiting this refuses (attack 3), and what the client sends in
    /// clear from here on fails the handshake.
    ///
    /// # Errors
    /// `InvalidData` for clear input that waits, `TimedOut`, `Unsupported` without TLS, or of the
    /// handshake. After a handshake that failed the connection is closed.
    pub async fn start_tls(&mut self) -> io::Result<()> {
        let outcome = self.handshake().await;
        if let (Err(_), Some(place)) = (&outcome, &self.listener) {
            metrics::counter!("rialto_listener_tls_failures_total",
                "listener" => place.listener.clone())
            .increment(1);
        }
        outcome
    }

    async fn handshake(&mut self) -> io::Result<()> {
        if !self.can_start_tls() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if !self.input.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.flush().await?;
        let (Some(settings), Some(stream)) = (&self.tls, self.stream.take()) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let acceptor = TlsAcceptor::from(settings.server_config());
        let deadline = Deadline::after(self.handshake_timeout);
        let stream = in_time(deadline, Box::pin(acceptor.accept(stream))).await?;
        self.tls_info = Some(tls::info(stream.get_ref().1));
        self.stream = Some(Box::new(stream));
        Ok(())
    }

    /// Sends what was queued, says goodbye, and closes when the client has done so too, or after
    /// a moment.
    pub async fn close(mut self) {
        if self.flush().await.is_err() {
            return;
        }
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        let goodbye = async {
            stream.shutdown().await?;
            let mut passed = 0;
            let mut room = vec![0; 4096];
            while passed < LINGER_BYTES {
                match stream.read(&mut room).await? {
                    0 => break,
                    read => passed += read,
                }
            }
            io::Result::Ok(())
        };
        let _nobody_minds = in_time(Deadline::after(LINGER), goodbye).await;
    }

    /// Tells a client that its session has been cut off, if the socket takes it at once, and not
    /// into the middle of a reply that was never sent to its end.
    fn say_farewell(&mut self) {
        let Some((cut, words)) = &self.farewell else {
            return;
        };
        let whole = self.output.is_empty() && self.output_tail.is_empty() && !self.unflushed;
        if !cut.is_cancelled() || !whole {
            return;
        }
        let words = words.clone();
        self.say(&words);
    }

    /// A last word, if the socket takes it at once; nobody waits for it.
    pub(crate) fn say(&mut self, words: &[u8]) {
        if let Some(stream) = &mut self.stream
            && !words.is_empty()
        {
            let saying = async {
                stream.write_all(words).await?;
                stream.flush().await?;
                stream.shutdown().await
            };
            let _best_effort = saying.now_or_never();
        }
    }

    fn seal_tail(&mut self) {
        if !self.output_tail.is_empty() {
            self.output.push_back(std::mem::take(&mut self.output_tail).freeze());
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.say_farewell();
        if let Some(place) = &self.listener {
            metrics::gauge!("rialto_listener_connections", "listener" => place.listener.clone())
                .decrement(1.0);
        }
    }
}

async fn in_time<T>(
    deadline: Deadline,
    future: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match tokio::time::timeout_at(deadline.instant(), future).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
