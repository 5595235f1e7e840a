//! What an operator can set, and the bounds that nobody can.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sessions of one user on one node (16, as in Exchange).
pub const CONNECTIONS_PER_USER_MAX: usize = 16;
/// Wrong passwords in one connection before it is closed.
pub const FAILED_LOGINS_MAX: u32 = 3;
/// How long a client may take to sign in (Exchange's PreAuthenticatedConnectionTimeout).
pub const LOGIN_TIMEOUT_MS: u64 = 60 * 1000;
/// How long a signed-in client may be silent: the least that RFC 1939 §3 allows.
pub const IDLE_TIMEOUT_MS: u64 = 10 * 60 * 1000;
/// How long a client may take for one line.
pub const STALL_TIMEOUT_MS: u64 = 60 * 1000;

/// Output that is gathered before it is sent.
pub(crate) const OUTPUT_BYTES: usize = 64 * 1024;
/// Lines in a row that are no POP3, from a stranger, before the connection is closed: a browser
/// that was sent here by somebody else's page gets no further (attack 21, ALPACA).
pub(crate) const BAD_PRE_AUTH_MAX: u32 = 3;
/// The same for a client that has signed in.
pub(crate) const BAD_MAX: u32 = 50;
/// Messages that are removed by one request: what fails, fails for these.
pub(crate) const REMOVE_STEP: usize = 1_000;
/// Messages that were fetched and are marked as read by one request.
pub(crate) const SEEN_STEP: usize = 64;

/// The settings of the POP3 service.
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
    /// How long a client may take for one line, in milliseconds.
    pub stall_timeout_ms: u64,
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
}
