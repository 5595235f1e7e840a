//! Flags that a STORE or APPEND was acknowledged for are there, all and no others (RFC 9051 §6.4.6):
//! an acknowledged STORE survives like a message.

use super::{Evidence, Violation};
use crate::ledger::{Change, Flags, Place, Shelved};
use std::slice;

/// The checker's name.
pub const NAME: &str = "flags";

/// Judges the flags in the IMAP sessions' folders.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    for shelved in evidence.shelved.values() {
        for (place, ids) in &shelved.shelf {
            let folder = evidence.mailboxes.get(&place.0).and_then(|mailbox| mailbox.get(&place.1));
            for seen in folder.iter().flat_map(|folder| &folder.messages) {
                let Some(flags) = ids.get(&seen.id) else {
                    continue;
                };
                let allowed = allowed(shelved, place, &seen.id, flags);
                if !allowed.contains(&seen.flags) {
                    let (id, found) = (&seen.id, &seen.flags);
                    let text = format!("{id} in {place:?} has {found:?}, allowed is {allowed:?}");
                    violations.push(Violation { checker: NAME, text });
                }
            }
        }
    }
    violations
}

/// The acknowledged flags, and those that changes in doubt may have made.
fn allowed(shelved: &Shelved, place: &Place, wanted: &str, flags: &Flags) -> Vec<Flags> {
    let mut allowed = slice::from_ref(flags).to_vec();
    for change in shelved.in_doubt() {
        match change {
            Change::Store(at, id, new) if at == place && id == wanted => allowed.push(new.clone()),
            Change::Expunge(at, id) if at == place && id == wanted => {
                let mut marked = flags.clone();
                marked.insert("\\Deleted".to_owned());
                allowed.push(marked);
            }
            _ => {}
        }
    }
    allowed
}

#[cfg(test)]
mod tests {
    use crate::checkers::tests::{evidence, seen};
    use crate::ledger::{Change, Shelved};

    fn check(found: &[&str], pending: Option<Change>, violations: usize) {
        let mut evidence = evidence("bob", "x", vec![seen(1, "a", found)]);
        let place = ("bob".to_owned(), "x".to_owned());
        let mut shelved = Shelved { pending, ..Shelved::default() };
        let flags = ["\\Seen".to_owned()].into();
        Change::Append(place, "a".into(), flags).apply(&mut shelved.shelf);
        evidence.shelved.insert(0, shelved);
        assert_eq!(super::check(&evidence).len(), violations, "{found:?}");
    }

    #[test]
    fn only_acknowledged_or_pending_flags() {
        let place = ("bob".to_owned(), "x".to_owned());
        check(&["\\Seen"], None, 0);
        check(&[], None, 1);
        check(&["\\Seen", "\\Flagged"], None, 1);
        let store = Change::Store(place.clone(), "a".into(), ["\\Draft".to_owned()].into());
        check(&["\\Draft"], Some(store.clone()), 0);
        check(&["\\Flagged"], Some(store), 1);
        check(&["\\Deleted", "\\Seen"], Some(Change::Expunge(place, "a".into())), 0);
    }
}
