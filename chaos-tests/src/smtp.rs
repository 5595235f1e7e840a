//! A small SMTP client (RFC 5321) that knows at which moment a message became the server's.

use crate::failure::{Failure, Result};
use crate::net::{Endpoint, PATIENCE, Stream};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use codec_smtp::{DotStuffer, Reply, ReplyReader};
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// What became of a message, as its sender can know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The server took it: 250 after the end of data. It must be there exactly once.
    Acknowledged,
    /// The server refused it, with this answer. It must not be there.
    Refused(String),
    /// The server gave it back after the end of data, to be tried again later (451). It should
    /// not be there, but where its store answered nothing at all it may be, once
    /// (docs/decisions/0016).
    Deferred(String),
    /// The connection died after the end of data was under way: it is there once or not at all.
    Unknown(String),
    /// The connection died before the end of data was written. It must not be there.
    NotOffered(String),
}

/// How to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Port 25 without TLS, as another server would.
    Transfer,
    /// Port 587 with STARTTLS and AUTH.
    Submission,
    /// Port 465 with TLS from the start and AUTH.
    Submissions,
}

/// A session.
pub struct SmtpClient {
    stream: Stream,
    input: BytesMut,
    replies: ReplyReader,
}

impl SmtpClient {
    /// Connects and says EHLO; through the doors for users, starts TLS and logs in as `user`.
    ///
    /// # Errors
    /// If the connection fails or the server refuses a step.
    pub async fn open(endpoint: &Endpoint, door: Door, user: &str) -> Result<SmtpClient> {
        let stream = match door {
            Door::Transfer => endpoint.connect(25).await?,
            Door::Submission => endpoint.connect(587).await?,
            Door::Submissions => endpoint.connect_tls(465).await?,
        };
        let mut client = SmtpClient::over(stream);
        client.expect("the greeting", 220).await?;
        client.command("EHLO chaos.example", 250).await?;
        if door == Door::Submission {
            client.command("STARTTLS", 220).await?;
            client = SmtpClient::over(endpoint.start_tls(client.stream).await?);
            client.command("EHLO chaos.example", 250).await?;
        }
        if door != Door::Transfer {
            let plain = STANDARD.encode(format!("\0{user}\0{}", crate::world::PASSWORD));
            client.command(&format!("AUTH PLAIN {plain}"), 235).await?;
        }
        Ok(client)
    }

    /// A session on a fresh connection; the greeting is not read yet.
    #[must_use]
    pub fn over(stream: Stream) -> SmtpClient {
        SmtpClient { stream, input: BytesMut::new(), replies: ReplyReader::new() }
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        timeout(PATIENCE, self.stream.write_all(bytes)).await??;
        timeout(PATIENCE, self.stream.flush()).await??;
        Ok(())
    }

    /// The next reply.
    ///
    /// # Errors
    /// If the connection is gone, or what came is no reply.
    pub async fn reply(&mut self) -> Result<Reply> {
        loop {
            match self.replies.next_reply(&mut self.input) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(error) => return Err(Failure(error.to_string())),
            }
            if timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await?? == 0 {
                return Err(Failure::from("the server closed the connection"));
            }
        }
    }

    async fn expect(&mut self, what: &str, code: u16) -> Result<Reply> {
        let reply = self.reply().await.map_err(|error| error.while_doing(what))?;
        if reply.code() == code {
            return Ok(reply);
        }
        Err(Failure(format!("{what}: {}", shown(&reply))))
    }

    /// Sends one line and waits for the reply, which must have this code.
    ///
    /// # Errors
    /// If the connection is gone or the code is another.
    pub async fn command(&mut self, line: &str, code: u16) -> Result<Reply> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.expect(line, code).await
    }

    /// Sends a message (lines end in CRLF), MAIL, RCPT and DATA in one piece (RFC 2920).
    pub async fn send(&mut self, from: &str, to: &[String], message: &Bytes) -> Fate {
        match self.open_data(from, to).await {
            Ok(None) => {}
            Ok(Some(refused)) => return Fate::Refused(refused),
            Err(error) => return Fate::NotOffered(error.0),
        }
        let mut wire = Vec::new();
        let mut stuffer = DotStuffer::new();
        stuffer.push(message, &mut wire);
        for piece in wire.drain(..) {
            if let Err(error) = self.write(&piece).await {
                return Fate::NotOffered(error.0);
            }
        }
        stuffer.finish(&mut wire);
        if let Err(error) = self.write(&wire.concat()).await {
            return Fate::Unknown(error.0);
        }
        match self.reply().await {
            Ok(reply) if reply.code() == 250 => Fate::Acknowledged,
            Ok(reply) if reply.code() == 451 => Fate::Deferred(shown(&reply)),
            Ok(reply) => Fate::Refused(shown(&reply)),
            Err(error) => Fate::Unknown(error.0),
        }
    }

    /// Up to the 354; or the refusal, after which the session is as new.
    async fn open_data(&mut self, from: &str, to: &[String]) -> Result<Option<String>> {
        let mut lines = format!("MAIL FROM:<{from}> BODY=8BITMIME\r\n");
        for recipient in to {
            let _ = write!(lines, "RCPT TO:<{recipient}>\r\n");
        }
        lines.push_str("DATA\r\n");
        self.write(lines.as_bytes()).await?;
        let mut refused = None;
        for _ in 0..=to.len() {
            let reply = self.reply().await?;
            if reply.code() != 250 {
                refused.get_or_insert(shown(&reply));
            }
        }
        let reply = self.reply().await?;
        match (reply.is_intermediate(), refused) {
            (true, None) => Ok(None),
            (false, Some(refused)) => {
                self.command("RSET", 250).await?;
                Ok(Some(refused))
            }
            (false, None) => Ok(Some(shown(&reply))),
            // Some recipients were taken: a bare CR ends it, which gets nobody a message.
            (true, Some(refused)) => {
                self.command("never\rmind\r\n.", 550).await?;
                Ok(Some(refused))
            }
        }
    }

    /// Says goodbye; nobody minds if the server is gone.
    pub async fn quit(mut self) {
        let _ = self.command("QUIT", 221).await;
    }
}

/// A reply as one line.
#[must_use]
pub fn shown(reply: &Reply) -> String {
    let code = reply.enhanced().map_or(String::new(), |code| format!(" {code}"));
    format!("{}{code} {}", reply.code(), reply.lines().join(" / "))
}
