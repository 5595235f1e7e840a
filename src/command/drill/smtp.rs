//! A client that submits mail (RFC 6409) over TLS.

use super::places::Places;
use super::talk::Talk;
use crate::cli::DrillArguments;
use base::{Error, Kind, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A session that has signed in.
pub(super) struct Writer {
    talk: Talk,
    mailbox: String,
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Sent {
    /// The server has taken it.
    Acknowledged,
    /// Nothing of it can be there.
    No(Error),
    /// It was sent, and nobody knows.
    Unknown(Error),
}

/// What a reply means.
struct Reply {
    code: u16,
    text: String,
}

impl Reply {
    /// The error of a reply that is not wanted: 4 is for a while, 5 for good (RFC 5321 §4.2.1).
    fn refusal(self) -> Error {
        let kind = match self.code / 100 {
            4 if self.code == 421 => Kind::Unavailable,
            4 => Kind::Overloaded,
            _ => Kind::Denied,
        };
        Error::new(kind, self.text)
    }

    fn wanted(self, class: u16) -> Result<()> {
        if self.code / 100 == class { Ok(()) } else { Err(self.refusal()) }
    }
}

impl Writer {
    /// Connects and signs in.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] without a server, [`Kind::Overloaded`] if it refuses for a while,
    /// [`Kind::Denied`] if for good.
    pub(super) async fn connect(
        places: &Places,
        arguments: &DrillArguments,
        place: usize,
    ) -> Result<Self> {
        let talk = Talk::connect(places, &places.all[place].submission).await?;
        let mut writer = Self { talk, mailbox: arguments.mailbox.clone() };
        writer.reply().await?.wanted(2)?;
        writer.command("EHLO drill.invalid").await?.wanted(2)?;
        let secret = format!("\0{}\0{}", arguments.mailbox, arguments.password);
        let login = format!("AUTH PLAIN {}", STANDARD.encode(secret));
        writer.command(&login).await?.wanted(2)?;
        Ok(writer)
    }

    /// Sends one message from the mailbox to itself.
    pub(super) async fn send(&mut self, id: &str) -> Sent {
        let mailbox = self.mailbox.clone();
        let envelope = async {
            self.command(&format!("MAIL FROM:<{mailbox}>")).await?.wanted(2)?;
            self.command(&format!("RCPT TO:<{mailbox}>")).await?.wanted(2)?;
            self.command("DATA").await?.wanted(3)
        };
        if let Err(error) = envelope.await {
            return Sent::No(error);
        }
        let message = format!(
            "From: <{mailbox}>\r\nTo: <{mailbox}>\r\nSubject: Rialto drill\r\n\
             Message-ID: <{id}@drill.invalid>\r\nAuto-Submitted: auto-generated\r\n\r\n\
             A probe of a drill.\r\n.\r\n"
        );
        if let Err(error) = self.talk.send(message.as_bytes()).await {
            return Sent::Unknown(error);
        }
        match self.reply().await {
            Ok(reply) if reply.code / 100 == 2 => Sent::Acknowledged,
            Ok(reply) if reply.code / 100 == 5 => Sent::No(reply.refusal()),
            // "Not now" may be said of a commit whose outcome is unknown.
            Ok(reply) => Sent::Unknown(reply.refusal()),
            Err(error) => Sent::Unknown(error),
        }
    }

    async fn command(&mut self, line: &str) -> Result<Reply> {
        self.talk.send(format!("{line}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<Reply> {
        loop {
            let line = self.talk.line().await?;
            if line.as_bytes().get(3) == Some(&b'-') {
                continue;
            }
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code = code.ok_or_else(|| Error::corrupt(format!("no reply: {line}")))?;
            return Ok(Reply { code, text: line });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_tell_for_how_long() {
        let check = |code: u16, expected: Kind| {
            let reply = Reply { code, text: format!("{code} x") };
            assert_eq!(reply.refusal().kind, expected);
        };
        check(421, Kind::Unavailable);
        check(451, Kind::Overloaded);
        check(550, Kind::Denied);
        check(235, Kind::Denied);
    }
}
