//! What the clients of a run know: which messages were acknowledged, and what each IMAP session
//! has done to its own folders. The checkers hold the server to it.

use crate::smtp::Fate;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A message that was offered over SMTP.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its id.
    pub id: String,
    /// The users it is for.
    pub users: Vec<String>,
    /// What was sent.
    pub bytes: Bytes,
    /// What became of it.
    pub fate: Fate,
}

/// A folder of a user.
pub type Place = (String, String);

/// Flags by name.
pub type Flags = BTreeSet<String>;

/// What is in the folders that one IMAP session works on: message ids and their flags.
pub type Shelf = BTreeMap<Place, BTreeMap<String, Flags>>;

/// One change that an IMAP session makes to its folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// APPEND with flags.
    Append(Place, String, Flags),
    /// STORE FLAGS.
    Store(Place, String, Flags),
    /// COPY from the first to the second.
    Copy(Place, Place, String),
    /// MOVE from the first to the second.
    Move(Place, Place, String),
    /// STORE +FLAGS \Deleted and UID EXPUNGE; only the expunge is the change.
    Expunge(Place, String),
}

impl Change {
    /// The message that it concerns.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Change::Append(_, id, _)
            | Change::Store(_, id, _)
            | Change::Copy(_, _, id)
            | Change::Move(_, _, id)
            | Change::Expunge(_, id) => id,
        }
    }

    /// Makes the change on a shelf.
    pub fn apply(&self, shelf: &mut Shelf) {
        match self {
            Change::Append(place, id, flags) | Change::Store(place, id, flags) => {
                shelf.entry(place.clone()).or_default().insert(id.clone(), flags.clone());
            }
            Change::Copy(from, to, id) => {
                let flags = shelf.get(from).and_then(|ids| ids.get(id)).cloned();
                shelf.entry(to.clone()).or_default().insert(id.clone(), flags.unwrap_or_default());
            }
            Change::Move(from, to, id) => {
                let flags = shelf.get_mut(from).and_then(|ids| ids.remove(id));
                shelf.entry(to.clone()).or_default().insert(id.clone(), flags.unwrap_or_default());
            }
            Change::Expunge(place, id) => {
                shelf.entry(place.clone()).or_default().remove(id);
            }
        }
    }
}

/// One IMAP session's knowledge.
#[derive(Debug, Clone, Default)]
pub struct Shelved {
    /// What was acknowledged.
    pub shelf: Shelf,
    /// The change that was under way when the connection died.
    pub pending: Option<Change>,
    /// Changes that were under way when earlier connections died, and whose messages nobody has
    /// touched since: each was made or not, and may even be made late.
    pub doubts: Vec<Change>,
    /// The bytes of the messages by id.
    pub bytes: BTreeMap<String, Bytes>,
    /// UIDs that the server told (APPENDUID): place, UIDVALIDITY, UID, id.
    pub told_uids: Vec<(Place, u64, u64, String)>,
}

impl Shelved {
    /// All changes of which the session does not know whether they were made.
    pub fn in_doubt(&self) -> impl Iterator<Item = &Change> {
        self.pending.iter().chain(&self.doubts)
    }
}

/// The knowledge of all clients of a run.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: Mutex<Vec<Sent>>,
    shelves: Mutex<BTreeMap<u64, Shelved>>,
    trouble: Mutex<Vec<String>>,
    acknowledged: AtomicU64,
    dying: AtomicBool,
}

impl Ledger {
    /// Notes what became of a message, whatever that was; [`Ledger::note_sent`] judges it, too.
    pub fn record(&self, sent: Sent) {
        if sent.fate == Fate::Acknowledged {
            self.count();
        }
        hold(&self.sent).push(sent);
    }

    /// Notes what became of a message.
    pub fn note_sent(&self, sent: Sent) {
        match &sent.fate {
            Fate::Acknowledged => self.count(),
            Fate::Refused(text) | Fate::Deferred(text) => {
                self.note_refused(&format!("{} was refused: {text}", sent.id));
            }
            Fate::Unknown(text) | Fate::NotOffered(text) => self.note_broken(text),
        }
        hold(&self.sent).push(sent);
    }

    /// Counts one acknowledgement.
    pub fn count(&self) {
        self.acknowledged.fetch_add(1, Ordering::AcqRel);
    }

    /// How many acknowledgements there were: messages and changes.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// All messages that were offered over SMTP.
    pub fn sent(&self) -> Vec<Sent> {
        hold(&self.sent).clone()
    }

    /// An IMAP session's knowledge.
    pub fn shelved(&self, session: u64) -> Shelved {
        hold(&self.shelves).get(&session).cloned().unwrap_or_default()
    }

    /// Puts it back.
    pub fn put_shelved(&self, session: u64, shelved: Shelved) {
        hold(&self.shelves).insert(session, shelved);
    }

    /// All IMAP sessions' knowledge.
    pub fn all_shelved(&self) -> BTreeMap<u64, Shelved> {
        hold(&self.shelves).clone()
    }

    /// From now on (`true`) broken connections and refusals are what we asked for.
    pub fn set_dying(&self, dying: bool) {
        self.dying.store(dying, Ordering::SeqCst);
    }

    /// Whether the node or its store is being killed, so that connections may break.
    pub fn is_dying(&self) -> bool {
        self.dying.load(Ordering::SeqCst)
    }

    /// Notes a broken connection: trouble if nobody is killing the node.
    pub fn note_broken(&self, text: &str) {
        if !self.is_dying() {
            self.note_trouble(&format!("a connection broke: {text}"));
        }
    }

    /// Notes a refusal: trouble if nobody has taken the node's store away.
    pub fn note_refused(&self, text: &str) {
        if !self.is_dying() {
            self.note_trouble(text);
        }
    }

    /// Notes what should not have happened while the node was well.
    pub fn note_trouble(&self, text: &str) {
        hold(&self.trouble).push(text.to_owned());
    }

    /// What should not have happened while the node was well.
    pub fn trouble(&self) -> Vec<String> {
        hold(&self.trouble).clone()
    }
}

/// A panic of another worker does not make what it noted untrue.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
