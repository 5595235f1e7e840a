//! Which messages some session of this node tells of as \Recent, or is about to.
//!
//! All sessions that have a folder open hear of a new message at the same moment, and only the
//! first has it as \Recent (RFC 3501 §2.3.2). Who that is among the sessions of one node is decided
//! here, so that one of them asks the mailbox, not all. What is forgotten costs a question.

use base::{AccountId, FolderId, Uid};
use parking_lot::Mutex;
use std::collections::HashMap;

/// How many folders are remembered; 1 MB or so.
const FOLDERS_MAX: usize = 10_000;

type Key = (AccountId, FolderId);

/// The last UID that was claimed, by folder; shared by all sessions of the service.
#[derive(Default)]
pub(crate) struct Claims(Mutex<HashMap<Key, Uid>>);

/// A claim that is being made; without [`Claim::holds`] its end leaves the messages to others.
pub(crate) struct Claim<'c> {
    claims: &'c Claims,
    key: Key,
    last: Uid,
    holds: bool,
}

impl Claims {
    /// Begins to claim all messages of a folder up to one; `None` if somebody has, or is about to.
    pub(crate) fn begin(
        &self,
        mailbox: AccountId,
        folder: FolderId,
        last: Uid,
    ) -> Option<Claim<'_>> {
        let (key, mut claims) = ((mailbox, folder), self.0.lock());
        if claims.get(&key).is_some_and(|claimed| *claimed >= last) {
            return None;
        }
        if claims.len() >= FOLDERS_MAX {
            claims.clear();
        }
        claims.insert(key, last);
        Some(Claim { claims: self, key, last, holds: false })
    }

    fn give_up(&self, key: Key, last: Uid) {
        let mut claims = self.0.lock();
        if claims.get(&key) == Some(&last) {
            claims.remove(&key);
        }
    }
}

impl Claim<'_> {
    /// The mailbox knows of it.
    pub(crate) fn holds(mut self) {
        self.holds = true;
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.holds {
            self.claims.give_up(self.key, self.last);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_claims_and_what_fails_is_left_to_others() {
        let claims = Claims::default();
        let begin = |folder, last| claims.begin(AccountId(1), FolderId(folder), Uid(last));
        let first = begin(1, 5).unwrap();
        assert!(begin(1, 5).is_none() && begin(1, 4).is_none());
        assert!(begin(2, 5).is_some(), "another folder");
        drop(first);
        begin(1, 5).unwrap().holds();
        assert!(begin(1, 5).is_none());
        let newer = begin(1, 6).unwrap();
        assert!(begin(1, 6).is_none());
        drop(newer);
        begin(1, 3).unwrap().holds();
        for folder in 10..FOLDERS_MAX as u64 * 2 {
            begin(folder, 1).unwrap().holds();
        }
        assert!(claims.0.lock().len() <= FOLDERS_MAX);
    }
}
