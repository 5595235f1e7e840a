//! A client for tests: sends a command, gives what came back.

use base::env::Stream;
use bytes::BytesMut;
use codec_imap::Status;
use codec_imap::client::{ResponseReader, ServerResponse};
use std::fmt::Write as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The largest response that a test asks for.
const RESPONSE_BYTES_MAX: u64 = 64 << 20;

pub(crate) struct Client {
    stream: Box<dyn Stream>,
    received: BytesMut,
    reader: ResponseReader,
    tag: u32,
}

/// What a command brought.
pub(crate) struct Outcome {
    pub(crate) untagged: Vec<ServerResponse>,
    pub(crate) status: Status,
    /// The tagged line's code and text, for looking into.
    pub(crate) line: String,
}

impl Client {
    pub(crate) fn new(stream: impl Stream) -> Self {
        let reader = ResponseReader::new(RESPONSE_BYTES_MAX);
        Self { stream: Box::new(stream), received: BytesMut::new(), reader, tag: 0 }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next line as text; `None` at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line = self.received.split_to(end + 1);
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.fill().await == 0 {
                return None;
            }
        }
    }

    /// The next response; `None` at the end.
    pub(crate) async fn response(&mut self) -> Option<ServerResponse> {
        loop {
            if let Some(response) = self.reader.next(&mut self.received).expect("a response") {
                return Some(response);
            }
            if self.fill().await == 0 {
                return None;
            }
        }
    }

    async fn fill(&mut self) -> usize {
        self.stream.read_buf(&mut self.received).await.unwrap_or(0)
    }

    /// Sends a command and waits for its end.
    pub(crate) async fn command(&mut self, text: &str) -> Outcome {
        let tag = self.begin(text).await;
        self.end(&tag).await
    }

    /// Sends a command; gives its tag.
    pub(crate) async fn begin(&mut self, text: &str) -> String {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        self.send(format!("{tag} {text}\r\n").as_bytes()).await.unwrap();
        tag
    }

    /// Takes responses up to the tagged one.
    pub(crate) async fn end(&mut self, tag: &str) -> Outcome {
        let mut untagged = Vec::new();
        loop {
            let response = self.response().await.expect("an answer before the end");
            match response.tagged(tag) {
                None => untagged.push(response),
                Some(status) => {
                    let mut line = String::new();
                    if let ServerResponse::Status { code, text, .. } = &response {
                        let text = String::from_utf8_lossy(text);
                        write!(line, "{} {code:?} {text}", status.name()).unwrap();
                    }
                    return Outcome { untagged, status, line };
                }
            }
        }
    }

    /// Sends a command that must succeed.
    pub(crate) async fn ok(&mut self, text: &str) -> Vec<ServerResponse> {
        let outcome = self.command(text).await;
        assert_eq!(outcome.status, Status::Ok, "{text}: {}", outcome.line);
        outcome.untagged
    }

    /// Appends a message without waiting for the invitation.
    pub(crate) async fn append(&mut self, mailbox: &str, message: &[u8]) -> Outcome {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        let head = format!("{tag} APPEND {mailbox} {{{}+}}\r\n", message.len());
        self.send(head.as_bytes()).await.unwrap();
        self.send(message).await.unwrap();
        self.send(b"\r\n").await.unwrap();
        self.end(&tag).await
    }

    /// How many messages a FETCH of a mailbox's UIDs shows, by number: UID and flags.
    pub(crate) async fn list(&mut self) -> Vec<(u32, Vec<String>)> {
        let found = self.ok("FETCH 1:* (UID FLAGS)").await;
        let fetches = found.iter().filter_map(ServerResponse::fetch);
        fetches.map(|fetch| (fetch.uid().unwrap(), sorted(fetch.flags().unwrap()))).collect()
    }
}

/// Flags in order, without \Recent, which is each session's own.
pub(crate) fn sorted(mut flags: Vec<String>) -> Vec<String> {
    flags.retain(|flag| flag != "\\Recent");
    flags.sort();
    flags
}
