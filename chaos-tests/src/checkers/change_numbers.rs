//! The change numbers of a mailbox only grow: each commit's are greater than those of all commits
//! before it, whichever node made them, and none is given twice (promise G5; RFC 7162 §3.1 for what
//! IMAP makes of them). Judged from what went to the store ([`crate::journal`]).

use super::Violation;
use crate::journal::Entry;
use std::collections::BTreeMap;

/// The checker's name.
pub const NAME: &str = "change_numbers";

/// Judges all commits, in their order. One that nobody knows to have happened is passed over.
#[must_use]
pub fn check(entries: &[Entry]) -> Vec<Violation> {
    let mut greatest: BTreeMap<u64, u64> = BTreeMap::new();
    let mut violations = Vec::new();
    for entry in entries.iter().filter(|entry| entry.is_certain) {
        for (account, written) in &entry.accounts {
            let before = greatest.entry(*account).or_default();
            let numbers = || written.changes.iter().map(|(_, number)| *number);
            if let Some(number) = numbers().find(|number| number <= before) {
                let (who, version) = (entry.who, entry.version);
                let text = format!("{who:?} gave {number} in mailbox {account} at {version:?}");
                let text = format!("{text}, after {before}");
                violations.push(Violation { checker: NAME, text });
            }
            *before = numbers().fold(*before, u64::max);
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Who, Written};

    fn check(numbers: &[&[u64]], violations: usize) {
        let entries: Vec<Entry> = (1..)
            .zip(numbers)
            .map(|(version, numbers)| Entry {
                who: Who { node: 0, pid: 1 },
                version: (version, 0),
                is_certain: true,
                fenced: Vec::new(),
                read_fences: vec![7],
                accounts: [(50, Written { changes: numbers.iter().map(|n| (1, *n)).collect() })]
                    .into(),
            })
            .collect();
        assert_eq!(super::check(&entries).len(), violations, "{numbers:?}");
    }

    #[test]
    fn greater_with_each_commit_and_in_any_order_within_one() {
        check(&[&[1, 2], &[], &[5, 3], &[6]], 0);
        check(&[&[1, 2], &[2]], 1);
        check(&[&[1, 5], &[4, 6]], 1);
        check(&[&[5], &[4], &[5]], 2);
    }
}
