//! A stream under raw DEFLATE in both directions (RFC 1951), for IMAP's COMPRESS (RFC 4978).
//!
//! What is written stands in the compressor until the flush, which ends on a byte (a sync flush), so
//! that the peer can read all of it. Inflated is only as much as there is room for: a small input
//! that would become large stays small until somebody asks for it.
//!
//! Memory: the compressor has a window of 8 KiB and takes some 160 KiB; it is given up while nothing
//! is said, and a new one goes on behind the flush of the old, which every inflater can read. The
//! inflater must keep the 32 KiB that the peer may refer to, as long as the session.

use base::env::Stream;
use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bits of the compressor's window: 8 KiB find what repeats in responses.
const WINDOW_BITS: u8 = 13;

/// How much is compressed or read at once.
const STEP_BYTES: usize = 8 * 1024;

/// Compressed bytes that may wait for the socket before no more is taken.
const WAITING_BYTES: usize = 32 * 1024;

/// Tells a [`Deflated`] stream that nothing has been said for a while.
#[derive(Clone, Default)]
pub(crate) struct Quiet(Arc<AtomicBool>);

impl Quiet {
    /// The compressor may be given up when the stream is looked at next.
    pub(crate) fn begins(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// See the module's words.
pub(crate) struct Deflated {
    inner: Box<dyn Stream>,
    inflater: Decompress,
    /// Compressed bytes that have come.
    input: BytesMut,
    /// Whether the inflater may hold output for which there was no room.
    holds_output: bool,
    compressor: Option<Compress>,
    /// Compressed bytes on their way out.
    output: BytesMut,
    /// Whether the compressor holds bytes since the last flush.
    unflushed: bool,
    quiet: Quiet,
}

impl Deflated {
    /// Both directions are compressed from here on.
    pub(crate) fn new(inner: Box<dyn Stream>, quiet: Quiet) -> Self {
        Self {
            inner,
            inflater: Decompress::new(false),
            input: BytesMut::new(),
            holds_output: false,
            compressor: None,
            output: BytesMut::new(),
            unflushed: false,
            quiet,
        }
    }

    /// Inflates what has come into the buffer; says whether the peer has ended its stream.
    fn inflate(&mut self, buffer: &mut ReadBuf<'_>) -> io::Result<bool> {
        let room = buffer.initialize_unfilled();
        let (room_bytes, before) =
            (room.len(), (self.inflater.total_in(), self.inflater.total_out()));
        let status = self.inflater.decompress(&self.input, room, FlushDecompress::None);
        let status = status.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        let taken = (self.inflater.total_in() - before.0) as usize;
        let made = (self.inflater.total_out() - before.1) as usize;
        self.input.advance(taken);
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
        buffer.advance(made);
        self.holds_output = made == room_bytes;
        Ok(status == Status::StreamEnd)
    }

    /// Compresses; with a flush until nothing is held back.
    fn deflate(&mut self, mut bytes: &[u8], flush: FlushCompress) -> io::Result<()> {
        let make = || Compress::new_with_window_bits(Compression::fast(), false, WINDOW_BITS);
        let compressor = self.compressor.get_or_insert_with(make);
        let mut room = [0; STEP_BYTES];
        loop {
            let before = (compressor.total_in(), compressor.total_out());
            compressor.compress(bytes, &mut room, flush).map_err(io::Error::other)?;
            let made = (compressor.total_out() - before.1) as usize;
            bytes = &bytes[(compressor.total_in() - before.0) as usize..];
            self.output.extend_from_slice(&room[..made]);
            if bytes.is_empty() && made < STEP_BYTES {
                return Ok(());
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.output))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(sent);
        }
        self.output = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// Gives up the compressor, if it is time to and it holds nothing.
    fn rest(&mut self) {
        if self.quiet.0.swap(false, Ordering::Relaxed) && !self.unflushed {
            self.compressor = None;
        }
    }
}

impl AsyncRead for Deflated {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.rest();
        loop {
            if !this.input.is_empty() || this.holds_output {
                let before = buffer.filled().len();
                let ended = this.inflate(buffer)?;
                if ended || buffer.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
            }
            let mut room = [0; STEP_BYTES];
            let mut read = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.input.extend_from_slice(read.filled());
        }
    }
}

impl AsyncWrite for Deflated {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.output.len() >= WAITING_BYTES {
            ready!(this.poll_send(cx))?;
        }
        let step = &bytes[..bytes.len().min(STEP_BYTES)];
        this.deflate(step, FlushCompress::None)?;
        this.unflushed = true;
        Poll::Ready(Ok(step.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unflushed {
            this.deflate(&[], FlushCompress::Sync)?;
            this.unflushed = false;
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::universe::Universe;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Text that repeats, and bytes that do not.
    fn payload(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        let text = b"* 12 FETCH (FLAGS (\\Seen))\r\n".iter().copied().cycle();
        text.zip(noise)
            .enumerate()
            .map(|(at, (a, b))| if at / 4096 % 2 == 0 { a } else { b })
            .take(len)
            .collect()
    }

    #[test]
    fn both_directions_say_what_was_said() {
        Universe::run(1, async |_| {
            let (near, far) = tokio::io::duplex(512);
            let (quiet, other) = (Quiet::default(), Quiet::default());
            let mut near = Deflated::new(Box::new(near), quiet.clone());
            let mut far = Deflated::new(Box::new(far), other);
            for (round, len) in [1, 100, 8192, 8193, 300_000, 5].into_iter().enumerate() {
                let sent = payload(len);
                let mut got = vec![0; len];
                let (a, b) = tokio::join!(
                    async {
                        near.write_all(&sent).await?;
                        near.flush().await
                    },
                    far.read_exact(&mut got),
                );
                a.unwrap();
                b.unwrap();
                assert_eq!(got, sent, "{len}");
                far.write_all(b"OK").await.unwrap();
                far.flush().await.unwrap();
                let mut reply = [0; 2];
                near.read_exact(&mut reply).await.unwrap();
                // A compressor that was given up is followed by a new one.
                assert!(near.compressor.is_some());
                if round % 2 == 0 {
                    quiet.begins();
                    near.rest();
                    assert!(near.compressor.is_none());
                }
            }
            near.shutdown().await.unwrap();
            assert_eq!(far.read(&mut [0; 9]).await.unwrap(), 0);
        });
    }

    #[test]
    fn a_small_input_does_not_become_large_in_memory() {
        Universe::run(1, async |_| {
            let (mut raw, far) = tokio::io::duplex(64 * 1024);
            let mut far = Deflated::new(Box::new(far), Quiet::default());
            let mut bomb = Vec::new();
            let mut compressor = Compress::new(Compression::best(), false);
            let zeros = vec![0; 10 << 20];
            bomb.reserve(1 << 20);
            compressor.compress_vec(&zeros, &mut bomb, FlushCompress::Sync).unwrap();
            assert!(bomb.len() < 20_000);
            raw.write_all(&bomb).await.unwrap();
            let mut room = [1; 1000];
            for _ in 0..3 {
                assert_eq!(far.read(&mut room).await.unwrap(), 1000);
                assert!(far.input.len() <= STEP_BYTES);
            }
        });
    }

    #[test]
    fn what_is_no_deflate_ends_the_stream() {
        Universe::run(1, async |_| {
            let (mut raw, far) = tokio::io::duplex(1024);
            let mut far = Deflated::new(Box::new(far), Quiet::default());
            raw.write_all(&[0xff; 100]).await.unwrap();
            let error = far.read(&mut [0; 9]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        });
    }
}
