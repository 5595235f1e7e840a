//! Dialogues as text, replayed against a session: the tests of every line protocol.
//!
//! Not behind `cfg(test)`, because the protocol crates' tests use it. A transcript is lines:
//!
//! ```text
//! # a comment; empty lines mean nothing
//! C: EHLO client.example     sent with CRLF; C lines in a row go out in one write (pipelining)
//! C~ a\nb\x00                sent as it is, after \r \n \t \\ \xNN are replaced; no CRLF added
//! C* 1000 RCPT TO:<u{}@d>    sent so many times, {} replaced by 1 …
//! S: 250-mail.* at your *    the server's next line; each * stands for anything
//! S* 1000 250 *              the next so many lines
//! S? 250 *                   passes over lines until one that fits
//! ! closed                   the server closes
//! ! close                    the client closes
//! ! tls                      the client's side of a TLS handshake
//! ! wait 300                 seconds pass
//! ! shutdown                 the server is asked to end
//! ```
//!
//! After the last line the client closes and the server must close too, saying nothing more.

use base::env::Stream;
use bytes::{Buf, BytesMut};
use rustls::pki_types::ServerName;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// How long the server may take for a line. Tests run on simulated time, where this is longer
/// than any time limit of a protocol and costs nothing.
const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);

/// A parsed dialogue.
#[derive(Clone, Debug)]
pub struct Transcript {
    steps: Vec<(usize, Step)>,
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Expect(String),
    SkipTo(String),
    Closed,
    Close,
    Tls,
    Wait(Duration),
    Shutdown,
}

/// The client's side of a dialogue.
pub struct Player {
    stream: Option<Box<dyn Stream>>,
    received: BytesMut,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    shutdown: CancellationToken,
    log: String,
}

impl Transcript {
    /// Reads a transcript.
    ///
    /// # Errors
    /// A sentence with the number of the line that makes no sense.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut steps = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let (kind, rest) = line.split_at(line.len().min(2));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let parsed = match kind {
                "C:" => Ok(vec![Step::Send(format!("{rest}\r\n").into_bytes())]),
                "C~" => unescape(rest).map(|bytes| vec![Step::Send(bytes)]),
                "C*" => counted(rest).map(|(count, line)| {
                    let line = |n: usize| line.replace("{}", &n.to_string());
                    let all = (1..=count).map(|n| line(n) + "\r\n").collect::<String>();
                    vec![Step::Send(all.into_bytes())]
                }),
                "S:" => Ok(vec![Step::Expect(rest.to_owned())]),
                "S*" => counted(rest)
                    .map(|(count, line)| vec![Step::Expect(line.to_owned()); count]),
                "S?" => Ok(vec![Step::SkipTo(rest.to_owned())]),
                "! " | "!" => command(rest).map(|step| vec![step]),
                _ if line.trim().is_empty() || line.starts_with('#') => Ok(Vec::new()),
                _ => Err("no such kind of line".to_owned()),
            };
            let parsed = parsed.map_err(|error| format!("line {number}: {error}: {line}"))?;
            for step in parsed {
                match (steps.last_mut(), step) {
                    (Some((_, Step::Send(before))), Step::Send(more)) => before.extend(more),
                    (_, step) => steps.push((number, step)),
                }
            }
        }
        Ok(Self { steps })
    }
}

impl Player {
    /// A client at the other end of the server's stream.
    pub fn new(stream: Box<dyn Stream>) -> Self {
        Self {
            stream: Some(stream),
            received: BytesMut::new(),
            tls: None,
            shutdown: CancellationToken::new(),
            log: String::new(),
        }
    }

    /// The same, able to do `! tls`.
    #[must_use]
    pub fn with_tls(
        mut self,
        config: Arc<rustls::ClientConfig>,
        server_name: ServerName<'static>,
    ) -> Self {
        self.tls = Some((config, server_name));
        self
    }

    /// The same, with the token that `! shutdown` cancels.
    #[must_use]
    pub fn with_shutdown(mut self, shutdown: CancellationToken) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Plays a transcript to its end.
    ///
    /// # Errors
    /// What differed, in which line, with the dialogue up to there.
    pub async fn play(mut self, transcript: &Transcript) -> Result<(), String> {
        for (number, step) in &transcript.steps {
            let outcome = tokio::time::timeout(PATIENCE, self.step(step)).await;
            let outcome = outcome.unwrap_or_else(|_| Err("the server says nothing".to_owned()));
            if let Err(error) = outcome {
                return Err(format!("line {number}: {error}\n{}", self.log));
            }
        }
        let end = async {
            self.hang_up().await;
            self.closed().await
        };
        let end = tokio::time::timeout(PATIENCE, end).await;
        end.unwrap_or_else(|_| Err("the server does not close".to_owned()))
            .map_err(|error| format!("at the end: {error}\n{}", self.log))
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Send(bytes) => self.send(bytes).await,
            Step::Expect(pattern) => self.expect(pattern).await,
            Step::SkipTo(pattern) => self.skip_to(pattern).await,
            Step::Closed => self.closed().await,
            Step::Close => {
                self.hang_up().await;
                Ok(())
            }
            Step::Tls => Box::pin(self.start_tls()).await,
            Step::Wait(how_long) => {
                tokio::time::sleep(*how_long).await;
                Ok(())
            }
            Step::Shutdown => {
                self.shutdown.cancel();
                Ok(())
            }
        }
    }

    /// Sends, and takes in meanwhile what the server says: neither side may wait for the other
    /// to read.
    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let shown: String = String::from_utf8_lossy(bytes).chars().take(400).collect();
        let _ = writeln!(self.log, "C: {}", shown.escape_debug());
        let stream = self.stream.as_mut().ok_or("the client has closed")?;
        let (mut reader, mut writer) = tokio::io::split(&mut *stream);
        let mut incoming = BytesMut::new();
        let writing = async {
            writer.write_all(bytes).await?;
            writer.flush().await
        };
        tokio::pin!(writing);
        loop {
            tokio::select! {
                biased;
                result = &mut writing => {
                    // A server that has closed already is found out by what is expected next.
                    let _closed = result;
                    break;
                }
                read = reader.read_buf(&mut incoming) => {
                    if !matches!(read, Ok(1..)) {
                        break;
                    }
                }
            }
        }
        self.received.extend_from_slice(&incoming);
        Ok(())
    }

    async fn expect(&mut self, pattern: &str) -> Result<(), String> {
        let line = self.line().await?.ok_or("the server has closed")?;
        if fits(pattern, &line) {
            return Ok(());
        }
        Err(format!("expected: {pattern}\n   but got: {}", line.escape_debug()))
    }

    async fn skip_to(&mut self, pattern: &str) -> Result<(), String> {
        loop {
            let line = self.line().await?.ok_or(format!("the server closed before: {pattern}"))?;
            if fits(pattern, &line) {
                return Ok(());
            }
        }
    }

    async fn closed(&mut self) -> Result<(), String> {
        match self.line().await? {
            None => Ok(()),
            Some(line) => Err(format!("expected the end, but got: {}", line.escape_debug())),
        }
    }

    /// The next line without its CRLF; `None` at the end.
    async fn line(&mut self) -> Result<Option<String>, String> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line = self.received.split_to(end);
                self.received.advance(1);
                let line = line.strip_suffix(b"\r").ok_or("the server sent a bare LF")?;
                let line = String::from_utf8_lossy(line).into_owned();
                let _ = writeln!(self.log, "S: {}", line.escape_debug());
                return Ok(Some(line));
            }
            let Some(stream) = self.stream.as_mut() else {
                return Ok(None);
            };
            // A reset is an end, too: what matters is what the server said before.
            if !matches!(stream.read_buf(&mut self.received).await, Ok(1..)) {
                self.stream = None;
                if !self.received.is_empty() {
                    return Err(format!("the last line has no end: {:?}", self.received));
                }
            }
        }
    }

    async fn hang_up(&mut self) {
        if let Some(stream) = &mut self.stream {
            let _closed_already = stream.shutdown().await;
        }
    }

    async fn start_tls(&mut self) -> Result<(), String> {
        let (config, name) = self.tls.clone().ok_or("the test has no TLS client")?;
        if !self.received.is_empty() {
            return Err(format!("the server sent in clear: {:?}", self.received));
        }
        let stream = self.stream.take().ok_or("the connection is closed")?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        self.stream = Some(Box::new(stream.map_err(|error| format!("TLS: {error}"))?));
        Ok(())
    }
}

/// `count text`.
fn counted(rest: &str) -> Result<(usize, &str), String> {
    let (count, line) = rest.split_once(' ').ok_or("expected a count and a line")?;
    Ok((count.parse().map_err(|_| "expected a count")?, line))
}

fn command(rest: &str) -> Result<Step, String> {
    match rest.split_once(' ') {
        None if rest == "closed" => Ok(Step::Closed),
        None if rest == "close" => Ok(Step::Close),
        None if rest == "tls" => Ok(Step::Tls),
        None if rest == "shutdown" => Ok(Step::Shutdown),
        Some(("wait", seconds)) => {
            let seconds = seconds.parse().map_err(|_| "expected seconds")?;
            Ok(Step::Wait(Duration::from_secs(seconds)))
        }
        _ => Err("no such command".to_owned()),
    }
}

fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let (byte, length) = match rest.as_bytes().get(at + 1) {
            Some(b'r') => (b'\r', 2),
            Some(b'n') => (b'\n', 2),
            Some(b't') => (b'\t', 2),
            Some(b'\\') => (b'\\', 2),
            Some(b'x') => {
                let digits = rest.get(at + 2..at + 4).ok_or("two digits after \\x")?;
                (u8::from_str_radix(digits, 16).map_err(|_| "hexadecimal after \\x")?, 4)
            }
            _ => return Err("unknown escape".to_owned()),
        };
        bytes.push(byte);
        rest = &rest[at + length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Whether a line fits a pattern in which each `*` stands for anything.
fn fits(pattern: &str, line: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == line;
    };
    let Some(mut rest) = line.strip_prefix(head) else {
        return false;
    };
    let mut pieces = tail.split('*').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A server that echoes lines in capitals until QUIT.
    async fn shouting(mut stream: tokio::io::DuplexStream) {
        stream.write_all(b"hello\r\n").await.unwrap();
        let (reader, mut writer) = tokio::io::split(stream);
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(reader));
        while let Ok(Some(line)) = lines.next_line().await {
            if line == "quit" {
                return;
            }
            let reply = format!("{}\r\n", line.to_uppercase());
            if writer.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    async fn check(text: &str, expect: Result<(), &str>) {
        let (client, server) = tokio::io::duplex(64);
        tokio::spawn(shouting(server));
        let played = match Transcript::parse(text) {
            Ok(transcript) => Player::new(Box::new(client)).play(&transcript).await,
            Err(error) => Err(error),
        };
        match (played, expect) {
            (Ok(()), Ok(())) => {}
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (played, _) => panic!("{text}: {played:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn dialogues_pass_or_say_what_differs() {
        check("S: hello\nC: a\nC: b\nS: A\nS: B\nC: quit\n! closed", Ok(())).await;
        check("# just listen\n\nS: h*o", Ok(())).await;
        check("S: hello\nC~ a\\x62\\r\\n\nS: AB\n! close\n! closed", Ok(())).await;
        check("S: hello\nC* 500 line {}\nS* 499 LINE *\nS: LINE 500", Ok(())).await;
        check("S: hello\nC: a\nC: b\nS? B", Ok(())).await;
        check("S: help", Err("line 1: expected: help\n   but got: hello")).await;
        check("S: hello\nC: a\nS: B", Err("line 3")).await;
        check("S: hello\nC: a", Err("expected the end, but got: A")).await;
        check("S: hello\nS: x", Err("line 2: the server says nothing")).await;
        check("S: hello\nC: quit\nS: x", Err("line 3: the server has closed")).await;
        check("S: hello\n! closed", Err("the server says nothing")).await;
        check("? what", Err("line 1: no such kind of line")).await;
        check("S: hello\n! tls", Err("no TLS client")).await;
    }

    #[test]
    fn patterns() {
        for (pattern, line, expect) in [
            ("250 *", "250 ok", true),
            ("*", "", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c", false),
            ("a*a", "a", false),
            ("250 ok", "250 ok ", false),
        ] {
            assert_eq!(fits(pattern, line), expect, "{pattern} {line}");
        }
    }
}
