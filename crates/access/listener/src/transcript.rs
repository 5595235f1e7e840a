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

mod script;

pub use script::Transcript;

use base::env::Stream;
use bytes::{Buf, BytesMut};
use rustls::pki_types::ServerName;
use script::{Step, fits};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

/// How long the server may take for a line; longer than any time limit of a protocol.
const PATIENCE: Duration = Duration::from_secs(2 * 60 * 60);

/// The client's side of a dialogue.
pub struct Player {
    stream: Option<Box<dyn Stream>>,
    received: BytesMut,
    tls: Option<(Arc<rustls::ClientConfig>, ServerName<'static>)>,
    shutdown: CancellationToken,
    log: String,
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
    pub fn with_shutdown(self, shutdown: CancellationToken) -> Self {
        Self { shutdown, ..self }
    }

    /// Plays a transcript to its end.
    ///
    /// # Errors
    /// What differed, in which line, with the dialogue up to there.
    pub async fn play(mut self, transcript: &Transcript) -> Result<(), String> {
        for (number, step) in &transcript.steps {
            let outcome = tokio::time::timeout(PATIENCE, self.step(step)).await;
            outcome
                .unwrap_or_else(|_| Err("the server says nothing".to_owned()))
                .map_err(|error| format!("line {number}: {error}\n{}", self.log))?;
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
}
