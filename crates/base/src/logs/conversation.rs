//! What two sides said, row after row, in the columns of Exchange's protocol logs.

use super::writer::LogWriter;
use super::{LogKind, Row};
use std::fmt::Display;
use std::sync::Arc;

/// The columns of a protocol log.
pub const PROTOCOL_FIELDS: &[&str] = &[
    "date-time",
    "connector-id",
    "session-id",
    "sequence-number",
    "local-endpoint",
    "remote-endpoint",
    "event",
    "data",
    "context",
];

/// What stands for what is never logged.
const HIDDEN: &str = "*****";

/// Whether conversations of a connector are logged, by its name.
type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// A log of conversations.
#[derive(Clone)]
pub struct ConversationLog {
    kind: &'static LogKind,
    writer: LogWriter,
    wanted: Wanted,
}

impl ConversationLog {
    /// A log of this kind, which must have [`PROTOCOL_FIELDS`]. `wanted` is asked when a conversation
    /// begins, with the name of its connector.
    pub fn new(
        kind: &'static LogKind,
        writer: LogWriter,
        wanted: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { kind, writer, wanted: Arc::new(wanted) }
    }

    /// The log of a conversation that begins now, if it is wanted. Ends are `address:port`.
    pub fn begin(
        &self,
        connector: &str,
        session: impl Display,
        local: impl Display,
        remote: impl Display,
    ) -> Option<Box<Conversation>> {
        if !(self.wanted)(connector) {
            return None;
        }
        let mut conversation = Box::new(Conversation {
            log: self.clone(),
            connector: connector.to_owned(),
            session: session.to_string(),
            ends: format!("{local},{remote}"),
            sequence: 0,
        });
        conversation.row('+', b"", "");
        Some(conversation)
    }
}

/// A conversation that is logged; its end is logged when it is dropped.
pub struct Conversation {
    log: ConversationLog,
    connector: String,
    session: String,
    ends: String,
    sequence: u64,
}

impl Conversation {
    /// We said a line.
    pub fn sent(&mut self, line: &[u8]) {
        self.row('>', line, "");
    }

    /// The other side said a line.
    pub fn received(&mut self, line: &[u8]) {
        self.row('<', line, "");
    }

    /// We said something that is never logged, a password say.
    pub fn sent_hidden(&mut self, what: &str) {
        self.row('>', HIDDEN.as_bytes(), what);
    }

    /// The other side said something that is never logged.
    pub fn received_hidden(&mut self, what: &str) {
        self.row('<', HIDDEN.as_bytes(), what);
    }

    /// Something happened.
    pub fn note(&mut self, what: &str, context: &str) {
        self.row('*', what.as_bytes(), context);
    }

    fn row(&mut self, event: char, data: &[u8], context: &str) {
        let ConversationLog { kind, writer, .. } = &self.log;
        let row = Row::at(writer.clock().now())
            .text(self.connector.as_bytes())
            .plain(&self.session)
            .plain(self.sequence)
            .plain(&self.ends)
            .plain(event)
            .text(data)
            .text(context.as_bytes());
        self.sequence += 1;
        writer.put(kind, row);
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.row('-', b"", "");
    }
}
