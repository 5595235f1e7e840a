//! The limits and times of links, each with its reason.

use super::window::{Window, Windows};
use base::actor::BackoffPolicy;
use std::time::Duration;

/// Limits and times. The defaults are for nodes in one or two data centres; tests shorten them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkSettings {
    /// What each peer may have unanswered here, and what is used at most of a peer's own grant.
    pub windows: Windows,
    /// Bytes of replies that wait to be written to one peer, and that have come from one peer and
    /// were not taken yet; each.
    pub reply_bytes_max: usize,
    /// How often a ping is sent.
    pub ping_every: Duration,
    /// How long a peer may be silent, or leave a ping unanswered, before its link is given up.
    /// (Whether a *node* is dead is decided elsewhere, and faster.)
    pub silence_max: Duration,
    /// How long one frame may take from its first byte to its last, either way.
    pub frame_time: Duration,
    /// How long connecting, TLS and hello may take together.
    pub handshake_time: Duration,
    /// How many connections may be in their handshake; more are closed at once.
    pub handshakes_max: usize,
    /// How long a call waits for a link to come up, if its deadline allows.
    pub link_wait: Duration,
    /// How many calls may wait for the link to one peer, and as many for credit on it, each lane by
    /// itself; more are told that it is overloaded.
    pub waiting_max: usize,
    /// The bytes of their requests, counted as a [`Window`]'s.
    pub waiting_bytes_max: usize,
    /// The waits between attempts to connect.
    pub backoff: BackoffPolicy,
}

impl Default for LinkSettings {
    fn default() -> Self {
        Self {
            // Some Raft messages and a snapshot (below 1 MB); 1024 mailbox requests at once, four
            // of the largest frames.
            windows: Windows {
                control: Window { requests: 64, bytes: 8 << 20 },
                data: Window { requests: 1024, bytes: 64 << 20 },
            },
            reply_bytes_max: 64 << 20,
            ping_every: Duration::from_millis(500),
            silence_max: Duration::from_secs(3),
            frame_time: Duration::from_secs(10),
            handshake_time: Duration::from_secs(5),
            handshakes_max: 64,
            link_wait: Duration::from_secs(2),
            // All sessions of a full node at once, each with a short command.
            waiting_max: 16_384,
            waiting_bytes_max: 64 << 20,
            backoff: BackoffPolicy {
                first: Duration::from_millis(50),
                longest: Duration::from_secs(2),
                restarts_max: usize::MAX,
                window: Duration::from_secs(30),
            },
        }
    }
}
