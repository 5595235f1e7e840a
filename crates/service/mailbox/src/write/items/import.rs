//! Versions of items made elsewhere (MS-OXCFXICS 3.1.5.6): which one contains which.

use crate::rows::ItemRow;
use contract_mailbox::{PredecessorList, Xid};

/// What is to become of a version that comes in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It contains what is stored.
    Apply,
    /// What is stored contains it.
    Ignore,
    /// Neither contains the other.
    Conflict,
}

/// What the stored version of an item contains. A version made here is named by the mailbox's own
/// replica and the change number of its content.
pub(crate) fn stored(row: &ItemRow, replica: [u8; 16]) -> PredecessorList {
    let extra = row.extra.as_deref();
    let mut list = extra.map(|extra| extra.predecessors.clone()).unwrap_or_default();
    if extra.is_none_or(|extra| extra.version.is_none()) {
        raise(&mut list, replica, row.content_change.0);
    }
    list
}

/// Compares a version that comes in with what is stored.
pub(super) fn decide(stored: &PredecessorList, version: Xid, list: &PredecessorList) -> Verdict {
    if contains(stored, version) {
        return Verdict::Ignore;
    }
    let incoming = with(list, version);
    let newer = |(replica, counter): (&[u8; 16], &u64)| {
        contains(&incoming, Xid { replica: *replica, counter: *counter })
    };
    if stored.iter().all(newer) { Verdict::Apply } else { Verdict::Conflict }
}

/// A list with one more version in it.
pub(super) fn with(list: &PredecessorList, version: Xid) -> PredecessorList {
    let mut list = list.clone();
    raise(&mut list, version.replica, version.counter);
    list
}

fn raise(list: &mut PredecessorList, replica: [u8; 16], counter: u64) {
    let known = list.entry(replica).or_default();
    *known = counter.max(*known);
}

fn contains(list: &PredecessorList, version: Xid) -> bool {
    list.get(&version.replica).is_some_and(|known| *known >= version.counter)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: [u8; 16] = [1; 16];
    const THEIRS: [u8; 16] = [2; 16];
    const THIRD: [u8; 16] = [3; 16];

    #[test]
    fn versions_are_compared() {
        let check = |stored: &[([u8; 16], u64)], incoming: (u64, &[([u8; 16], u64)]), expect| {
            let stored = stored.iter().copied().collect();
            let list = incoming.1.iter().copied().collect();
            let version = Xid { replica: THEIRS, counter: incoming.0 };
            assert_eq!(decide(&stored, version, &list), expect, "{stored:?} and {incoming:?}");
        };
        // It was made knowing what is stored.
        check(&[(OURS, 5)], (1, &[(OURS, 5)]), Verdict::Apply);
        check(&[(OURS, 5)], (1, &[(OURS, 7)]), Verdict::Apply);
        check(&[(OURS, 5), (THEIRS, 1)], (2, &[(OURS, 5)]), Verdict::Apply);
        // It is here already, itself or in a newer version.
        check(&[(OURS, 5), (THEIRS, 1)], (1, &[(OURS, 5)]), Verdict::Ignore);
        check(&[(OURS, 9), (THEIRS, 4)], (2, &[(OURS, 5)]), Verdict::Ignore);
        // Both sides changed it.
        check(&[(OURS, 6)], (1, &[(OURS, 5)]), Verdict::Conflict);
        check(&[(OURS, 5), (THIRD, 1)], (2, &[(OURS, 5)]), Verdict::Conflict);
        check(&[(OURS, 5)], (1, &[]), Verdict::Conflict);
    }

    #[test]
    fn the_version_itself_is_in_its_list() {
        let version = Xid { replica: THEIRS, counter: 3 };
        let list = with(&PredecessorList::from([(OURS, 5), (THEIRS, 9)]), version);
        assert_eq!(list, PredecessorList::from([(OURS, 5), (THEIRS, 9)]));
        assert_eq!(with(&PredecessorList::new(), version), PredecessorList::from([(THEIRS, 3)]));
    }
}
