//! Weighted rendezvous hashing: every slot ranks all nodes, each wins its share.

use base::{NodeId, Slot};
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// How much a slot likes a node, above 0. Among nodes with weights w, each is the one liked best
/// with probability w / Σw; and the ranking of two nodes never depends on a third.
pub fn score(slot: Slot, node: NodeId, weight: u32) -> f64 {
    // No key: who could choose node ids could choose slots anyway.
    let mut hasher = SipHasher13::new_with_key(&[0; 16]);
    hasher.write_u16(slot.number());
    hasher.write_u64(node.0);
    // 53 bits, shifted by a half: strictly between 0 and 1.
    let unit = ((hasher.finish() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    f64::from(weight) / -unit.ln()
}

/// The node that a slot likes best, of (node, weight) pairs.
pub fn preferred(slot: Slot, nodes: impl IntoIterator<Item = (NodeId, u32)>) -> Option<NodeId> {
    nodes
        .into_iter()
        .map(|(node, weight)| (score(slot, node, weight), node))
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(_, node)| node)
}
