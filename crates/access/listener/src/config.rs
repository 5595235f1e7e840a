//! What an operator may set for one listening socket, and why the defaults are what they are.

use crate::range::IpRange;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// Exchange's MaxInboundConnection of a receive connector.
pub const CONNECTIONS_MAX: usize = 5_000;
/// Exchange's MaxInboundConnectionPerSource.
pub const PER_SOURCE_MAX: usize = 20;
/// One in ten of all connections may come from one neighbourhood (IPv4 /24, IPv6 /48), so that a
/// rented block of addresses cannot take every place (attack 17).
pub const PER_NETWORK_MAX: usize = 500;
/// A handshake is three packets; what takes longer than this only holds a place.
pub const HANDSHAKE_TIMEOUT_MS: u64 = 20_000;
/// In this time a client must take 64 KiB, or everything that waits for it, or be dropped.
pub const WRITE_TIMEOUT_MS: u64 = 120_000;

/// When a connection is encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// From the first byte (ports 465 and 993).
    Implicit,
    /// When the client asks (STARTTLS on 25, 587, 143).
    StartTls,
    /// Never.
    None,
}

/// Load balancers that say for whom they connect.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// Where they are. Who connects from here must begin with a PROXY header, version 1 or 2, and
    /// is believed; who connects from elsewhere must not.
    pub from: Vec<IpRange>,
}

/// One listening socket.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerConfig {
    /// Its name in logs and metrics, such as `submission`.
    pub name: String,
    /// Where it listens; port 0 takes a free one.
    pub address: SocketAddr,
    /// When connections are encrypted.
    pub tls: TlsMode,
    /// How many connections may be open.
    #[serde(default = "connections_max")]
    pub connections_max: usize,
    /// How many of them from one source: an IPv4 address or an IPv6 /64.
    #[serde(default = "per_source_max")]
    pub per_source_max: usize,
    /// How many of them from one neighbourhood: an IPv4 /24 or an IPv6 /48.
    #[serde(default = "per_network_max")]
    pub per_network_max: usize,
    /// Whether the machine itself is free of the two limits per source.
    #[serde(default = "yes")]
    pub loopback_exempt: bool,
    /// How long a TLS handshake may take, in milliseconds.
    #[serde(default = "handshake_timeout_ms")]
    pub handshake_timeout_ms: u64,
    /// How long a client may take to read 64 KiB, in milliseconds.
    #[serde(default = "write_timeout_ms")]
    pub write_timeout_ms: u64,
    /// Whose word is taken for who a client is; nobody's where absent.
    #[serde(default)]
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl ListenerConfig {
    /// A listener with the default limits.
    pub fn new(name: impl Into<String>, address: SocketAddr, tls: TlsMode) -> Self {
        Self {
            name: name.into(),
            address,
            tls,
            connections_max: CONNECTIONS_MAX,
            per_source_max: PER_SOURCE_MAX,
            per_network_max: PER_NETWORK_MAX,
            loopback_exempt: true,
            handshake_timeout_ms: HANDSHAKE_TIMEOUT_MS,
            write_timeout_ms: WRITE_TIMEOUT_MS,
            proxy_protocol: None,
        }
    }

    pub(crate) fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    pub(crate) fn write_timeout(&self) -> Duration {
        Duration::from_millis(self.write_timeout_ms)
    }
}

fn connections_max() -> usize {
    CONNECTIONS_MAX
}

fn per_source_max() -> usize {
    PER_SOURCE_MAX
}

fn per_network_max() -> usize {
    PER_NETWORK_MAX
}

fn yes() -> bool {
    true
}

fn handshake_timeout_ms() -> u64 {
    HANDSHAKE_TIMEOUT_MS
}

fn write_timeout_ms() -> u64 {
    WRITE_TIMEOUT_MS
}
