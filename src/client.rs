//! Talking to a running node over its local socket. In the data directory of `rialto dev --nodes`
//! any of its nodes will do: the first that answers is asked.

use base::{Error, Kind, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::{Path, PathBuf};
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
        let unreachable = |error: &dyn std::fmt::Display| {
            let text = format!(
                "No node answers on {} ({error}). Is it running, and is this its data directory?",
                self.sockets.first().map(|path| path.display().to_string()).unwrap_or_default()
            );
            Error::new(Kind::Unavailable, text)
        };
        let stream = self.connect().await.map_err(|error| unreachable(&error))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| unreachable(&error))?;
        tokio::spawn(connection);
        let bytes = body.map(ToString::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "rialto")
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(bytes)))
            .map_err(Error::internal)?;
        let response = sender.send_request(request).await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| unreachable(&error))?.to_bytes();
        understand(status, &body)
    }
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
