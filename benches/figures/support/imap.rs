//! The smallest IMAP client over TLS that loads a server.

use super::Endpoint;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// An IMAP session that has signed in.
pub struct ImapClient {
    stream: BufReader<TlsStream<TcpStream>>,
    tag: u64,
}

/// What came before a tagged OK.
#[derive(Default)]
pub struct Answer {
    /// Untagged FETCH responses.
    pub fetched: u64,
    /// All bytes.
    pub bytes: u64,
}

impl ImapClient {
    pub async fn connect(to: &Endpoint, user: &str) -> Self {
        let mut client = Self::greeted(to).await;
        client.ok(&format!("LOGIN {user}@rialto.test rialto-dev")).await;
        client
    }

    /// A session that has not signed in.
    pub async fn greeted(to: &Endpoint) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", to.imaps)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = to.tls.connect(name, stream).await.expect("TLS handshake");
        // As little as goes, since thousands of these may be open.
        let mut client = Self { stream: BufReader::with_capacity(4096, stream), tag: 0 };
        client.line(&mut Vec::new()).await;
        client
    }

    async fn line(&mut self, line: &mut Vec<u8>) {
        line.clear();
        self.stream.read_until(b'\n', line).await.unwrap();
        assert!(!line.is_empty(), "the server closed the connection");
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
        self.stream.get_mut().flush().await.unwrap();
    }

    /// Sends a command with what belongs to it, and reads to its tagged OK.
    async fn exchange(&mut self, command: &[u8], mut each: impl FnMut(&[u8])) {
        self.tag += 1;
        let tag = format!("bench-{} ", self.tag);
        let mut out = Vec::with_capacity(tag.len() + command.len() + 2);
        out.extend_from_slice(tag.as_bytes());
        out.extend_from_slice(command);
        out.extend_from_slice(b"\r\n");
        self.send(&out).await;
        let mut line = Vec::new();
        loop {
            self.line(&mut line).await;
            if let Some(result) = line.strip_prefix(tag.as_bytes()) {
                assert!(result.starts_with(b"OK"), "{}", String::from_utf8_lossy(&line));
                return;
            }
            each(&line);
        }
    }

    /// A command whose answer does not matter.
    pub async fn ok(&mut self, command: &str) {
        self.exchange(command.as_bytes(), |_| {}).await;
    }

    /// A command whose answer is counted and not kept.
    pub async fn counted(&mut self, command: &str) -> Answer {
        let mut answer = Answer::default();
        self.exchange(command.as_bytes(), |line| {
            answer.bytes += line.len() as u64;
            let fetch =
                line.starts_with(b"* ") && line.windows(8).take(24).any(|w| w == b" FETCH (");
            answer.fetched += u64::from(fetch);
        })
        .await;
        answer
    }

    /// Appends a message to the Inbox, with a non-synchronising literal.
    pub async fn append(&mut self, message: &[u8]) {
        let mut command = format!("APPEND INBOX {{{}+}}\r\n", message.len()).into_bytes();
        command.extend_from_slice(message);
        self.exchange(&command, |_| {}).await;
    }

    /// Begins IDLE and stays in it.
    pub async fn idle(&mut self) {
        self.send(b"idle IDLE\r\n").await;
        let mut line = Vec::new();
        while !line.starts_with(b"+") {
            self.line(&mut line).await;
        }
    }

    /// How many messages a folder has.
    pub async fn messages(&mut self, folder: &str) -> u64 {
        let mut messages = None;
        self.exchange(format!("STATUS {folder} (MESSAGES)").as_bytes(), |line| {
            let line = String::from_utf8_lossy(line);
            if let Some((_, rest)) = line.rsplit_once("MESSAGES ") {
                let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
                messages = digits.and_then(|digits| digits.parse().ok());
            }
        })
        .await;
        messages.expect("a STATUS response")
    }
}
