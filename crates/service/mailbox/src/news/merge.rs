//! Two answers about one folder, of which the second goes on where the first ends, as one.

use base::Uid;
use contract_mailbox::{IndexEntry, ViewDelta};

/// What both tell; `None` if they do not fit: the newer one does not know what has gone, or the
/// folder has begun anew.
pub(super) fn both(told: &ViewDelta, newer: ViewDelta) -> Option<ViewDelta> {
    if !newer.complete || newer.info.uid_validity != told.info.uid_validity {
        return None;
    }
    let is_there = |entry: &&IndexEntry| newer.vanished.binary_search(&entry.uid).is_err();
    let is_new = |entry: &&IndexEntry| {
        newer.changed.binary_search_by_key(&entry.uid, |newer| newer.uid).is_err()
    };
    let old = told.changed.iter().filter(is_there).filter(is_new);
    let mut changed: Vec<IndexEntry> = old.chain(&newer.changed).copied().collect();
    changed.sort_unstable_by_key(|entry| entry.uid);
    let mut vanished: Vec<Uid> = told.vanished.iter().chain(&newer.vanished).copied().collect();
    vanished.sort_unstable();
    vanished.dedup();
    Some(ViewDelta { changed, vanished, ..newer })
}
