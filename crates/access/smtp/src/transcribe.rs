//! What of a conversation stands in the protocol log (Exchange: SMTP receive protocol log), if its
//! connector asks for one.
//!
//! Passwords and messages never do. A client that goes on after a refused AUTH or DATA sends them
//! where commands are expected; so of a line that is no command of ours nothing is shown but its
//! length, and of free arguments (HELP, NOOP, VRFY) neither.

use crate::session::Session;
use base::logs::{Conversation, LogKind, PROTOCOL_FIELDS};
use bytes::BytesMut;
use codec_smtp::{Command, CommandError, Reply};

/// The log of what clients say.
pub static PROTOCOL_LOG: LogKind = LogKind {
    directory: "smtp-receive",
    prefix: "RECV",
    title: "SMTP Receive Protocol Log",
    fields: PROTOCOL_FIELDS,
};

/// Verbs that are shown where their line cannot be read, without what stands behind them.
const VERBS: [&str; 14] = [
    "AUTH", "BDAT", "DATA", "EHLO", "EXPN", "HELO", "HELP", "MAIL", "NOOP", "QUIT", "RCPT", "RSET",
    "STARTTLS", "VRFY",
];

/// What begins a line whose arguments say no secret, whatever is wrong with them.
const ENVELOPE: [&[u8]; 2] = [b"MAIL FROM:", b"RCPT TO:"];

impl Session {
    /// A line has come as a command.
    pub(crate) fn heard(&mut self, line: &[u8], parsed: &Result<Command, CommandError>) {
        let Some(log) = &mut self.log else { return };
        match parsed {
            Ok(Command::Auth { mechanism, initial }) => match initial {
                Some(_) => log.received_hidden(&format!("AUTH {mechanism} with a response")),
                None => log.received(format!("AUTH {mechanism}").as_bytes()),
            },
            Ok(Command::Unknown { .. }) => unknown(log, line),
            Ok(Command::Vrfy { .. }) => log.received(b"VRFY"),
            Ok(Command::Expn { .. }) => log.received(b"EXPN"),
            Ok(command) => {
                let mut text = BytesMut::new();
                command.encode(&mut text);
                log.received(text.trim_ascii_end());
            }
            Err(_) => unreadable(log, line),
        }
    }

    /// A line has come that answers a challenge of AUTH.
    pub(crate) fn heard_response(&mut self) {
        if let Some(log) = &mut self.log {
            log.received_hidden("authentication");
        }
    }

    /// A reply is on its way.
    pub(crate) fn told(&mut self, reply: &Reply) {
        if let Some(log) = &mut self.log {
            let bytes = reply.to_bytes();
            bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).for_each(|line| {
                log.sent(line.trim_ascii_end());
            });
        }
    }

    /// Something happened.
    pub(crate) fn noted(&mut self, what: &str, context: &str) {
        if let Some(log) = &mut self.log {
            log.note(what, context);
        }
    }
}

fn unknown(log: &mut Conversation, line: &[u8]) {
    log.received_hidden(&format!("no command, {} bytes", line.len()));
}

fn unreadable(log: &mut Conversation, line: &[u8]) {
    let begins =
        |with: &[u8]| line.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    if ENVELOPE.iter().any(|with| begins(with)) {
        return log.received(line);
    }
    let is_verb = |verb: &&&str| {
        let end = line.get(verb.len());
        begins(verb.as_bytes()) && end.is_none_or(|byte| *byte == b' ')
    };
    match VERBS.iter().find(is_verb) {
        Some(verb) => log.received_hidden(&format!("{verb} that cannot be read")),
        None => unknown(log, line),
    }
}
