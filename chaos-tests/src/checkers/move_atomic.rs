//! A message that a crash met on its way from one folder to another is in exactly one of them (RFC
//! 6851 §3.3: a failed move leaves the message).

use super::{Evidence, Violation};
use crate::ledger::{Change, Place};

/// The checker's name.
pub const NAME: &str = "move_atomic";

/// Judges the moves that were under way.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    for shelved in evidence.shelved.values() {
        for change in shelved.in_doubt() {
            let Change::Move(from, to, id) = change else {
                continue;
            };
            let counts = [from, to].map(|place| count(evidence, place, id));
            if counts.iter().sum::<usize>() != 1 {
                let text = format!("{id}, moved from {from:?} to {to:?}: there {counts:?} times");
                violations.push(Violation { checker: NAME, text });
            }
        }
    }
    violations
}

fn count(evidence: &Evidence, place: &Place, id: &str) -> usize {
    let folder = evidence.mailboxes.get(&place.0).and_then(|mailbox| mailbox.get(&place.1));
    folder.iter().flat_map(|folder| &folder.messages).filter(|seen| seen.id == id).count()
}

#[cfg(test)]
mod tests {
    use crate::checkers::tests::{evidence, seen};
    use crate::ledger::{Change, Shelved};

    fn check(copies: usize, violations: usize) {
        let here = (0..copies).map(|n| seen(n as u64, "a", &[])).collect();
        let mut evidence = evidence("bob", "y", here);
        let place = |name: &str| ("bob".to_owned(), name.to_owned());
        let moved = Change::Move(place("x"), place("y"), "a".into());
        let pending = Shelved { pending: Some(moved.clone()), ..Shelved::default() };
        let earlier = Shelved { doubts: vec![moved], ..Shelved::default() };
        for shelved in [pending, earlier] {
            evidence.shelved.insert(0, shelved);
            assert_eq!(super::check(&evidence).len(), violations, "{copies}");
        }
    }

    #[test]
    fn neither_lost_nor_doubled() {
        check(0, 1);
        check(1, 0);
        check(2, 1);
    }
}
