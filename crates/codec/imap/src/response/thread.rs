//! THREAD (RFC 5256 §4): trees as nested lists of numbers.

use crate::wire::put_number;
use bytes::{BufMut, BytesMut};

/// One message of the threads, which stand in order: each before its replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadNode {
    /// How far below the first message of its thread, which has 0; at most one more than the node
    /// before.
    pub depth: u32,
    /// Its number or UID; `None` where a message is missing that others answer, which only the
    /// first of a thread can be.
    pub id: Option<u32>,
}

/// `(2)(3 6 (4 23)(44 7 96))`: a chain stands side by side, a fork as lists.
pub(super) fn put_threads(out: &mut BytesMut, nodes: &[ThreadNode]) {
    let siblings = siblings(nodes);
    // Where lists were opened: the depth of their first node.
    let mut open: Vec<u32> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        while open.last().is_some_and(|depth| *depth >= node.depth) {
            open.pop();
            out.put_u8(b')');
        }
        let first_child = index.checked_sub(1).and_then(|before| nodes.get(before));
        let behind_parent = first_child.is_some_and(|before| before.depth + 1 == node.depth);
        if behind_parent && first_child.is_some_and(|before| before.id.is_some()) {
            out.put_u8(b' ');
        }
        if node.depth == 0 || siblings[index] {
            out.put_u8(b'(');
            open.push(node.depth);
        }
        if let Some(id) = node.id {
            put_number(out, u64::from(id));
        }
    }
    open.iter().for_each(|_| out.put_u8(b')'));
}

/// For each node whether others have the same parent.
fn siblings(nodes: &[ThreadNode]) -> Vec<bool> {
    let mut found = vec![false; nodes.len()];
    // The newest node of each depth on the way to the present one.
    let mut newest: Vec<usize> = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        let depth = node.depth as usize;
        if let Some(before) = newest.get(depth) {
            found[*before] = true;
            found[index] = true;
        }
        newest.truncate(depth);
        newest.push(index);
    }
    found
}
