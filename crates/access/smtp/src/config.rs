//! What an operator may set, and why the defaults are what they are.
//!
//! "Exchange" means the receive connector of Exchange Server 2019 where nothing else is said.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Exchange's MaxMessageSize is 36 MB; 50 MiB lets a 36 MB attachment through after base64.
pub const MESSAGE_BYTES_MAX: u64 = contract_transport::MESSAGE_BYTES_MAX;
/// Exchange's MaxRecipientsPerMessage is 200 (5,000 inside); RFC 5321 §4.5.3.1.8 asks for 100.
pub const RECIPIENTS_MAX: usize = contract_transport::RECIPIENTS_MAX;
/// Exchange's MaxHeaderSize.
pub const HEADER_BYTES_MAX: usize = 256 * 1024;
/// Exchange's MaxHopCount.
pub const HOPS_MAX: usize = 30;
/// Exchange's TarpitInterval: makes guessing addresses and passwords slow, honest clients hardly
/// ever meet it.
pub const TARPIT_MS: u64 = 5_000;
/// All such waits of a session together: a dozen. An honest envelope with many recipients that are
/// gone must not be held until its client gives up; guesses behind it are counted as junk instead.
pub const TARPIT_TOTAL_MS: u64 = 60_000;
/// Exchange's MaxProtocolErrors.
pub const PROTOCOL_ERRORS_MAX: u32 = 5;
/// Exchange's MaxLogonFailures.
pub const LOGON_FAILURES_MAX: u32 = 3;
/// Commands that move no mail, such as NOOP: a client needs a few; Postfix allows 100, too.
pub const JUNK_COMMANDS_MAX: u32 = 100;
/// Exchange's ConnectionTimeout. A message that is on its way may end first.
pub const CONNECTION_TIMEOUT_MS: u64 = 10 * 60 * 1_000;
/// Exchange's ConnectionInactivityTimeout, and what RFC 5321 §4.5.3.2.7 asks for. Counts until a
/// whole command line is there, so that single bytes do not buy time.
pub const IDLE_TIMEOUT_MS: u64 = 5 * 60 * 1_000;
/// A message that has been coming for as long as the connection timeout must have come this fast
/// on average: half of what an analogue modem did.
pub const MESSAGE_BYTES_PER_S_MIN: u64 = 2_000;
/// Exchange allows 5 on client listeners, which a person with a queue of drafts exceeds.
pub const SUBMISSIONS_PER_MINUTE: u32 = 30;
/// Memory for the bytes of messages that are coming in, all sessions together. One message uses
/// less than 2 MB of it, most a few kilobytes.
pub const MESSAGE_BUFFERS_BYTES: usize = 256 * 1024 * 1024;
/// Nobody waits longer for an answer that may not come.
pub const COMMIT_TIMEOUT_MS: u64 = 10_000;

pub use contract_transport::receive::Role;

/// How sessions behave where their receive connector says nothing else. Times in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The server's own name in greetings and trace headers.
    pub host_name: String,
    /// Whom the listener is for.
    pub role: Role,
    /// The largest message; told to clients as SIZE.
    pub message_bytes_max: u64,
    /// The most recipients of one envelope.
    pub recipients_max: usize,
    /// The largest header of a message.
    pub header_bytes_max: usize,
    /// The most Received fields a message may have when it comes.
    pub hops_max: usize,
    /// The wait before an answer that helps with guessing.
    pub tarpit_ms: u64,
    /// The longest that a session is made to wait so in all.
    pub tarpit_total_ms: u64,
    /// Whether clients on the machine itself are spared that wait and limits per source.
    pub loopback_exempt: bool,
    /// So many commands that make no sense end the session.
    pub protocol_errors_max: u32,
    /// So many wrong passwords end the session.
    pub logon_failures_max: u32,
    /// After so many commands that move no mail, each counts as a protocol error; a message that
    /// is accepted starts the count anew.
    pub junk_commands_max: u32,
    /// After this long a session ends between two commands.
    pub connection_timeout_ms: u64,
    /// The longest wait for a command, or for more of a message.
    pub idle_timeout_ms: u64,
    /// The slowest a message may come, once the connection timeout has passed for it.
    pub message_bytes_per_s_min: u64,
    /// How many messages a minute one account may submit on this node; `None` is any number.
    pub submissions_per_minute: Option<u32>,
    /// The same for one source: an IPv4 address or an IPv6 /64.
    pub source_messages_per_minute: Option<u32>,
    /// How many sessions a connector may have on this node, beside what the listener says.
    pub connections_max: Option<usize>,
    /// How many of them one source may have.
    pub connections_per_source_max: Option<usize>,
    /// Memory for the bytes of incoming messages, all sessions together.
    pub message_buffers_bytes: usize,
    /// How long a commit may take before the client is told to try again.
    pub commit_timeout_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host_name: "localhost".to_owned(),
            role: Role::default(),
            message_bytes_max: MESSAGE_BYTES_MAX,
            recipients_max: RECIPIENTS_MAX,
            header_bytes_max: HEADER_BYTES_MAX,
            hops_max: HOPS_MAX,
            tarpit_ms: TARPIT_MS,
            tarpit_total_ms: TARPIT_TOTAL_MS,
            loopback_exempt: false,
            protocol_errors_max: PROTOCOL_ERRORS_MAX,
            logon_failures_max: LOGON_FAILURES_MAX,
            junk_commands_max: JUNK_COMMANDS_MAX,
            connection_timeout_ms: CONNECTION_TIMEOUT_MS,
            idle_timeout_ms: IDLE_TIMEOUT_MS,
            message_bytes_per_s_min: MESSAGE_BYTES_PER_S_MIN,
            submissions_per_minute: Some(SUBMISSIONS_PER_MINUTE),
            source_messages_per_minute: None,
            connections_max: None,
            connections_per_source_max: None,
            message_buffers_bytes: MESSAGE_BUFFERS_BYTES,
            commit_timeout_ms: COMMIT_TIMEOUT_MS,
        }
    }
}

impl Config {
    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn connection_timeout(&self) -> Duration {
        Duration::from_millis(self.connection_timeout_ms)
    }

    pub(crate) fn commit_timeout(&self) -> Duration {
        Duration::from_millis(self.commit_timeout_ms)
    }
}
