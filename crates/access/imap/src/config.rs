//! What an operator can set, and the bounds that nobody can.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sessions of one user on one node (64; Exchange has 16).
pub const CONNECTIONS_PER_USER_MAX: usize = 64;
/// Wrong passwords in one connection before it is closed.
pub const FAILED_LOGINS_MAX: u32 = 3;
/// How long a client may take to sign in (Exchange's PreAuthenticatedConnectionTimeout).
pub const LOGIN_TIMEOUT_MS: u64 = 60 * 1000;
/// How long a signed-in client may be silent, IDLE among it: the least that RFC 3501 §5.4 allows.
pub const IDLE_TIMEOUT_MS: u64 = 30 * 60 * 1000;
/// How long a client may stop in the middle of a command or a message, and how long a command may
/// take in all where it does not come at [`COMMAND_BYTES_PER_S_MIN`].
pub const STALL_TIMEOUT_MS: u64 = 2 * 60 * 1000;
/// How often a session in IDLE asks although no wake-up came, since wake-ups may be lost.
pub const IDLE_POLL_MS: u64 = 60 * 1000;
/// The largest message that APPEND takes.
pub const MESSAGE_BYTES_MAX: u64 = 50 << 20;

/// A command that takes longer than the stall timeout, such as the APPEND of a large message, must
/// have come this fast on average: half of what an analogue modem did.
pub(crate) const COMMAND_BYTES_PER_S_MIN: u64 = 2_000;
/// Output that is gathered before it is sent.
pub(crate) const OUTPUT_BYTES: usize = 64 * 1024;
/// Commands in a row that are no IMAP, from a stranger, before the connection is closed: a browser
/// that was sent here by somebody else's page gets no further (attack 21, ALPACA).
pub(crate) const BAD_PRE_AUTH_MAX: u32 = 3;
/// The same for a client that has signed in.
pub(crate) const BAD_MAX: u32 = 50;
/// Folders that one CREATE or RENAME makes above the one it names.
pub(crate) const MISSING_PARENTS_MAX: usize = 32;
/// Messages that are prepared together for FETCH: one question for their structures.
pub(crate) const FETCH_BATCH: usize = contract_mailbox::request::META_MAX;
/// The same where fetching sets \Seen: so many at most are marked before they were sent.
pub(crate) const FETCH_SEEN_BATCH: usize = 32;
/// Messages whose bytes are read ahead while earlier ones are sent.
pub(crate) const FETCH_AHEAD: usize = 8;
/// Bytes of one message that are read ahead; larger pieces are streamed.
pub(crate) const FETCH_AHEAD_BYTES: u64 = 64 * 1024;
/// How much of a header HEADER.FIELDS looks through; the fields behind are not found.
pub(crate) const HEADER_BYTES_MAX: u64 = 1 << 20;

/// The settings of the IMAP service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Sessions of one user on one node.
    pub connections_per_user_max: usize,
    /// Wrong passwords in one connection before it is closed.
    pub failed_logins_max: u32,
    /// How long a client may take to sign in, in milliseconds.
    pub login_timeout_ms: u64,
    /// How long a signed-in client may be silent, in milliseconds.
    pub idle_timeout_ms: u64,
    /// How long a client may stop in the middle of a command, in milliseconds.
    pub stall_timeout_ms: u64,
    /// How often IDLE asks without having been woken, in milliseconds.
    pub idle_poll_ms: u64,
    /// The largest message that APPEND takes, in bytes.
    pub message_bytes_max: u64,
    /// Whether passwords may be sent without TLS.
    pub allow_clear_login: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_per_user_max: CONNECTIONS_PER_USER_MAX,
            failed_logins_max: FAILED_LOGINS_MAX,
            login_timeout_ms: LOGIN_TIMEOUT_MS,
            idle_timeout_ms: IDLE_TIMEOUT_MS,
            stall_timeout_ms: STALL_TIMEOUT_MS,
            idle_poll_ms: IDLE_POLL_MS,
            message_bytes_max: MESSAGE_BYTES_MAX,
            allow_clear_login: false,
        }
    }
}

impl Config {
    pub(crate) fn login_timeout(&self) -> Duration {
        Duration::from_millis(self.login_timeout_ms)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        Duration::from_millis(self.stall_timeout_ms)
    }

    pub(crate) fn idle_poll(&self) -> Duration {
        Duration::from_millis(self.idle_poll_ms)
    }
}
