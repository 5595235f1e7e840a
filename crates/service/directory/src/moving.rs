//! What becomes of the directory's rows when all data moves to another store, whose versionstamps
//! cannot be compared with those of the old one.

use crate::keys;
use bytes::Bytes;
use contract_store::KeyRange;

/// Rows that stay behind: the feed of changes, its head and its trim mark. They only tell running
/// nodes what to forget, and nodes of the new store start with nothing to forget.
pub fn left_behind() -> Vec<KeyRange> {
    vec![keys::feed(), KeyRange::single(keys::HEAD), KeyRange::single(keys::TRIMMED)]
}

/// The prefixes of rows that are kept in the order of their stamps: the audit records.
pub fn restamped() -> Vec<Bytes> {
    vec![keys::audit().begin]
}
