//! The limits that a receive connector may have of its own, each with its name and bounds.

use crate::RECIPIENTS_MAX;
use base::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Limits that were set.
pub type Limits = BTreeMap<Limit, u64>;

/// One limit. Stored: append only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Limit {
    /// The largest message, in bytes; told to clients as SIZE.
    MessageBytes,
    /// Recipients of one envelope.
    Recipients,
    /// The largest header of a message, in bytes.
    HeaderBytes,
    /// Received fields that a message may have when it comes.
    Hops,
    /// Sessions at once, on each node.
    Connections,
    /// Of one source: an IPv4 address or an IPv6 /64.
    ConnectionsPerSource,
    /// Messages a minute of one account, on each node; 0 is any number.
    UserMessagesPerMinute,
    /// Messages a minute of one source, on each node; 0 is any number.
    SourceMessagesPerMinute,
    /// The wait before an answer that helps with guessing; 0 is none.
    TarpitMs,
    /// So many commands that make no sense end a session.
    ProtocolErrors,
    /// So many wrong passwords end a session.
    LogonFailures,
    /// After this long a session ends between two commands.
    ConnectionTimeoutMs,
    /// The longest wait for a command.
    IdleTimeoutMs,
}

/// What is known of a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitRow {
    /// Which.
    pub limit: Limit,
    /// As people write it, with its unit.
    pub name: &'static str,
    /// The least that makes sense.
    pub min: u64,
    /// The most.
    pub max: u64,
}

const DAY_MS: u64 = 24 * 3600 * 1000;

/// All limits. What bounds them from above: the size that is promised to work (150 MB), what the
/// queue takes (recipients), the memory of a session (header), and that a session ends.
pub const LIMITS: [LimitRow; 13] = [
    row(Limit::MessageBytes, "message_bytes_max", 1_000, 150 << 20),
    row(Limit::Recipients, "recipients_max", 1, RECIPIENTS_MAX as u64),
    row(Limit::HeaderBytes, "header_bytes_max", 1_000, 1 << 20),
    row(Limit::Hops, "hops_max", 1, 500),
    row(Limit::Connections, "connections_max", 1, 1_000_000),
    row(Limit::ConnectionsPerSource, "connections_per_source_max", 1, 1_000_000),
    row(Limit::UserMessagesPerMinute, "messages_per_minute_user", 0, 1_000_000),
    row(Limit::SourceMessagesPerMinute, "messages_per_minute_source", 0, 1_000_000),
    row(Limit::TarpitMs, "tarpit_ms", 0, 60_000),
    row(Limit::ProtocolErrors, "protocol_errors_max", 1, 1_000),
    row(Limit::LogonFailures, "logon_failures_max", 1, 100),
    row(Limit::ConnectionTimeoutMs, "connection_timeout_ms", 1_000, DAY_MS),
    row(Limit::IdleTimeoutMs, "idle_timeout_ms", 1_000, DAY_MS),
];

const fn row(limit: Limit, name: &'static str, min: u64, max: u64) -> LimitRow {
    LimitRow { limit, name, min, max }
}

impl Limit {
    /// What is known of it.
    pub fn row(self) -> &'static LimitRow {
        // The rows stand in the order of the variants, which a test sees to.
        &LIMITS[self as usize]
    }

    /// A limit by its name.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`], with the names that there are.
    pub fn named(name: &str) -> Result<Self> {
        let found = LIMITS.iter().find(|row| row.name == name);
        found.map(|row| row.limit).ok_or_else(|| {
            let names: Vec<_> = LIMITS.iter().map(|row| row.name).collect();
            let shown = name.escape_debug();
            Error::invalid(format!("\"{shown}\" is no limit: {}", names.join(", ")))
        })
    }
}
