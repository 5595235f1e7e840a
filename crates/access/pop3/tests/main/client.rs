//! A client for tests: sends a command, gives what came back.

use base::env::Stream;
use bytes::{Bytes, BytesMut};
use codec_pop3::unstuff::Unstuffed;
use codec_pop3::{Code, ServerLine, Unstuffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The longest answer that a test asks for.
const ANSWER_BYTES_MAX: u64 = 128 << 20;

pub(crate) struct Client {
    stream: Box<dyn Stream>,
    pub(crate) received: BytesMut,
}

impl Client {
    pub(crate) fn new(stream: impl Stream) -> Self {
        Self { stream: Box::new(stream), received: BytesMut::new() }
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next line; `None` at the end.
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

    pub(crate) async fn fill(&mut self) -> usize {
        self.stream.read_buf(&mut self.received).await.unwrap_or(0)
    }

    /// Sends a command, if it is one, and gives its status: whether it succeeded, and its words.
    pub(crate) async fn command(&mut self, text: &str) -> (bool, Option<Code>, String) {
        if !text.is_empty() {
            self.send(format!("{text}\r\n").as_bytes()).await.unwrap();
        }
        let line = self.line().await.expect("an answer before the end");
        match ServerLine::parse(line.as_bytes()) {
            Some(ServerLine::Status { ok, code, text }) => (ok, code, text),
            other => panic!("{text}: {other:?}"),
        }
    }

    /// Sends a command that must succeed.
    pub(crate) async fn ok(&mut self, text: &str) -> String {
        let (ok, code, words) = self.command(text).await;
        assert!(ok, "{text}: {code:?} {words}");
        words
    }

    /// Sends a command that must fail.
    pub(crate) async fn err(&mut self, text: &str) -> (Option<Code>, String) {
        let (ok, code, words) = self.command(text).await;
        assert!(!ok, "{text}: {words}");
        (code, words)
    }

    /// Sends a command that has several lines to say; all of them, doubled dots made single.
    pub(crate) async fn lines(&mut self, text: &str) -> Bytes {
        self.ok(text).await;
        self.rest().await.expect("the end of an answer")
    }

    /// The lines behind a status line; `None` if the end never came.
    pub(crate) async fn rest(&mut self) -> Option<Bytes> {
        let (mut unstuffer, mut all) = (Unstuffer::new(ANSWER_BYTES_MAX), BytesMut::new());
        loop {
            match unstuffer.next(&mut self.received) {
                Unstuffed::Part(part) => all.extend_from_slice(&part),
                Unstuffed::End => return Some(all.freeze()),
                Unstuffed::NeedMore if self.fill().await == 0 => return None,
                Unstuffed::NeedMore => {}
                Unstuffed::TooLong => panic!("{} bytes", all.len()),
            }
        }
    }

    /// The words of LIST or UIDL by number.
    pub(crate) async fn list(&mut self, text: &str) -> Vec<(u32, String)> {
        let all = String::from_utf8(self.lines(text).await.to_vec()).unwrap();
        let word = |line: &str| {
            let (number, word) = line.split_once(' ').unwrap();
            (number.parse().unwrap(), word.to_owned())
        };
        all.lines().map(word).collect()
    }
}
