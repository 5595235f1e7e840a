//! TCP, and sockets of the machine.

use async_trait::async_trait;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection's two directions as one.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + 'static> Stream for T {}

/// TCP.
#[async_trait]
pub trait Network: Send + Sync + 'static {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// Of the operating system.
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>>;

    /// Connects.
    ///
    /// # Errors
    /// Of the operating system.
    async fn connect(&self, address: SocketAddr) -> io::Result<Box<dyn Stream>>;

    /// Connects to a socket of this machine, by its path.
    ///
    /// # Errors
    /// Of the operating system; [`io::ErrorKind::Unsupported`] where there are no such sockets.
    async fn connect_local(&self, _path: &Path) -> io::Result<Box<dyn Stream>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A listening socket.
#[async_trait]
pub trait Listener: Send + Sync + 'static {
    /// Waits for the next connection.
    ///
    /// # Errors
    /// Of the operating system; running out of descriptors is not final.
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, SocketAddr)>;

    /// Where it listens.
    fn local_address(&self) -> SocketAddr;
}
