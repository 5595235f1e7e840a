//! A connection of one node to the store, carried on byte for byte and read along.

use super::wire::{self, Change, Commit, Ending, Frames};
use super::{Entry, Journal, Who};
use crate::switch::rules::{Party, Rules};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// How long the store is listened to after the node has died, so that the end of its last commits
/// is known.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Commits whose end is not known yet, by the number of their request, and the newest version seen.
#[derive(Default)]
struct Seen {
    under_way: BTreeMap<u64, Entry>,
    newest: i64,
}

/// Carries a connection until both ends are done, or one breaks.
///
/// # Errors
/// If a direction breaks.
pub(super) async fn run(
    near: TcpStream,
    far: TcpStream,
    who: Who,
    rules: &Rules,
    journal: &Journal,
) -> io::Result<()> {
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut near_reads, mut near_writes) = near.into_split();
    let (mut far_reads, mut far_writes) = far.into_split();
    let seen = Mutex::new(Seen::default());
    let hold = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let node = Party::Node(who.node);
    let asking = async {
        let (mut frames, mut piece) = (Frames::default(), vec![0; PIECE_BYTES]);
        loop {
            let count = near_reads.read(&mut piece).await.unwrap_or_default();
            rules.open(node, Party::Store).await;
            if count == 0 {
                // The write half stays open: the store would forget what it has not answered.
                return io::Result::Ok(());
            }
            frames.push(&piece[..count], |number, body| {
                let newest = hold().newest;
                if let Some(entry) = wire::commit(body).and_then(|one| entry(who, newest, &one)) {
                    hold().under_way.insert(number, entry);
                }
            });
            far_writes.write_all(&piece[..count]).await?;
        }
    };
    let answering = async {
        let (mut frames, mut piece) = (Frames::default(), vec![0; PIECE_BYTES]);
        let mut is_heard = true;
        loop {
            let count = far_reads.read(&mut piece).await.unwrap_or_default();
            rules.open(Party::Store, node).await;
            frames.push(&piece[..count], |number, body| {
                let ending = wire::ending(body);
                let mut seen = hold();
                if let Ending::Committed { version, .. } = ending {
                    seen.newest = seen.newest.max(version);
                }
                if let Some(entry) = seen.under_way.remove(&number).and_then(|e| ended(e, ending)) {
                    journal.note(entry);
                }
            });
            is_heard = is_heard && near_writes.write_all(&piece[..count]).await.is_ok();
            if count == 0 {
                return;
            }
        }
    };
    tokio::pin!(answering);
    tokio::select! {
        asked = asking => {
            asked?;
            if !hold().under_way.is_empty() {
                let _ = timeout(LAST_WORDS, &mut answering).await;
            }
        }
        () = &mut answering => {}
    }
    // What was asked and never answered may have happened.
    let left = std::mem::take(&mut hold().under_way);
    for entry in left.into_values().filter_map(|entry| ended(entry, Ending::Unknown)) {
        journal.note(entry);
    }
    Ok(())
}

fn ended(mut entry: Entry, ending: Ending) -> Option<Entry> {
    match ending {
        Ending::Committed { version, batch } => entry.version = (version, batch),
        Ending::Refused => return None,
        Ending::Unknown => entry.is_certain = false,
    }
    Some(entry)
}

/// What of a commit concerns fences and mailboxes; `None` where nothing does.
fn entry(who: Who, newest: i64, commit: &Commit) -> Option<Entry> {
    let mut entry = Entry {
        who,
        version: (newest, u16::MAX),
        is_certain: true,
        fenced: Vec::new(),
        read_fences: Vec::new(),
        accounts: BTreeMap::new(),
    };
    for change in &commit.mutations {
        match row(change.key()) {
            Some(Row::Fence(slot)) => entry.fenced.push(slot),
            Some(Row::Mailbox(account, number)) => {
                let written = entry.accounts.entry(account).or_default();
                // A number that is cleared is an old one.
                let is_new = matches!(change, Change::Set(..));
                written.changes.extend(number.filter(|_| is_new));
            }
            None => {}
        }
    }
    for (begin, _) in &commit.reads {
        if let Some(Row::Fence(slot)) = row(begin) {
            entry.read_fences.push(slot);
        }
    }
    let concerns = !entry.fenced.is_empty() || !entry.accounts.is_empty();
    concerns.then_some(entry)
}

enum Row {
    Fence(u16),
    /// With folder and number if it is the row of a change.
    Mailbox(u64, Option<(u64, u64)>),
}

/// What a key is of, behind the prefix of the installation (`…/`): `F` and a slot, or `A` and an
/// account (docs/architecture.md).
fn row(key: &[u8]) -> Option<Row> {
    let at = key.iter().position(|byte| *byte == b'/')? + 1;
    let (kind, rest) = key.get(at..)?.split_first()?;
    match kind {
        b'F' => Some(Row::Fence(u16::from_be_bytes(rest.try_into().ok()?))),
        b'A' => {
            let (account, rest) = rest.split_first_chunk::<8>()?;
            Some(Row::Mailbox(u64::from_be_bytes(*account), number(rest)))
        }
        _ => None,
    }
}

/// Folder and number of a change's row: `c`, folder, number.
fn number(rest: &[u8]) -> Option<(u64, u64)> {
    let (folder, rest) = rest.strip_prefix(b"c")?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*folder), u64::from_be_bytes(rest.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn key(kind: u8, parts: &[&[u8]]) -> Bytes {
        let mut key = b"rialto-dev/".to_vec();
        key.push(kind);
        parts.iter().for_each(|part| key.extend_from_slice(part));
        Bytes::from(key)
    }

    #[test]
    fn fences_and_mailboxes_are_told_from_the_rest() {
        let who = Who { node: 1, pid: 9 };
        let change = |number: u64| {
            key(b'A', &[&3_u64.to_be_bytes(), b"c", &1_u64.to_be_bytes(), &number.to_be_bytes()])
        };
        let commit = Commit {
            reads: vec![(key(b'F', &[&7_u16.to_be_bytes()]), Bytes::new())],
            mutations: vec![
                Change::Set(change(21), Bytes::new()),
                Change::Clear(change(20)),
                Change::Set(key(b'A', &[&4_u64.to_be_bytes(), b"s"]), Bytes::new()),
                Change::Set(key(b'Q', &[b"/e/"]), Bytes::new()),
            ],
            ..Commit::default()
        };
        let entry = entry(who, 5, &commit).unwrap();
        assert_eq!((entry.fenced.len(), entry.read_fences.as_slice()), (0, &[7][..]));
        assert_eq!(entry.accounts[&3].changes, [(1, 21)]);
        assert_eq!(entry.accounts[&4].changes, []);
        assert_eq!(ended(entry.clone(), Ending::Refused), None);
        assert!(!ended(entry, Ending::Unknown).unwrap().is_certain);
        let takeover = Commit {
            mutations: vec![Change::Set(key(b'F', &[&7_u16.to_be_bytes()]), Bytes::new())],
            ..Commit::default()
        };
        assert_eq!(super::entry(who, 5, &takeover).unwrap().fenced, [7]);
        let other = Commit {
            mutations: vec![Change::Set(key(b'Q', &[b"/e/"]), Bytes::new())],
            ..Commit::default()
        };
        assert_eq!(super::entry(who, 5, &other), None);
    }
}
