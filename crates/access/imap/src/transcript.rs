//! What clients ask, a row for each command (Exchange: IMAP4 protocol log), where the operator wants
//! it. Passwords, messages, what is searched for and what clients say of themselves are never in it.

use crate::session::Session;
use base::logs::{LogKind, LogWriter, Row};
use bytes::BytesMut;
use codec_imap::{Command, CommandBody, LiteralForm, Status};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The log of what clients ask.
pub static PROTOCOL_LOG: LogKind = LogKind {
    directory: "imap",
    prefix: "IMAP4",
    title: "IMAP4 Log",
    fields: &[
        "dateTime",
        "sessionId",
        "seqNumber",
        "sIp",
        "cIp",
        "user",
        "duration",
        "rqsize",
        "rpsize",
        "command",
        "parameters",
        "context",
    ],
};

/// Where commands are logged, and whether that is wanted when a session begins.
#[derive(Clone)]
pub struct CommandLog {
    /// Where.
    pub writer: LogWriter,
    /// Whether.
    pub wanted: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// The rows of a session.
pub(crate) struct Transcript {
    writer: LogWriter,
    session: String,
    client: SocketAddr,
    sequence: u64,
    asked: Option<Asked>,
}

/// A command that is not answered yet.
struct Asked {
    name: &'static str,
    parameters: Vec<u8>,
    bytes: usize,
    begun: Duration,
}

impl CommandLog {
    /// The rows of a session that begins now, if they are wanted.
    pub(crate) fn begin(&self, session: u64, client: SocketAddr) -> Option<Box<Transcript>> {
        (self.wanted)().then(|| {
            let (writer, session) = (self.writer.clone(), format!("{session:016X}"));
            Box::new(Transcript { writer, session, client, sequence: 0, asked: None })
        })
    }
}

impl Session {
    /// A command has come.
    pub(crate) fn asked(&mut self, command: &Command, bytes: usize) {
        if let Some(log) = &mut self.log {
            let begun = self.shared.env.clock.monotonic();
            let (name, parameters) = (command.body.name(), shown(command));
            log.asked = Some(Asked { name, parameters, bytes, begun });
        }
    }

    /// A message is being put.
    pub(crate) fn asked_to_append(&mut self, bytes: usize) {
        if let Some(log) = &mut self.log {
            let begun = self.shared.env.clock.monotonic();
            log.asked = Some(Asked { name: "APPEND", parameters: Vec::new(), bytes, begun });
        }
    }

    /// The command has its answer.
    pub(crate) fn answered(&mut self, status: Status) {
        let Some(log) = &mut self.log else { return };
        let Some(asked) = log.asked.take() else { return };
        let user = self.state.user().map(|user| user.account.address.to_string());
        let took = self.shared.env.clock.monotonic().saturating_sub(asked.begun);
        let result = match status {
            Status::Ok => "R=ok",
            Status::No => "R=no",
            Status::Bad => "R=bad",
            _ => "R=",
        };
        log.row(&asked, &user.unwrap_or_default(), took, result);
    }
}

impl Transcript {
    fn row(&mut self, asked: &Asked, user: &str, took: Duration, result: &str) {
        let row = Row::at(self.writer.clock().now())
            .plain(&self.session)
            .plain(self.sequence)
            .plain("")
            .plain(self.client)
            .text(user.as_bytes())
            .plain(took.as_millis())
            .plain(asked.bytes)
            .plain("")
            .plain(asked.name)
            .text(&asked.parameters)
            .plain(result);
        self.sequence += 1;
        self.writer.put(&PROTOCOL_LOG, row);
    }
}

/// What of a command's arguments is shown: names of mailboxes, numbers and flags.
fn shown(command: &Command) -> Vec<u8> {
    match &command.body {
        CommandBody::Select(_)
        | CommandBody::Examine(_)
        | CommandBody::Create(_)
        | CommandBody::Delete(_)
        | CommandBody::Rename(_)
        | CommandBody::Subscribe(_)
        | CommandBody::Unsubscribe(_)
        | CommandBody::List(_)
        | CommandBody::Lsub(_)
        | CommandBody::Status(_)
        | CommandBody::Expunge(_)
        | CommandBody::Fetch(_)
        | CommandBody::Store(_)
        | CommandBody::Copy(_)
        | CommandBody::Move(_)
        | CommandBody::Enable(_) => {}
        _ => return Vec::new(),
    }
    let mut text = BytesMut::new();
    command.encode(&mut text, LiteralForm::Plain);
    // Behind the tag and the name.
    let rest = text.trim_ascii_end().splitn(3, |byte| *byte == b' ').nth(2);
    rest.unwrap_or_default().to_vec()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use codec_imap::{FrameEvent, Framer, Limits};

    fn check(line: &str, expect: &str) {
        let mut framer = Framer::new(Limits::PRE_AUTH);
        let mut input = BytesMut::from(format!("{line}\r\n").as_bytes());
        let FrameEvent::Command(raw) = framer.next(&mut input).unwrap() else {
            panic!("{line} is no command")
        };
        let command = Command::parse(&raw).unwrap();
        assert_eq!(String::from_utf8(shown(&command)).unwrap(), expect, "{line}");
    }

    #[test]
    fn secrets_and_content_are_not_shown() {
        check("a1 LOGIN alice secret", "");
        check("a1 AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==", "");
        check("a1 SEARCH BODY \"merger\"", "");
        check("a1 ID (\"name\" \"x\")", "");
        check("a1 NOOP", "");
        check("a1 SELECT INBOX", "INBOX");
        check("a1 UID FETCH 1:5 (FLAGS)", "FETCH 1:5 (FLAGS)");
        check("a1 STORE 1 +FLAGS (\\Seen)", "1 +FLAGS (\\Seen)");
    }
}
