//! A node as a process of its own, and the smallest clients that can load it.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

pub const PORTS: u16 = 11_000;

/// A running `rialto dev`.
pub struct Node {
    pub child: Child,
    pub data: PathBuf,
}

impl Node {
    /// Starts a node and waits until it is ready.
    pub async fn start(data: &Path, mailboxes: u32) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rialto"))
            .args(["dev", "--data", data.to_str().unwrap(), "--ports", &PORTS.to_string()])
            .args(["--mailboxes", &mailboxes.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("start rialto");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line == "rialto: ready" {
                tokio::spawn(
                    async move { while lines.next_line().await.is_ok_and(|l| l.is_some()) {} },
                );
                return Self { child, data: data.to_owned() };
            }
        }
        panic!("rialto ended before it was ready");
    }

    /// Kills it as a power button would, but for what the kernel still writes.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    fn status(&self, field: &str) -> u64 {
        let pid = self.child.id().expect("a running process");
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = text.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    /// Resident memory now, in MB.
    pub fn rss_mb(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most resident memory since the last [`Node::reset_peak`], in MB.
    pub fn peak_mb(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// Forgets the peak.
    pub fn reset_peak(&self) {
        let pid = self.child.id().expect("a running process");
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(("127.0.0.1", PORTS + 9090)).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

/// A line-based client connection.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", PORTS + port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::with_capacity(1 << 16, stream) }
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await.unwrap();
        assert!(!line.is_empty(), "the server closed the connection");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// One SMTP reply; its last line.
    pub async fn reply(&mut self, expect: &str) -> String {
        loop {
            let line = self.line().await;
            if line.as_bytes().get(3) != Some(&b'-') {
                assert!(line.starts_with(expect), "{line} instead of {expect}");
                return line;
            }
        }
    }

    /// An SMTP session that has greeted.
    pub async fn smtp() -> Self {
        let mut client = Self::connect(25).await;
        client.reply("220").await;
        client.send(b"EHLO bench.rialto.test\r\n").await;
        client.reply("250").await;
        client
    }

    /// Delivers one message, pipelined; returns when it is acknowledged.
    pub async fn deliver(&mut self, recipient: &str, message: &[u8]) {
        let head = format!("MAIL FROM:<bench@peer.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n");
        self.send(head.as_bytes()).await;
        self.reply("250").await;
        self.reply("250").await;
        self.reply("354").await;
        self.send(message).await;
        self.send(b"\r\n.\r\n").await;
        self.reply("250").await;
    }
}

/// An IMAP session, its TLS done by the system's `openssl s_client`, so that the bench's own
/// process does not pay for it.
pub struct ImapClient {
    child: Child,
    input: tokio::process::ChildStdin,
    output: BufReader<tokio::process::ChildStdout>,
    tag: u64,
}

impl ImapClient {
    /// A session that has signed in.
    pub async fn connect(user: &str) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{}", PORTS + 993)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("openssl s_client");
        let input = child.stdin.take().unwrap();
        let output = BufReader::with_capacity(1 << 16, child.stdout.take().unwrap());
        let mut client = Self { child, input, output, tag: 0 };
        client.line().await;
        let login = client.command(&format!("LOGIN {user}@rialto.test rialto-dev")).await;
        assert!(login.last().unwrap().contains(" OK"), "{login:?}");
        client
    }

    async fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.output.read_until(b'\n', &mut line).await.unwrap();
        assert!(!line.is_empty(), "the server closed the connection");
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    /// Sends a command and reads to its tagged reply; all lines.
    pub async fn command(&mut self, command: &str) -> Vec<String> {
        self.tag += 1;
        let tag = format!("bench-{}.", self.tag);
        self.input.write_all(format!("{tag} {command}\r\n").as_bytes()).await.unwrap();
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let ends = line.starts_with(&tag);
            lines.push(line);
            if ends {
                return lines;
            }
        }
    }

    /// How many messages a folder has.
    pub async fn messages(&mut self, folder: &str) -> u64 {
        let lines = self.command(&format!("STATUS {folder} (MESSAGES)")).await;
        let line = lines.iter().find(|line| line.starts_with("* STATUS")).expect("STATUS");
        let digits: String = line
            .rsplit_once("MESSAGES ")
            .unwrap()
            .1
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().unwrap()
    }

    /// Ends it.
    pub async fn close(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// A plain text message of about so many bytes, without the final dot.
pub fn message(bytes: usize, number: u64) -> Vec<u8> {
    let mut text = format!(
        "From: Bench <bench@peer.test>\r\nTo: somebody@rialto.test\r\nSubject: message {number}\r\n\
         Message-ID: <{number}.bench@peer.test>\r\nDate: Sun, 22 Nov 2026 03:00:00 +0000\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    )
    .into_bytes();
    let mut word = number;
    while text.len() < bytes {
        // Words that differ from message to message, so that nothing is stored only once.
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(format!("{word:016x} ").as_bytes());
        if text.len() % 72 < 17 {
            text.extend_from_slice(b"\r\n");
        }
    }
    text
}
