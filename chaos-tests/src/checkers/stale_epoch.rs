//! Nobody commits into a mailbox but the owner of its slot: the process that wrote the fence row
//! `F/slot` last (promise G7), and every commit reads that row so that a new owner's write refuses it.
//!
//! Judged from what went to the store ([`crate::journal`]): first the rule itself, then what makes
//! it true. The second finds a missing fence without any failover.

use super::Violation;
use crate::journal::{Entry, Who, slots};
use std::collections::BTreeMap;

/// The checker's name.
pub const NAME: &str = "stale_epoch";

/// Judges all commits, in their order.
#[must_use]
pub fn check(entries: &[Entry]) -> Vec<Violation> {
    let slots = slots(entries);
    let mut owners: BTreeMap<u16, Vec<Who>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for entry in entries {
        for account in entry.accounts.keys() {
            wrong.extend(judge(entry, *account, &slots, &owners));
        }
        for slot in &entry.fenced {
            let owners = owners.entry(*slot).or_default();
            if entry.is_certain {
                owners.clear();
            }
            owners.push(entry.who);
        }
    }
    wrong.into_iter().map(|text| Violation { checker: NAME, text }).collect()
}

fn judge(
    entry: &Entry,
    account: u64,
    slots: &BTreeMap<u64, u16>,
    owners: &BTreeMap<u16, Vec<Who>>,
) -> Option<String> {
    let (who, version) = (entry.who, entry.version);
    let Some(slot) = slots.get(&account).or_else(|| entry.read_fences.first()) else {
        return Some(format!("{who:?} wrote mailbox {account} at {version:?} without a fence"));
    };
    if !entry.read_fences.contains(slot) {
        let text = format!("{who:?} wrote mailbox {account} at {version:?} without reading");
        return Some(format!("{text} the fence of slot {slot}"));
    }
    // Where its commits are not seen from the beginning, the first owner is not known.
    let owners = owners.get(slot)?;
    let is_owner = owners.contains(&who) || entry.fenced.contains(slot) || !entry.is_certain;
    (!is_owner).then(|| {
        format!("{who:?} wrote mailbox {account} at {version:?}, slot {slot} is {owners:?}'s")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Written;

    fn entry(node: usize, version: i64, fenced: &[u16], read: &[u16], accounts: &[u64]) -> Entry {
        Entry {
            who: Who { node, pid: 100 + node as u32 },
            version: (version, 0),
            is_certain: true,
            fenced: fenced.to_vec(),
            read_fences: read.to_vec(),
            accounts: accounts.iter().map(|id| (*id, Written::default())).collect(),
        }
    }

    fn check(entries: &[Entry], violations: usize) {
        let found = super::check(entries);
        assert_eq!(found.len(), violations, "{entries:?}: {found:?}");
    }

    #[test]
    fn an_owner_may_and_its_predecessor_may_not() {
        let story = [
            entry(0, 1, &[7], &[7], &[]),
            entry(0, 2, &[], &[7], &[50]),
            entry(1, 3, &[7, 8], &[7, 8], &[]),
            entry(1, 4, &[], &[7], &[50]),
        ];
        check(&story, 0);
        let stale = entry(0, 5, &[], &[7], &[50]);
        check(&[&story[..], std::slice::from_ref(&stale)].concat(), 1);
        let mut reborn = stale;
        reborn.who = Who { node: 1, pid: 999 };
        check(&[&story[..], &[reborn]].concat(), 1);
    }

    #[test]
    fn a_commit_that_does_not_read_its_fence_is_found_even_by_the_owner() {
        check(&[entry(0, 1, &[7], &[7], &[]), entry(0, 2, &[], &[], &[50])], 1);
        let known = [entry(0, 1, &[7], &[7], &[]), entry(0, 2, &[], &[7], &[50])];
        check(&[&known[..], &[entry(0, 3, &[], &[8], &[50])]].concat(), 1);
    }

    #[test]
    fn a_takeover_that_nobody_knows_of_leaves_both_in_doubt() {
        let mut maybe = entry(1, 3, &[7], &[7], &[]);
        maybe.is_certain = false;
        let story = [entry(0, 1, &[7], &[7], &[]), maybe];
        for node in [0, 1] {
            check(&[&story[..], &[entry(node, 4, &[], &[7], &[50])]].concat(), 0);
        }
        check(&[&story[..], &[entry(2, 4, &[], &[7], &[50])]].concat(), 1);
    }
}
