//! What an operator may set.

use std::net::IpAddr;

/// How this node presents itself to other servers, and whom it trusts.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The node's own name, said in EHLO.
    pub host_name: String,
    /// Further names of this installation. A domain whose best exchanger has one of them, or
    /// `host_name`, leads back to us.
    pub own_names: Vec<String>,
    /// Addresses at which this installation takes mail, for the same check.
    pub own_addresses: Vec<IpAddr>,
    /// Certificate authorities (PEM) that count beside Mozilla's list; empty for none.
    pub extra_authorities: String,
    /// Whether exchangers of domains may have loopback, link-local and private addresses. Off, so
    /// that nobody can aim us at our own network with an MX record (attack 19); on for closed
    /// networks and tests. Smart hosts are the operator's choice and may be anywhere.
    pub local_exchangers: bool,
}
