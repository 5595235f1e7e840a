//! A host that follows a script, the other side of access-listener's transcripts:
//!
//! ```text
//! # a comment; empty lines mean nothing
//! S: 250 ok          sent with CRLF; S lines in a row go out in one write
//! S~ 250 a\x00b\n    sent as it is, after \r \n \xNN are replaced; no CRLF added
//! S* 1000 250-x      sent so many times, with CRLF
//! C: EHLO *          the client's next line; each * stands for anything
//! C* 1000 RCPT *     the next so many lines
//! ! data             takes a message up to its final dot, undoes the dots, and keeps it
//! ! bdat             takes BDAT and its chunk; keeps the message with the last one
//! ! bytes 100        takes so many bytes, whatever they are
//! ! tls              the host's side of a TLS handshake
//! ! broken tls       a handshake that the client breaks off
//! ! quiet            the client has sent nothing more so far
//! ! wait 300         seconds pass
//! ! silence          says nothing any more until the client closes
//! ! closed           the client closes
//! ! close            the host closes
//! ```
//!
//! After the last line the host closes.

use base::env::Stream;
use bytes::{Buf, BytesMut};
use codec_smtp::{DataDecoder, DataStatus};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

/// How long the client may take for a line.
const PATIENCE: Duration = Duration::from_secs(3 * 60 * 60);

pub(crate) struct Player {
    pub(crate) stream: Option<Box<dyn Stream>>,
    pub(crate) tls: Option<Arc<rustls::ServerConfig>>,
    /// What messages came.
    pub(crate) messages: Arc<Mutex<Vec<Vec<u8>>>>,
    received: BytesMut,
    chunks: Vec<u8>,
    log: String,
}

impl Player {
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        tls: Option<Arc<rustls::ServerConfig>>,
        messages: Arc<Mutex<Vec<Vec<u8>>>>,
    ) -> Self {
        let (received, chunks, log) = Default::default();
        Self { stream: Some(stream), tls, messages, received, chunks, log }
    }

    pub(crate) async fn play(mut self, script: &str) -> Result<(), String> {
        let mut out = Vec::new();
        for (number, line) in script.lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (kind, rest) = line.split_at(2);
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match kind {
                "S:" => out.extend(format!("{rest}\r\n").into_bytes()),
                "S~" => out.extend(unescape(rest)),
                "S*" => {
                    let (count, line) = counted(rest);
                    out.extend(format!("{line}\r\n").repeat(count).into_bytes());
                }
                _ => {
                    self.send(&mut out).await;
                    let step = tokio::time::timeout(PATIENCE, Box::pin(self.step(kind, rest)));
                    step.await
                        .unwrap_or_else(|_| Err("the client does nothing".to_owned()))
                        .map_err(|why| {
                            format!("line {}: {line}: {why}\n{}", number + 1, self.log)
                        })?;
                }
            }
        }
        self.send(&mut out).await;
        if let Some(mut stream) = self.stream.take() {
            let _closed = stream.shutdown().await;
        }
        Ok(())
    }

    async fn send(&mut self, out: &mut Vec<u8>) {
        if let Some(stream) = &mut self.stream
            && !out.is_empty()
        {
            // A client that has closed is found out by what is expected next.
            let _closed = stream.write_all(out).await;
            let _closed = stream.flush().await;
            self.log += &format!("S: {}\n", String::from_utf8_lossy(out).escape_debug());
        }
        out.clear();
    }

    async fn step(&mut self, kind: &str, rest: &str) -> Result<(), String> {
        match (kind, rest.split_once(' ').unwrap_or((rest, ""))) {
            ("C:", _) => self.expect(rest).await,
            ("C*", _) => {
                let (count, pattern) = counted(rest);
                for _ in 0..count {
                    self.expect(pattern).await?;
                }
                Ok(())
            }
            ("! ", ("data", _)) => self.take_data().await,
            ("! ", ("bdat", _)) => self.take_chunk().await,
            ("! ", ("bytes", count)) => {
                let mut count: usize = count.parse().unwrap();
                while count > 0 {
                    let taken = self.received.len().min(count);
                    self.received.advance(taken);
                    count -= taken;
                    if count > 0 && !self.fill().await {
                        return Err("the client closed".to_owned());
                    }
                }
                Ok(())
            }
            ("! ", ("tls", _)) => {
                if !self.received.is_empty() {
                    return Err(format!("in clear: {:?}", self.received));
                }
                let acceptor = TlsAcceptor::from(self.tls.clone().unwrap());
                let accepted = acceptor.accept(self.stream.take().unwrap()).await;
                self.stream = Some(Box::new(accepted.map_err(|error| format!("TLS: {error}"))?));
                Ok(())
            }
            ("! ", ("broken", _)) => {
                let acceptor = TlsAcceptor::from(self.tls.clone().unwrap());
                match acceptor.accept(self.stream.take().unwrap()).await {
                    // With TLS 1.3 the client's no comes behind the host's part.
                    Ok(mut stream) => match stream.read(&mut [0; 1]).await {
                        Ok(1..) => Err("the client goes on".to_owned()),
                        _ => Ok(()),
                    },
                    Err(_) => Ok(()),
                }
            }
            ("! ", ("quiet", _)) => {
                let more = tokio::time::timeout(Duration::from_secs(1), self.fill()).await;
                match more {
                    Err(_) if self.received.is_empty() => Ok(()),
                    _ => Err(format!("got {:?}", self.received)),
                }
            }
            ("! ", ("wait", seconds)) => {
                tokio::time::sleep(Duration::from_secs(seconds.parse().unwrap())).await;
                Ok(())
            }
            ("! ", ("silence", _)) => {
                while self.fill().await {
                    self.received.clear();
                }
                Ok(())
            }
            ("! ", ("closed", _)) => match self.received.is_empty() && !self.fill().await {
                true => Ok(()),
                false => Err(format!("got {:?}", self.received)),
            },
            ("! ", ("close", _)) => {
                self.stream = None;
                Ok(())
            }
            _ => Err("no such step".to_owned()),
        }
    }

    async fn expect(&mut self, pattern: &str) -> Result<(), String> {
        let line = self.line().await?;
        match fits(pattern, &line) {
            true => Ok(()),
            false => Err(format!("got {}", line.escape_debug())),
        }
    }

    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.received.split_to(end);
                self.received.advance(2);
                let line = String::from_utf8_lossy(&line).into_owned();
                self.log += &format!("C: {}\n", line.escape_debug());
                return Ok(line);
            }
            if !self.fill().await {
                return Err("the client closed".to_owned());
            }
        }
    }

    async fn take_data(&mut self) -> Result<(), String> {
        let (mut decoder, mut out) = (DataDecoder::new(u64::MAX), Vec::new());
        loop {
            if decoder.decode(&mut self.received, &mut out) == DataStatus::End {
                assert!(!decoder.has_bare_line_end(), "bare CR or LF on the wire");
                self.messages.lock().push(out.concat());
                return Ok(());
            }
            if !self.fill().await {
                return Err("the client closed in the message".to_owned());
            }
        }
    }

    async fn take_chunk(&mut self) -> Result<(), String> {
        let line = self.line().await?;
        let words: Vec<&str> = line.split(' ').collect();
        let &["BDAT", size, ref rest @ ..] = &words[..] else {
            return Err(format!("got {line}"));
        };
        let size: usize = size.parse().unwrap();
        while self.received.len() < size {
            if !self.fill().await {
                return Err("the client closed in a chunk".to_owned());
            }
        }
        self.chunks.extend_from_slice(&self.received.split_to(size));
        if rest == ["LAST"] {
            self.messages.lock().push(std::mem::take(&mut self.chunks));
        }
        Ok(())
    }

    /// Whether more came.
    async fn fill(&mut self) -> bool {
        match &mut self.stream {
            Some(stream) => matches!(stream.read_buf(&mut self.received).await, Ok(1..)),
            None => false,
        }
    }
}

fn counted(rest: &str) -> (usize, &str) {
    let (count, line) = rest.split_once(' ').unwrap();
    (count.parse().unwrap(), line)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, byte == b'\\') {
            (_, false) => byte,
            _ => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => other,
            },
        });
    }
    bytes
}

/// Whether a line fits a pattern in which each `*` stands for anything.
fn fits(pattern: &str, line: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == line;
    };
    let Some(rest) = line.strip_prefix(head) else {
        return false;
    };
    (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(tail, &rest[at..]))
}
