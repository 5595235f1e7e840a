//! What a node says of itself: the administration's socket, the health port, the counters.

use crate::failure::{Failure, Result};
use crate::net::PATIENCE;
use serde_json::Value;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

/// The well-known port of health and counters.
const HEALTH: u16 = 9090;

/// How to ask one node.
#[derive(Debug, Clone)]
pub struct Admin {
    socket: PathBuf,
    base: u16,
}

impl Admin {
    /// A node with its socket and the base of its ports.
    #[must_use]
    pub fn new(socket: PathBuf, base: u16) -> Admin {
        Admin { socket, base }
    }

    /// Asks the administration over its socket.
    ///
    /// # Errors
    /// If the node does not answer, or refuses.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let stream = UnixStream::connect(&self.socket).await?;
        let body = http_get(stream, path).await?;
        serde_json::from_slice(&body).map_err(|error| Failure(format!("{path}: {error}")))
    }

    /// Whether the node says that it is ready to serve (`/readyz`).
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn is_ready(&self) -> Result<bool> {
        match self.health("/readyz").await {
            Ok(_) => Ok(true),
            Err(error) if error.0.contains(" 503 ") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The sum of a counter over its labels; 0 where it was never counted.
    ///
    /// # Errors
    /// If the node does not answer.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let body = self.health("/metrics").await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(text.lines().filter_map(|line| sample(line, name)).sum())
    }

    async fn health(&self, path: &str) -> Result<Vec<u8>> {
        http_get(TcpStream::connect(("127.0.0.1", self.base + HEALTH)).await?, path).await
    }

    /// Waits until nothing waits for delivery.
    ///
    /// # Errors
    /// If the queue does not empty in time; with what is left.
    pub async fn wait_for_empty_queue(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let queue = self.get("/api/v1/queue").await?;
            if queue.as_array().is_some_and(Vec::is_empty) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(Failure(format!("the queue does not empty: {queue:.2000}")));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The value of a line of the exposition format if it is of this metric.
fn sample(line: &str, name: &str) -> Option<f64> {
    let rest = line.strip_prefix(name)?;
    let value = match rest.strip_prefix('{') {
        Some(labelled) => labelled.rsplit_once('}')?.1,
        None => rest.strip_prefix(' ')?,
    };
    value.trim().parse().ok()
}

async fn http_get<S>(mut stream: S, path: &str) -> Result<Vec<u8>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await??;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| Failure::from("no HTTP answer"))?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let body = answer.split_off(end + 4);
    match head.split(' ').nth(1) {
        Some("200") => Ok(body),
        _ => Err(Failure(format!("{path}: {head}: {}", String::from_utf8_lossy(&body)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_their_whole_name() {
        let check = |line: &str, expected: Option<f64>| assert_eq!(sample(line, "a_b"), expected);
        check("a_b 3", Some(3.0));
        check("a_b{x=\"}\"} 4", Some(4.0));
        check("a_b_c 5", None);
        check("# TYPE a_b counter", None);
    }
}
