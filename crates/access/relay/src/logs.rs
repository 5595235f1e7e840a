//! What the operator can read of conversations with other servers: line by line where the connector
//! asks for it (Exchange: SMTP send protocol log), and how each search for a host went (Exchange:
//! connectivity log). Passwords and messages are in neither.

use base::Timestamp;
use base::env::Env;
use base::logs::{Conversation, ConversationLog, LogKind, LogWriter, PROTOCOL_FIELDS, Row};
use contract_transport::courier::{Destination, NextHop};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The log of what is said to other servers.
pub static PROTOCOL_LOG: LogKind = LogKind {
    directory: "smtp-send",
    prefix: "SEND",
    title: "SMTP Send Protocol Log",
    fields: PROTOCOL_FIELDS,
};

/// The log of how connections came about, and what went over them.
pub static CONNECTIVITY_LOG: LogKind = LogKind {
    directory: "connectivity",
    prefix: "CONNECTLOG",
    title: "Transport Connectivity Log",
    fields: &["date-time", "session", "source", "Destination", "direction", "description"],
};

/// Where conversations are logged.
#[derive(Clone)]
pub struct Logs {
    /// What is said.
    pub conversations: ConversationLog,
    /// How connections go.
    pub connectivity: LogWriter,
    /// Whether that is wanted now.
    pub connectivity_wanted: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// One way to a next hop: the search for a host, and the conversation that comes of it. Its end is
/// logged when it is dropped.
pub(crate) struct Course {
    connector: String,
    destination: String,
    session: String,
    conversations: Option<ConversationLog>,
    connectivity: Option<LogWriter>,
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Course {
    /// Begins.
    pub(crate) fn begin(hop: &NextHop, logs: Option<&Logs>, env: &Env) -> Arc<Self> {
        let destination = match &hop.destination {
            Destination::Domain(domain) => domain.clone(),
            Destination::SmartHosts(hosts) => {
                hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(" ")
            }
        };
        let connectivity = logs.filter(|logs| (logs.connectivity_wanted)());
        let course = Arc::new(Self {
            connector: hop.connector.clone(),
            destination,
            session: format!("{:016X}", env.random.u64()),
            conversations: logs.map(|logs| logs.conversations.clone()),
            connectivity: connectivity.map(|logs| logs.connectivity.clone()),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        });
        let way = match &hop.destination {
            Destination::Domain(_) => "DnsConnectorDelivery",
            Destination::SmartHosts(_) => "SmartHostConnectorDelivery",
        };
        course.row('+', format_args!("{way} {}", course.connector));
        course
    }

    /// By which connector.
    pub(crate) fn connector(&self) -> &str {
        &self.connector
    }

    /// Something happened on the way.
    pub(crate) fn note(&self, what: impl Display) {
        self.row('>', what);
    }

    /// The log of what is said on one connection, if it is wanted.
    pub(crate) fn conversation(&self, remote: impl Display) -> Option<Box<Conversation>> {
        self.conversations.as_ref()?.begin(&self.connector, &self.session, "", remote)
    }

    /// A message was taken.
    pub(crate) fn relayed(&self, bytes: u64) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn row(&self, direction: char, description: impl Display) {
        let Some(writer) = &self.connectivity else { return };
        let now: Timestamp = writer.clock().now();
        let row = Row::at(now)
            .plain(&self.session)
            .plain("SMTP")
            .text(self.destination.as_bytes())
            .plain(direction)
            .text(description.to_string().as_bytes());
        writer.put(&CONNECTIVITY_LOG, row);
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        let (messages, bytes) = (self.messages.get_mut(), self.bytes.get_mut());
        let text = format!("Messages: {messages} Bytes: {bytes}");
        self.row('-', text);
    }
}
