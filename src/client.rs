//! Talking to a running node over its local socket.

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

/// A node's socket.
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    /// The socket in a node's data directory.
    pub(crate) fn new(data: &Path) -> Self {
        Self { socket: data.join(crate::node::SOCKET) }
    }

    /// Asks the API and gives its answer.
    ///
    /// # Errors
    /// What the node refused with; [`Kind::Unavailable`] if no node answers.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let unreachable = |error: &dyn std::fmt::Display| {
            let text = format!(
                "No node answers on {} ({error}). Is it running, and is this its data directory?",
                self.socket.display()
            );
            Error::new(Kind::Unavailable, text)
        };
        let stream =
            UnixStream::connect(&self.socket).await.map_err(|error| unreachable(&error))?;
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

fn understand(status: StatusCode, body: &[u8]) -> Result<Value> {
    let answer: Option<Value> = serde_json::from_slice(body).ok();
    if status.is_success() {
        return answer.ok_or_else(|| Error::internal("the node's answer is no JSON"));
    }
    let text = answer.as_ref().and_then(|answer| answer["error"].as_str()).map(str::to_owned);
    let text = text.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    Err(Error::new(Kind::Invalid, format!("{text} (HTTP {})", status.as_u16())))
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
