//! A small IMAP client (RFC 9051): one command at a time, all its responses collected.

use crate::failure::{Failure, Result};
use crate::net::{Endpoint, PATIENCE, Stream};
use bytes::BytesMut;
use codec_imap::client::{ResponseReader, ServerResponse, Value};
use codec_imap::response::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// The largest response that is collected.
const RESPONSE_BYTES_MAX: u64 = 256 << 20;

/// A session.
pub struct ImapClient {
    stream: Stream,
    input: BytesMut,
    responses: ResponseReader,
    commands: u64,
}

/// How a command ended.
#[derive(Debug)]
pub struct Answer {
    /// What came before the tagged response.
    pub untagged: Vec<ServerResponse>,
    /// The condition of the tagged response.
    pub status: Status,
    /// The words of its code.
    pub code: Vec<Value>,
    /// Its text.
    pub text: String,
}

impl Answer {
    /// This, if the condition is OK.
    ///
    /// # Errors
    /// The text otherwise.
    pub fn ok(self, what: &str) -> Result<Answer> {
        match self.status {
            Status::Ok => Ok(self),
            status => Err(Failure(format!("{what}: {} {}", status.name(), self.text))),
        }
    }

    /// The numbers of the tagged response's code if it is `name`, such as `APPENDUID 38505 3955`.
    #[must_use]
    pub fn code_numbers(&self, name: &str) -> Option<Vec<u64>> {
        let (first, rest) = self.code.split_first()?;
        first.is(name).then(|| rest.iter().filter_map(Value::number).collect())
    }

    /// The first number of an untagged code such as `[UIDNEXT 4392]`.
    #[must_use]
    pub fn untagged_code(&self, name: &str) -> Option<u64> {
        self.untagged.iter().find_map(|response| response.code(name)?.first()?.number())
    }
}

impl ImapClient {
    /// Connects with TLS (port 993) and logs in.
    ///
    /// # Errors
    /// If the connection fails or the login is refused.
    pub async fn open(endpoint: &Endpoint, user: &str) -> Result<ImapClient> {
        let stream = endpoint.connect_tls(993).await?;
        let mut client = ImapClient {
            stream,
            input: BytesMut::new(),
            responses: ResponseReader::new(RESPONSE_BYTES_MAX),
            commands: 0,
        };
        client.response().await?;
        let login = format!("LOGIN {user}@{} {}", crate::world::DOMAIN, crate::world::PASSWORD);
        client.ok(&login).await?;
        Ok(client)
    }

    async fn response(&mut self) -> Result<ServerResponse> {
        loop {
            match self.responses.next(&mut self.input) {
                Ok(Some(response)) => return Ok(response),
                Ok(None) => {}
                Err(error) => return Err(Failure(format!("{error}"))),
            }
            if timeout(PATIENCE, self.stream.read_buf(&mut self.input)).await?? == 0 {
                return Err(Failure::from("the server closed the connection"));
            }
        }
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

    /// Sends a command (without tag and line end) and collects what comes until it is done.
    ///
    /// # Errors
    /// If the connection is gone; a refusal is an answer.
    pub async fn command(&mut self, line: &str) -> Result<Answer> {
        self.command_with(line, &[]).await
    }

    /// The same with a literal at the end, which must be announced as `{n+}` (RFC 7888).
    ///
    /// # Errors
    /// As [`ImapClient::command`].
    pub async fn command_with(&mut self, line: &str, literal: &[u8]) -> Result<Answer> {
        self.commands += 1;
        let tag = format!("c{}", self.commands);
        let mut wire = format!("{tag} {line}\r\n").into_bytes();
        if !literal.is_empty() {
            wire.extend_from_slice(literal);
            wire.extend_from_slice(b"\r\n");
        }
        self.write(&wire).await?;
        let mut untagged = Vec::new();
        loop {
            match self.response().await? {
                ServerResponse::Status { tag: Some(given), status, code, text } if given == tag => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Ok(Answer { untagged, status, code, text });
                }
                other => untagged.push(other),
            }
        }
    }

    /// As [`ImapClient::command`], for a command that must succeed.
    ///
    /// # Errors
    /// If it is refused, too.
    pub async fn ok(&mut self, line: &str) -> Result<Answer> {
        self.command(line).await.and_then(|answer| answer.ok(line))
    }

    /// Appends a message (lines end in CRLF).
    ///
    /// # Errors
    /// As [`ImapClient::command`].
    pub async fn append(&mut self, folder: &str, flags: &str, message: &[u8]) -> Result<Answer> {
        let line = format!("APPEND \"{folder}\" ({flags}) {{{}+}}", message.len());
        self.command_with(&line, message).await
    }

    /// Begins IDLE (RFC 2177); from then on only [`ImapClient::heard`] may be asked.
    ///
    /// # Errors
    /// If the connection is gone or IDLE is refused.
    pub async fn begin_idle(&mut self) -> Result<Vec<ServerResponse>> {
        self.commands += 1;
        self.write(format!("c{} IDLE\r\n", self.commands).as_bytes()).await?;
        let mut before = Vec::new();
        loop {
            match self.response().await? {
                ServerResponse::Continuation(_) => return Ok(before),
                ServerResponse::Status { tag: Some(_), status, text, .. } => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Err(Failure(format!("IDLE: {} {text}", status.name())));
                }
                other => before.push(other),
            }
        }
    }

    /// The next response while nothing is asked, however long that takes.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn heard(&mut self) -> Result<ServerResponse> {
        loop {
            match self.responses.next(&mut self.input) {
                Ok(Some(response)) => return Ok(response),
                Ok(None) => {}
                Err(error) => return Err(Failure(format!("{error}"))),
            }
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(Failure::from("the server closed the connection"));
            }
        }
    }

    /// Says goodbye; nobody minds if the server is gone.
    pub async fn logout(mut self) {
        let _ = self.command("LOGOUT").await;
    }
}
