//! Where a world may listen: a base such that base + well-known port is free for all its nodes,
//! below the range from which the kernel takes the ports of outgoing connections.

use crate::failure::{Failure, Result};
use std::net::{Ipv4Addr, TcpListener};
use std::time::{SystemTime, UNIX_EPOCH};

/// The well-known ports of `rialto dev`.
pub const WELL_KNOWN: [u16; 15] =
    [25, 587, 465, 143, 993, 110, 995, 80, 443, 4190, LINKS, BEHIND_SWITCH, 8443, 9090, STANDIN];

/// Where a node of a cluster listens for the links of the others.
pub const LINKS: u16 = 7400;

/// That of the stand-in for FoundationDB.
pub const STANDIN: u16 = 4500;

/// Where a node listens for its links when its own port is the switch's.
pub const BEHIND_SWITCH: u16 = 7401;

/// What a node's ports are apart from those of the one before.
pub const NODE_STEP: u16 = 1000;

/// Bases tried: above the default of `rialto dev`, and such that eight nodes fit below 32768.
const BASES: std::ops::Range<u16> = 10_100..16_600;

/// Finds a base for `nodes` nodes.
///
/// # Errors
/// If no base of a few hundred is free.
pub fn find_base(nodes: u16) -> Result<u16> {
    // Parallel runs begin at different places, so that they do not race for the same base.
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_micros());
    let width = u32::from(BASES.end - BASES.start);
    let mut at = (micros ^ std::process::id().wrapping_mul(2_654_435_761)) % width;
    for _ in 0..500 {
        let base = BASES.start + at as u16;
        if is_free(base, nodes) {
            return Ok(base);
        }
        at = (at + 37) % width;
    }
    Err(Failure::from("no free range of ports"))
}

fn is_free(base: u16, nodes: u16) -> bool {
    let ports = (0..nodes).flat_map(|node| WELL_KNOWN.map(|port| base + node * NODE_STEP + port));
    let listeners: Result<Vec<_>, _> =
        ports.map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))).collect();
    listeners.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_of_all_bases_are_below_the_ephemeral_range() {
        let highest = BASES.end + 7 * NODE_STEP + 9090;
        assert!(highest < 32_768, "{highest}");
    }

    #[test]
    fn a_taken_port_takes_the_base() {
        let base = find_base(1).unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, base + 143)).unwrap();
        assert!(!is_free(base, 1));
    }
}
