//! What the nodes of a world have committed, and who committed it, seen from outside: each node
//! reaches the store through a gate of its own, which reads along.
//!
//! ```text
//! node-K ──▶ gate K ──▶ stand-in        gate: who (node and life), which account rows, which fences,
//!              └──▶ Journal             whether the fence was read, the version it became
//! ```
//!
//! So the checkers of fences ([`crate::checkers::stale_epoch`]) and of change numbers
//! ([`crate::checkers::change_numbers`]) believe no word of the product's. The gates obey the rules
//! of a switch, too: a node can be cut off from the store.

pub mod tap;
pub mod wire;

use crate::failure::Result;
use crate::switch::rules::{Party, Rules};
use crate::switch::source::Processes;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Who committed: a node by its number, and its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who {
    /// The node's number in the world.
    pub node: usize,
    /// Its process: its life.
    pub pid: u32,
}

/// What one commit wrote into one mailbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Change numbers of rows that it wrote, by folder and as they were written.
    pub changes: Vec<(u64, u64)>,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who made it.
    pub who: Who,
    /// Its place in the order of all commits; of one that nobody knows to have happened, the last
    /// version that was known before it was asked for.
    pub version: (i64, u16),
    /// Whether it is known to have happened.
    pub is_certain: bool,
    /// Slots whose fence row it wrote.
    pub fenced: Vec<u16>,
    /// Slots whose fence row it read so that a write to it is a conflict.
    pub read_fences: Vec<u16>,
    /// Mailboxes that it wrote in, by account id.
    pub accounts: BTreeMap<u64, Written>,
}

/// What was committed so far; clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    entries: Vec<Entry>,
    slots: BTreeMap<u64, u16>,
    /// Who wrote a slot's fence last, and with which version.
    owners: BTreeMap<u16, ((i64, u16), Who)>,
}

impl Journal {
    /// Notes a commit.
    pub fn note(&self, entry: Entry) {
        let mut known = self.hold();
        known.slots.extend(slot_of(&entry));
        for slot in entry.fenced.iter().filter(|_| entry.is_certain) {
            let last = known.owners.entry(*slot).or_insert((entry.version, entry.who));
            if last.0 <= entry.version {
                *last = (entry.version, entry.who);
            }
        }
        known.entries.push(entry);
    }

    fn hold(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All commits in their order.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = self.hold().entries.clone();
        entries.sort_by_key(|entry| (entry.version, entry.is_certain));
        entries
    }

    /// The slots of the mailboxes, as the fences tell that were read with their writes.
    #[must_use]
    pub fn slots(&self) -> BTreeMap<u64, u16> {
        self.hold().slots.clone()
    }

    /// Who wrote each slot's fence last.
    #[must_use]
    pub fn owners(&self) -> BTreeMap<u16, Who> {
        self.hold().owners.iter().map(|(slot, (_, who))| (*slot, *who)).collect()
    }
}

/// The slot of a mailbox, if a commit that writes in one mailbox and reads one fence names both.
fn slot_of(entry: &Entry) -> Option<(u64, u16)> {
    let mut accounts = entry.accounts.keys();
    match (entry.read_fences.as_slice(), accounts.next(), accounts.next()) {
        ([slot], Some(account), None) => Some((*account, *slot)),
        _ => None,
    }
}

/// The slots of the mailboxes in these commits.
#[must_use]
pub fn slots(entries: &[Entry]) -> BTreeMap<u64, u16> {
    entries.iter().filter_map(slot_of).collect()
}

/// The gates of a world's nodes to its store; they close when this is dropped.
pub struct Gates {
    ports: Vec<u16>,
    _listeners: JoinSet<()>,
}

impl Gates {
    /// Opens a gate for each of `nodes` nodes, on ports that are free.
    ///
    /// # Errors
    /// If there are none.
    pub async fn start(
        nodes: usize,
        store: u16,
        rules: &Rules,
        processes: &Processes,
        journal: &Journal,
    ) -> Result<Gates> {
        let (mut ports, mut listeners) = (Vec::new(), JoinSet::new());
        for node in 0..nodes {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            ports.push(listener.local_addr()?.port());
            let (rules, processes, journal) = (rules.clone(), processes.clone(), journal.clone());
            listeners.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    while connections.try_join_next().is_some() {}
                    // The process of the moment: a connection does not outlive it.
                    let pid = processes.get(Party::Node(node)).unwrap_or_default();
                    let (rules, journal) = (rules.clone(), journal.clone());
                    connections.spawn(async move {
                        rules.open(Party::Node(node), Party::Store).await;
                        let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, store)).await else {
                            return;
                        };
                        let _ = tap::run(stream, far, Who { node, pid }, &rules, &journal).await;
                    });
                }
            });
        }
        Ok(Gates { ports, _listeners: listeners })
    }

    /// The port of a node's gate.
    #[must_use]
    pub fn port(&self, node: usize) -> Option<u16> {
        self.ports.get(node).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(read_fences: &[u16], accounts: &[u64]) -> Entry {
        Entry {
            who: Who { node: 0, pid: 1 },
            version: (1, 0),
            is_certain: true,
            fenced: Vec::new(),
            read_fences: read_fences.to_vec(),
            accounts: accounts.iter().map(|id| (*id, Written::default())).collect(),
        }
    }

    #[test]
    fn a_slot_is_learnt_where_one_mailbox_and_one_fence_meet() {
        let entries =
            [entry(&[7], &[1]), entry(&[7, 8], &[2]), entry(&[9], &[3, 4]), entry(&[], &[5])];
        assert_eq!(slots(&entries), BTreeMap::from([(1, 7)]));
    }

    #[test]
    fn the_owner_is_who_wrote_the_fence_last_in_whatever_order_that_is_told() {
        let journal = Journal::default();
        for (node, version) in [(0, 1), (2, 9), (1, 5)] {
            let who = Who { node, pid: 1 };
            journal.note(Entry { who, version: (version, 0), fenced: vec![7], ..entry(&[7], &[]) });
        }
        assert_eq!(journal.owners().get(&7).map(|who| who.node), Some(2));
        let versions: Vec<_> = journal.entries().iter().map(|entry| entry.version.0).collect();
        assert_eq!(versions, [1, 5, 9]);
    }
}
