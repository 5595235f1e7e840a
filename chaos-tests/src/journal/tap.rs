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
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// How many pieces are under way at most: what a delayed direction can hold.
const PIECES_MAX: usize = 1024;

/// How long the store is listened to after the node has died, so that the end of its last commits
/// is known.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Commits whose end is not known yet, by the number of their request, and the newest version seen.
#[derive(Default)]
struct Seen {
    under_way: BTreeMap<u64, Entry>,
    newest: i64,
}

impl Seen {
    fn asked(&mut self, who: Who, number: u64, body: &[u8]) {
        let entry = wire::commit(body).and_then(|commit| entry(who, self.newest, &commit));
        self.under_way.extend(entry.map(|entry| (number, entry)));
    }

    /// The commit that this answers, if it happened.
    fn answered(&mut self, number: u64, body: &[u8]) -> Option<Entry> {
        let ending = wire::ending(body);
        if let Ending::Committed { version, .. } = ending {
            self.newest = self.newest.max(version);
        }
        self.under_way.remove(&number).and_then(|entry| ended(entry, ending))
    }
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
    let (near_reads, mut near_writes) = near.into_split();
    let (far_reads, mut far_writes) = far.into_split();
    let seen = Mutex::new(Seen::default());
    let hold = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let node = Party::Node(who.node);
    let asking = async {
        let (mut frames, ends) = (Frames::default(), (node, Party::Store));
        let (pieces, mut under_way) = mpsc::channel(PIECES_MAX);
        let pass = async {
            // At its end the write half stays open: the store would forget what it has not answered.
            while let Some(piece) = next(&mut under_way, ends, rules).await {
                frames.push(&piece, |number, body| hold().asked(who, number, body));
                far_writes.write_all(&piece).await?;
            }
            Ok(())
        };
        tokio::try_join!(take(near_reads, ends, rules, pieces), pass).map(drop)
    };
    let answering = async {
        let (mut frames, ends) = (Frames::default(), (Party::Store, node));
        let (pieces, mut under_way) = mpsc::channel(PIECES_MAX);
        let pass = async {
            let mut is_heard = true;
            while let Some(piece) = next(&mut under_way, ends, rules).await {
                frames.push(&piece, |number, body| {
                    hold().answered(number, body).into_iter().for_each(|entry| journal.note(entry));
                });
                is_heard = is_heard && near_writes.write_all(&piece).await.is_ok();
            }
            Ok(())
        };
        tokio::try_join!(take(far_reads, ends, rules, pieces), pass).map(drop)
    };
    tokio::pin!(answering);
    let carried = tokio::select! {
        asked = asking => {
            if !hold().under_way.is_empty() {
                let _ = timeout(LAST_WORDS, &mut answering).await;
            }
            asked
        }
        answered = &mut answering => answered,
    };
    // What was asked and never answered may have happened.
    let left = std::mem::take(&mut hold().under_way);
    for entry in left.into_values().filter_map(|entry| ended(entry, Ending::Unknown)) {
        journal.note(entry);
    }
    carried
}

/// A piece of a direction, and when it is due; an empty one is the sender's end.
type Piece = (Instant, Vec<u8>);

/// Takes a direction in until the sender ends, each piece to come as late as the rules say.
async fn take(
    mut from: OwnedReadHalf,
    ends: (Party, Party),
    rules: &Rules,
    pieces: mpsc::Sender<Piece>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let count = from.read(&mut piece).await.unwrap_or_default();
        let due = Instant::now() + rules.get(ends.0, ends.1).delay;
        if pieces.send((due, piece[..count].to_vec())).await.is_err() || count == 0 {
            return Ok(());
        }
    }
}

/// The next piece when the rules let it through; `None` when that is the end.
async fn next(
    pieces: &mut mpsc::Receiver<Piece>,
    ends: (Party, Party),
    rules: &Rules,
) -> Option<Vec<u8>> {
    let (due, piece) = pieces.recv().await?;
    if due > Instant::now() {
        sleep_until(due).await;
    }
    rules.open(ends.0, ends.1).await;
    (!piece.is_empty()).then_some(piece)
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
