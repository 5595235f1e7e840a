//! TCP through tokio.

use crate::env::{Listener, Network, Stream};
use async_trait::async_trait;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};

/// How many connections may wait to be accepted; the kernel caps it at its own `somaxconn`.
const BACKLOG: u32 = 1024;

/// The system's TCP.
pub struct RealNetwork;

#[async_trait]
impl Network for RealNetwork {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // A restart must not wait for the old connections to time out.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Box::new(RealListener { listener, address }))
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(prompt(TcpStream::connect(address).await?)?))
    }

    async fn connect_local(&self, path: &Path) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(UnixStream::connect(path).await?))
    }
}

struct RealListener {
    listener: TcpListener,
    address: SocketAddr,
}

#[async_trait]
impl Listener for RealListener {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)> {
        let (stream, peer) = self.listener.accept().await?;
        Ok((Box::new(prompt(stream)?), peer))
    }

    fn local_address(&self) -> SocketAddr {
        self.address
    }
}

/// Mail protocols write whole replies; waiting for more to send (Nagle) only delays them.
fn prompt(stream: TcpStream) -> io::Result<Prompt> {
    stream.set_nodelay(true)?;
    Ok(Prompt { stream, unanswered: false })
}

/// A TCP stream that acknowledges at once what nobody will answer yet.
///
/// A peer with Nagle's algorithm that sends a message in two writes keeps the second back until the
/// first is acknowledged. The kernel delays an acknowledgement for about 40 ms in the hope of an
/// answer to carry it. When more is read before anything was written there is no such answer, so
/// the acknowledgement goes out by itself. Where an answer is written nothing is done.
struct Prompt {
    stream: TcpStream,
    /// Bytes came since the last write.
    unanswered: bool,
}

impl Prompt {
    fn acknowledge(&mut self) {
        if std::mem::take(&mut self.unanswered) {
            // Without it the peer waits a little; a socket that is gone says so when it is read.
            #[cfg(target_os = "linux")]
            let _unimportant = self.stream.set_quickack(true);
        }
    }
}

impl AsyncRead for Prompt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_read(cx, buffer);
        match &poll {
            Poll::Ready(_) => self.unanswered = true,
            Poll::Pending => self.acknowledge(),
        }
        poll
    }
}

impl AsyncWrite for Prompt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unanswered = false;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.unanswered = false;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_socket_of_the_machine_is_reached_by_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let missing = RealNetwork.connect_local(&path).await.err().unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"hello").await.unwrap();
        };
        let asked = async {
            let mut stream = RealNetwork.connect_local(&path).await.unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.unwrap();
            reply
        };
        assert_eq!(futures::join!(served, asked).1, "hello");
    }

    #[tokio::test]
    async fn bytes_go_both_ways_over_loopback() {
        let listener = RealNetwork.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_address();
        assert_ne!(address.port(), 0);
        let served = async {
            let (mut stream, peer) = listener.accept().await.unwrap();
            assert!(peer.ip().is_loopback());
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            stream.write_all(&request.map(|b| b + 1)).await.unwrap();
        };
        let asked = async {
            let mut stream = RealNetwork.connect(address).await.unwrap();
            stream.write_all(b"abcd").await.unwrap();
            let mut reply = String::new();
            stream.read_to_string(&mut reply).await.unwrap();
            reply
        };
        assert_eq!(futures::join!(served, asked).1, "bcde");
        // The same port can be taken again at once.
        drop(listener);
        RealNetwork.listen(address).await.unwrap();
    }
}
