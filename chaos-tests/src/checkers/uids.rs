//! UIDs are unique, ascending, never used again; UIDVALIDITY stays; UIDNEXT never goes back and is
//! above every UID; what APPENDUID told is true (RFC 9051 §2.3.1.1, RFC 4315).

use super::{Evidence, Violation};
use crate::ledger::Place;
use crate::observe::Folder;
use std::collections::BTreeMap;

/// The checker's name.
pub const NAME: &str = "uids";

/// What was seen of the folders so far.
#[derive(Debug, Default)]
pub struct Memory {
    folders: BTreeMap<Place, Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    uid_validity: u64,
    uid_next: u64,
    ids: BTreeMap<u64, String>,
}

impl Memory {
    /// Judges what is seen now by what was seen and told before, and remembers it.
    pub fn check(&mut self, evidence: &Evidence) -> Vec<Violation> {
        let mut wrong = Vec::new();
        for (user, mailbox) in &evidence.mailboxes {
            for (name, folder) in mailbox {
                let place = (user.clone(), name.clone());
                let before = self.folders.entry(place.clone()).or_default();
                let found = before.compare(folder);
                wrong.extend(found.into_iter().map(|text| format!("{place:?}: {text}")));
            }
        }
        for (place, validity, uid, id) in
            evidence.shelved.values().flat_map(|shelved| &shelved.told_uids)
        {
            let Some(folder) = self.folders.get(place) else {
                continue;
            };
            if folder.uid_validity != *validity {
                wrong.push(format!("{place:?}: APPENDUID told UIDVALIDITY {validity}"));
            }
            if folder.ids.get(uid).is_some_and(|other| other != id) || *uid >= folder.uid_next {
                let other = folder.ids.get(uid);
                wrong.push(format!("{place:?}: APPENDUID told {uid} for {id}, it is {other:?}"));
            }
        }
        for shelved in evidence.shelved.values() {
            wrong.extend(descending(&shelved.told_uids));
        }
        wrong.into_iter().map(|text| Violation { checker: NAME, text }).collect()
    }
}

/// What one session was told, one after the other, for its own folders: the UIDs only grow, over
/// whichever nodes it came.
fn descending(told: &[(Place, u64, u64, String)]) -> Vec<String> {
    let mut last: BTreeMap<&Place, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (place, _, uid, id) in told {
        let before = last.insert(place, *uid).unwrap_or_default();
        if *uid <= before {
            wrong.push(format!("{place:?}: APPENDUID told {uid} for {id}, after {before}"));
        }
    }
    wrong
}

impl Remembered {
    fn compare(&mut self, now: &Folder) -> Vec<String> {
        let mut wrong = Vec::new();
        let is_known = self.uid_validity != 0;
        if is_known && self.uid_validity != now.uid_validity {
            wrong.push(format!("UIDVALIDITY {} became {}", self.uid_validity, now.uid_validity));
        }
        if self.uid_next > now.uid_next {
            wrong.push(format!("UIDNEXT {} became {}", self.uid_next, now.uid_next));
        }
        for pair in now.messages.windows(2) {
            if pair[0].uid >= pair[1].uid {
                wrong.push(format!("UID {} is followed by {}", pair[0].uid, pair[1].uid));
            }
        }
        for seen in &now.messages {
            if seen.uid >= now.uid_next {
                wrong.push(format!("UID {} is not below UIDNEXT {}", seen.uid, now.uid_next));
            }
            match self.ids.get(&seen.uid) {
                Some(id) if *id != seen.id => {
                    wrong.push(format!("UID {} was {id} and is {}", seen.uid, seen.id));
                }
                None if is_known && seen.uid < self.uid_next => {
                    let (uid, id) = (seen.uid, &seen.id);
                    wrong.push(format!("UID {uid} of {id} is new but below the old UIDNEXT"));
                }
                _ => {}
            }
            self.ids.insert(seen.uid, seen.id.clone());
        }
        self.uid_validity = now.uid_validity;
        self.uid_next = now.uid_next;
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::tests::{evidence, seen};

    fn check(validity: u64, next: u64, uids: &[(u64, &str)], violations: usize) {
        let mut memory = Memory::default();
        let now = |validity, next, uids: &[(u64, &str)]| {
            let here = uids.iter().map(|(uid, id)| seen(*uid, id, &[])).collect();
            let mut evidence = evidence("bob", "x", here);
            for folder in evidence.mailboxes.values_mut().flat_map(|mailbox| mailbox.values_mut()) {
                folder.uid_validity = validity;
                folder.uid_next = next;
            }
            evidence
        };
        assert_eq!(memory.check(&now(7, 4, &[(1, "a"), (3, "b")])), []);
        let found = memory.check(&now(validity, next, uids));
        assert_eq!(found.len(), violations, "{found:?}");
    }

    #[test]
    fn told_uids_only_grow() {
        let told = |uids: &[u64]| {
            let place = ("bob".to_owned(), "x".to_owned());
            uids.iter().map(|uid| (place.clone(), 7, *uid, "a".to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(descending(&told(&[1, 2, 9])).len(), 0);
        assert_eq!(descending(&told(&[1, 3, 2, 3, 3])).len(), 2);
    }

    #[test]
    fn each_rule() {
        check(7, 5, &[(1, "a"), (3, "b"), (4, "c")], 0);
        check(7, 4, &[(3, "b")], 0);
        check(8, 4, &[(1, "a")], 1);
        check(7, 3, &[(1, "a")], 1);
        check(7, 4, &[(1, "b")], 1);
        check(7, 4, &[(2, "c")], 1);
        check(7, 4, &[(3, "b"), (1, "a")], 1);
        check(7, 4, &[(4, "c")], 1);
    }
}
