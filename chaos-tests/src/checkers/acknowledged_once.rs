//! What was acknowledged is there exactly once, byte for byte; what was not is there once or not at
//! all; what was never offered or was refused is not there (RFC 5321
//! §4.1.1.4 and §6.1: the 250 takes over the responsibility; RFC 9051 §6.3.12 for APPEND).

use super::{Evidence, Violation};
use crate::ledger::{Change, Place, Sent, Shelved};
use crate::observe::{Mailbox, Seen};
use crate::smtp::Fate;
use std::collections::BTreeMap;

/// The checker's name.
pub const NAME: &str = "acknowledged_once";

/// Judges deliveries to the inboxes, and the contents of the IMAP sessions' folders.
#[must_use]
pub fn check(evidence: &Evidence) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (user, mailbox) in &evidence.mailboxes {
        inbox(user, mailbox, &evidence.sent, &mut violations);
    }
    for shelved in evidence.shelved.values() {
        shelves(shelved, evidence, &mut violations);
    }
    violations.into_iter().map(|text| Violation { checker: NAME, text }).collect()
}

fn inbox(user: &str, mailbox: &Mailbox, sent: &[Sent], violations: &mut Vec<String>) {
    let mut copies: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for seen in mailbox.get("INBOX").iter().flat_map(|folder| &folder.messages) {
        copies.entry(&seen.id).or_default().push(seen);
    }
    for sent in sent.iter().filter(|sent| sent.users.iter().any(|one| one == user)) {
        let found = copies.remove(sent.id.as_str()).unwrap_or_default();
        let (least, most) = match &sent.fate {
            Fate::Acknowledged => (1, 1),
            Fate::Unknown(_) | Fate::Deferred(_) => (0, 1),
            Fate::NotOffered(_) | Fate::Refused(_) => (0, 0),
        };
        if !(least..=most).contains(&found.len()) {
            let (count, fate) = (found.len(), &sent.fate);
            violations.push(format!("{} is {count} times in {user}'s inbox: {fate:?}", sent.id));
        }
        for seen in found.iter().filter(|seen| !seen.bytes.ends_with(&sent.bytes)) {
            violations.push(format!("{} (UID {}) of {user} was changed", sent.id, seen.uid));
        }
    }
    for (id, found) in copies {
        let count = found.len();
        violations.push(format!("{user}'s inbox holds {count} of {id:?}, which nobody sent there"));
    }
}

fn shelves(shelved: &Shelved, evidence: &Evidence, violations: &mut Vec<String>) {
    for (place, ids) in &shelved.shelf {
        let found = messages(evidence, place);
        for id in ids.keys().filter(|id| !is_in_doubt(shelved, place, id)) {
            let count = found.iter().filter(|seen| seen.id == **id).count();
            if count != 1 {
                violations.push(format!("{id} is {count} times in {place:?}, it must be once"));
            }
        }
        for seen in &found {
            let known = ids.contains_key(&seen.id) || is_in_doubt(shelved, place, &seen.id);
            if !known {
                violations.push(format!("{} must not be in {place:?}", seen.id));
            }
            if shelved.bytes.get(&seen.id).is_some_and(|bytes| *bytes != seen.bytes) {
                violations.push(format!("{} in {place:?} was changed", seen.id));
            }
        }
    }
    for change in shelved.in_doubt() {
        let (Change::Append(place, id, _) | Change::Copy(_, place, id)) = change else {
            continue;
        };
        let count = messages(evidence, place).iter().filter(|seen| seen.id == *id).count();
        if count > 1 {
            violations.push(format!("{id} is {count} times in {place:?}, in doubt means 0 or 1"));
        }
    }
}

/// Whether a change that was under way at a crash decides if this message is here.
fn is_in_doubt(shelved: &Shelved, place: &Place, wanted: &str) -> bool {
    shelved.in_doubt().any(|change| match change {
        Change::Append(at, id, _) | Change::Copy(_, at, id) | Change::Expunge(at, id) => {
            at == place && id == wanted
        }
        Change::Move(from, to, id) => (from == place || to == place) && id == wanted,
        Change::Store(..) => false,
    })
}

fn messages<'a>(evidence: &'a Evidence, place: &Place) -> Vec<&'a Seen> {
    let folder = evidence.mailboxes.get(&place.0).and_then(|mailbox| mailbox.get(&place.1));
    folder.iter().flat_map(|folder| &folder.messages).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkers::tests::{evidence, seen};
    use bytes::Bytes;

    fn check(fate: Fate, copies: usize, violations: usize) {
        let bytes = Bytes::from_static(b"x\r\n");
        let sent = Sent { id: "a".into(), users: vec!["bob".into()], bytes, fate };
        let inbox = (0..copies).map(|n| seen(n as u64 + 1, "a", &[])).collect();
        let mut evidence = evidence("bob", "INBOX", inbox);
        evidence.sent.push(sent.clone());
        assert_eq!(super::check(&evidence).len(), violations, "{:?} {copies}", sent.fate);
    }

    #[test]
    fn each_fate_allows_its_counts() {
        check(Fate::Acknowledged, 0, 1);
        check(Fate::Acknowledged, 1, 0);
        check(Fate::Acknowledged, 2, 1);
        check(Fate::Unknown(String::new()), 0, 0);
        check(Fate::Unknown(String::new()), 1, 0);
        check(Fate::Unknown(String::new()), 2, 1);
        check(Fate::Deferred(String::new()), 1, 0);
        check(Fate::Deferred(String::new()), 2, 1);
        check(Fate::NotOffered(String::new()), 0, 0);
        check(Fate::NotOffered(String::new()), 1, 1);
        check(Fate::Refused(String::new()), 1, 1);
    }

    #[test]
    fn an_append_of_an_earlier_connection_is_there_once_or_not_at_all() {
        let place = ("bob".to_owned(), "x".to_owned());
        for (copies, violations) in [(0, 0), (1, 0), (2, 1)] {
            let here = (0..copies).map(|n| seen(n + 1, "a", &[])).collect();
            let mut evidence = evidence("bob", "x", here);
            let doubts = vec![Change::Append(place.clone(), "a".into(), [].into())];
            let shelf = [(place.clone(), [].into())].into();
            evidence.shelved.insert(0, Shelved { doubts, shelf, ..Shelved::default() });
            assert_eq!(super::check(&evidence).len(), violations, "{copies}");
        }
    }

    #[test]
    fn a_stranger_and_damage_are_found() {
        let stranger = evidence("bob", "INBOX", vec![seen(1, "b", &[])]);
        assert_eq!(super::check(&stranger).len(), 1);
        let mut damaged = evidence("bob", "INBOX", vec![seen(1, "a", &[])]);
        let bytes = Bytes::from_static(b"y\r\n");
        let users = vec!["bob".to_owned()];
        damaged.sent.push(Sent { id: "a".into(), users, bytes, fate: Fate::Acknowledged });
        assert_eq!(super::check(&damaged).len(), 1);
    }
}
