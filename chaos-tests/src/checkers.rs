//! The oracle: one file per invariant, each naming the source of the promise. A checker compares
//! what clients see after a fault with what the ledger says, and answers with every violation.

use crate::ledger::{Sent, Shelved};
use crate::observe::Mailbox;
use std::collections::BTreeMap;
use std::fmt;

pub mod acknowledged_once;
pub mod change_numbers;
pub mod durable_before_ack;
pub mod flags;
pub mod idle_once;
pub mod linearizable;
pub mod move_atomic;
pub mod quota_equals_sum;
pub mod stale_epoch;
pub mod store_clean;
pub mod uids;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The checker that found it.
    pub checker: &'static str,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.text)
    }
}

/// What is judged: the clients' knowledge, and what is there.
#[derive(Debug, Default)]
pub struct Evidence {
    /// Messages offered over SMTP.
    pub sent: Vec<Sent>,
    /// The IMAP sessions' knowledge.
    pub shelved: BTreeMap<u64, Shelved>,
    /// What is there, by user.
    pub mailboxes: BTreeMap<String, Mailbox>,
}

/// The checkers that judge one moment ([`uids`] remembers, so it is asked apart).
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<Violation> {
    [acknowledged_once::check, flags::check, move_atomic::check]
        .into_iter()
        .flat_map(|check| check(evidence))
        .collect()
}

/// The violations as lines; the first thirty, since one cause has many.
#[must_use]
pub fn report(violations: &[Violation]) -> String {
    let lines: Vec<String> = violations.iter().take(30).map(ToString::to_string).collect();
    format!("{} violations:\n{}", violations.len(), lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::Evidence;
    use crate::observe::{Folder, Mailbox, Seen};
    use bytes::Bytes;

    /// A message of three bytes.
    pub(super) fn seen(uid: u64, id: &str, flags: &[&str]) -> Seen {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        let bytes = Bytes::from_static(b"x\r\n");
        Seen { uid, id: id.to_owned(), flags, size_bytes: 3, bytes }
    }

    /// One folder of one user.
    pub(super) fn evidence(user: &str, folder: &str, messages: Vec<Seen>) -> Evidence {
        let uid_next = messages.iter().map(|seen| seen.uid + 1).max().unwrap_or(1);
        let folder_seen = Folder { uid_validity: 7, uid_next, messages };
        let mailbox = Mailbox::from([(folder.to_owned(), folder_seen)]);
        let mailboxes = [(user.to_owned(), mailbox)].into();
        Evidence { mailboxes, ..Evidence::default() }
    }
}
