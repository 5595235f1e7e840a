//! One side of a simulated connection: a pipe in memory that can stall or be reset.

use parking_lot::Mutex;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// What the network does to one side of a connection.
#[derive(Default)]
pub(super) struct Condition {
    stalled: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Condition {
    pub(super) fn set_stalled(&mut self, stalled: bool) {
        self.stalled = stalled;
        self.wake();
    }

    pub(super) fn reset(&mut self) {
        self.reset = true;
        self.wake();
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

pub(super) struct SimStream {
    pipe: DuplexStream,
    condition: Arc<Mutex<Condition>>,
}

impl SimStream {
    pub(super) fn new(pipe: DuplexStream, condition: Arc<Mutex<Condition>>) -> Self {
        Self { pipe, condition }
    }

    /// Whether bytes may pass now. Leaves the waker in any case: the pipe itself does not know of
    /// a reset.
    fn passable(
        &self,
        waiting: impl Fn(&mut Condition) -> &mut Option<Waker>,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut condition = self.condition.lock();
        *waiting(&mut condition) = Some(cx.waker().clone());
        if condition.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if condition.stalled { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.passable(|c| &mut c.reader, cx))?;
        Pin::new(&mut self.pipe).poll_read(cx, buffer)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.passable(|c| &mut c.writer, cx))?;
        Pin::new(&mut self.pipe).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.passable(|c| &mut c.writer, cx))?;
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}
