//! Talking to a running node over its local socket. In the data directory of `rialto dev --nodes`
//! any of its nodes will do: the first that answers is asked.

use base::{Error, Kind, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// How many nodes `rialto dev` can have.
const DEV_NODES_MAX: u16 = 8;

/// A node's socket, or those of all nodes of `rialto dev`.
pub(crate) struct Client {
    sockets: Vec<PathBuf>,
}

impl Client {
    /// The socket in a node's data directory.
    pub(crate) fn new(data: &Path) -> Self {
        let nodes = (0..DEV_NODES_MAX).map(|number| data.join(format!("node-{number}")));
        let nodes = nodes.map(|dir| dir.join(crate::node::SOCKET)).filter(|path| path.exists());
        let sockets = std::iter::once(data.join(crate::node::SOCKET)).chain(nodes).collect();
        Self { sockets }
    }

    /// Connects to the first socket where somebody listens; the error is of the first one.
    async fn connect(&self) -> std::io::Result<UnixStream> {
        let mut first = None;
        for socket in &self.sockets {
            match UnixStream::connect(socket).await {
                Ok(stream) => return Ok(stream),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()))
    }

    /// Asks the API and gives its answer.
    ///
    /// # Errors
    /// What the node refused with: [`Kind::Overloaded`] if it could not do it now,
    /// [`Kind::NotFound`], [`Kind::Conflict`], else [`Kind::Invalid`]. [`Kind::Unavailable`] if no
    /// node answers.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let response = self.send(method, path, body).await?;
        let status = response.status();
        understand(status, &self.whole(response).await?)
    }

    /// Asks for something that is no JSON, and writes it to a file that is not there yet, or to the
    /// standard output for `-`, piece by piece.
    ///
    /// # Errors
    /// As [`Client::call`]; [`Kind::Invalid`] where it cannot be written.
    pub(crate) async fn save(&self, path: &str, file: &Path) -> Result<()> {
        let wrong = |error: std::io::Error| Error::invalid(format!("{}: {error}", file.display()));
        let (mut out, is_new) = match file == Path::new("-") {
            true => (stdout().map_err(wrong)?, false),
            false => (create(file).await.map_err(wrong)?, true),
        };
        let poured = match self.send(Method::GET, path, None).await {
            Ok(response) => self.pour(response, &mut out).await,
            Err(error) => Err(error),
        };
        let saved = poured.and_then(|done| done.map_err(wrong));
        if saved.is_err() && is_new {
            // Half a message is worse than none.
            tokio::fs::remove_file(file).await.map_err(wrong)?;
        }
        saved
    }

    /// Writes an answer out as it comes.
    async fn pour(
        &self,
        response: Response<Incoming>,
        to: &mut (dyn AsyncWrite + Unpin + Send),
    ) -> Result<std::io::Result<()>> {
        let status = response.status();
        if !status.is_success() {
            return understand(status, &self.whole(response).await?).map(|_| Ok(()));
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                let text = format!("The message could not be read to its end ({error})");
                Error::new(Kind::Unavailable, text)
            })?;
            if let Some(bytes) = frame.data_ref()
                && let Err(error) = to.write_all(bytes).await
            {
                return Ok(Err(error));
            }
        }
        Ok(to.flush().await)
    }

    /// All of an answer.
    async fn whole(&self, response: Response<Incoming>) -> Result<Bytes> {
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        Ok(body.map_err(|error| self.unreachable(&error))?.to_bytes())
    }

    fn unreachable(&self, error: &dyn std::fmt::Display) -> Error {
        let text = format!(
            "No node answers on {} ({error}). Is it running, and is this its data directory?",
            self.sockets.first().map(|path| path.display().to_string()).unwrap_or_default()
        );
        Error::new(Kind::Unavailable, text)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>> {
        let stream = self.connect().await.map_err(|error| self.unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.unreachable(&error))?;
        tokio::spawn(connection);
        let bytes = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "rialto")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(Error::internal)?;
        sender.send_request(request).await.map_err(|error| self.unreachable(&error))
    }
}

/// The standard output as it was handed to us: opened anew, a file that is appended to would be
/// written over from its beginning.
fn stdout() -> std::io::Result<File> {
    let own = std::io::stdout().as_fd().try_clone_to_owned()?;
    Ok(File::from_std(own.into()))
}

/// A new file, which nobody else may read: it may hold somebody's mail.
async fn create(file: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).await
}

/// What a value of the API says, as the type that it was made from.
///
/// # Errors
/// [`Kind::Internal`] if it is of another shape: the node is of another version.
pub(crate) fn read<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T> {
    serde_json::from_value(answer).map_err(Error::internal)
}

fn understand(status: StatusCode, body: &[u8]) -> Result<Value> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    if status.is_success() {
        return answer.ok_or_else(|| Error::internal("the node's answer is no JSON"));
    }
    let text = answer.as_ref().and_then(|answer| answer["error"].as_str()).map(str::to_owned);
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    let kind = match status {
        StatusCode::NOT_FOUND => Kind::NotFound,
        StatusCode::CONFLICT => Kind::Conflict,
        StatusCode::SERVICE_UNAVAILABLE => Kind::Overloaded,
        _ => Kind::Invalid,
    };
    Err(Error::new(kind, format!("{text} (HTTP {})", status.as_u16())))
}

/// A path segment or query value, escaped.
pub(crate) fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixListener;

    /// Saves what a node answers to a new file; gives what came of it, and the file's mode and
    /// bytes if there is one.
    async fn save(answer: &'static [u8]) -> (Result<()>, Option<(u32, Vec<u8>)>) {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(crate::node::SOCKET)).unwrap();
        let node = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                asked.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer).await.unwrap();
        });
        let file = dir.path().join("m.eml");
        let saved = Client::new(dir.path()).save("/m", &file).await;
        node.await.unwrap();
        let found = std::fs::metadata(&file).ok();
        let found = found.map(|found| found.permissions().mode() & 0o777);
        (saved, found.map(|mode| (mode, std::fs::read(&file).unwrap())))
    }

    #[tokio::test]
    async fn a_message_is_saved_for_its_reader_only() {
        let (saved, file) = save(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmail").await;
        saved.unwrap();
        assert_eq!(file, Some((0o600, b"mail".to_vec())));
    }

    #[tokio::test]
    async fn half_a_message_is_not_saved_and_says_so() {
        let (saved, file) = save(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nmail").await;
        let error = saved.unwrap_err();
        assert!(error.text.contains("could not be read to its end"), "{error:?}");
        assert_eq!(file, None);
    }
}
