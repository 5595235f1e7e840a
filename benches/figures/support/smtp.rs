//! The smallest SMTP client that loads a server.

use super::Endpoint;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// An SMTP session that has greeted.
pub struct SmtpClient {
    stream: BufReader<TcpStream>,
    out: Vec<u8>,
}

impl SmtpClient {
    pub async fn connect(to: &Endpoint) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", to.smtp)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream: BufReader::new(stream), out: Vec::new() };
        client.reply("220").await;
        client.send(b"EHLO bench.rialto.test\r\n").await;
        client.reply("250").await;
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    /// One reply, which must begin so.
    async fn reply(&mut self, expect: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).await.unwrap();
            assert!(!line.is_empty(), "the server closed the connection");
            if line.as_bytes().get(3) != Some(&b'-') {
                assert!(line.starts_with(expect), "{line} instead of {expect}");
                return;
            }
        }
    }

    /// Delivers one message, pipelined; returns when it is acknowledged.
    pub async fn deliver(&mut self, recipient: &str, message: &[u8]) {
        let head = format!("MAIL FROM:<bench@peer.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        self.send(head.as_bytes()).await;
        self.reply("250").await;
        self.reply("250").await;
        self.reply("354").await;
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        out.extend_from_slice(message);
        out.extend_from_slice(b"\r\n.\r\n");
        self.send(&out).await;
        self.out = out;
        self.reply("250").await;
    }
}
