//! A line-based conversation over TLS, in which every step has a deadline.

use super::places::{Places, host};
use base::{Error, Kind, Result};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// How long an answer may take: longer than the ten seconds after which a server that cannot serve
/// must have said so.
const ANSWER_TIME: Duration = Duration::from_secs(15);

/// The longest line of an answer, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// A conversation.
pub(super) struct Talk(BufReader<TlsStream<TcpStream>>);

impl Talk {
    /// Connects to `host:port`.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if nobody is there, [`Kind::Denied`] for a wrong certificate.
    pub(super) async fn connect(places: &Places, place: &str) -> Result<Self> {
        let name = host(place)?;
        let connecting = async {
            let stream = TcpStream::connect(place).await.map_err(|error| gone(&error))?;
            stream.set_nodelay(true).map_err(|error| gone(&error))?;
            places.tls.connect(name, stream).await.map_err(|error| gone(&error))
        };
        let late = |_| gone(&format!("{place} does not accept in time"));
        let stream = timeout(CONNECT_TIME, connecting).await.map_err(late)??;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if the connection is gone, [`Kind::Timeout`].
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let sending = async {
            self.0.get_mut().write_all(bytes).await?;
            self.0.get_mut().flush().await
        };
        timeout(ANSWER_TIME, sending).await.map_err(late)?.map_err(|error| gone(&error))
    }

    /// Reads a line, without its end.
    ///
    /// # Errors
    /// As [`Talk::send`].
    pub(super) async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.0).take(LINE_BYTES_MAX);
        let reading = limited.read_until(b'\n', &mut line);
        let count = timeout(ANSWER_TIME, reading).await.map_err(late)?;
        if count.map_err(|error| gone(&error))? == 0 {
            return Err(gone(&"the server has closed the connection"));
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn gone(error: &dyn std::fmt::Display) -> Error {
    Error::new(Kind::Unavailable, format!("connection: {error}"))
}

fn late(_: tokio::time::error::Elapsed) -> Error {
    Error::new(Kind::Timeout, format!("no answer within {} s", ANSWER_TIME.as_secs()))
}
