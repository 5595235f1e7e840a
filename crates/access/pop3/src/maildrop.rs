//! The Inbox as it was at sign-in: which number is which message (RFC 1939 §5), what size it has,
//! and what is to be removed.
//!
//! A session holds 8 bytes a message, and three bits: somebody may have a million. Numbers count
//! from 1 here, as in the protocol.

use base::Uid;
use contract_mailbox::{FolderView, UidSet};
use std::collections::BTreeMap;

/// One message.
#[derive(Clone, Copy)]
struct Row {
    uid: u32,
    /// [`LARGE`] for one whose size stands apart.
    size_bytes: u32,
}

/// What stands for sizes that do not fit into a row.
const LARGE: u32 = u32::MAX;

/// See the module's words.
pub(crate) struct Maildrop {
    uid_validity: u32,
    rows: Vec<Row>,
    /// Sizes of 4 GB and more, by place.
    large: BTreeMap<usize, u64>,
    /// To be removed at QUIT.
    deleted: Bits,
    /// What nobody has read yet.
    unseen: Bits,
    /// Messages, but for the deleted ones.
    count: usize,
    /// Their bytes.
    size_bytes: u64,
}

/// A message that is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    /// As the client counts, from 1.
    pub(crate) number: u32,
    pub(crate) uid: Uid,
    /// As it is sent, but for doubled dots and the end mark.
    pub(crate) size_bytes: u64,
}

impl Maildrop {
    /// A folder as it is now.
    pub(crate) fn open(view: &FolderView) -> Self {
        let count = view.blocks.iter().map(|block| block.entries.len()).sum();
        let mut drop = Self {
            uid_validity: view.info.uid_validity,
            rows: Vec::with_capacity(count),
            large: BTreeMap::new(),
            deleted: Bits::default(),
            unseen: Bits::default(),
            count,
            size_bytes: 0,
        };
        for entry in view.entries() {
            let place = drop.rows.len();
            let size_bytes = u32::try_from(entry.size_bytes).unwrap_or(LARGE);
            if size_bytes == LARGE {
                drop.large.insert(place, entry.size_bytes);
            }
            if !entry.flags.is_seen() {
                drop.unseen.set(place);
            }
            drop.size_bytes += entry.size_bytes;
            drop.rows.push(Row { uid: entry.uid.0, size_bytes });
        }
        drop
    }

    /// How many messages there are, but for the deleted ones.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Their bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// A message by number; `None` where there is none, or it is deleted.
    pub(crate) fn message(&self, number: u32) -> Option<Message> {
        let place = (number as usize).checked_sub(1)?;
        let row = self.rows.get(place).filter(|_| !self.deleted.get(place))?;
        let size_bytes = match row.size_bytes {
            LARGE => self.large.get(&place).copied().unwrap_or_default(),
            size_bytes => u64::from(size_bytes),
        };
        Some(Message { number, uid: Uid(row.uid), size_bytes })
    }

    /// The highest number there is.
    pub(crate) fn last(&self) -> u32 {
        self.rows.len() as u32
    }

    /// A message's name for ever: its folder's UIDVALIDITY and its UID, which no other message of
    /// this Inbox ever has, whichever node serves it (RFC 1939 §7, UIDL).
    pub(crate) fn unique_id(&self, message: &Message) -> String {
        format!("{:08x}{:08x}", self.uid_validity, message.uid.0)
    }

    /// Marks a message that is there for removal.
    pub(crate) fn delete(&mut self, message: &Message) {
        if self.deleted.set(message.number as usize - 1) {
            self.count -= 1;
            self.size_bytes -= message.size_bytes;
        }
    }

    /// Takes back all marks.
    pub(crate) fn restore(&mut self) {
        let deleted = std::mem::take(&mut self.deleted);
        for place in deleted.places() {
            if let Some(message) = self.message(place as u32 + 1) {
                self.count += 1;
                self.size_bytes += message.size_bytes;
            }
        }
    }

    /// How many messages are marked.
    pub(crate) fn deleted_count(&self) -> usize {
        self.rows.len() - self.count
    }

    /// The marked messages in sets of at most so many, with their number.
    pub(crate) fn deleted(&self, step: usize) -> impl Iterator<Item = (UidSet, usize)> {
        let mut places = self.deleted.places();
        std::iter::from_fn(move || {
            let next = places.by_ref().take(step).filter_map(|place| self.rows.get(place));
            let uids: Vec<Uid> = next.map(|row| Uid(row.uid)).collect();
            let count = uids.len();
            (count > 0).then(|| (uids.into_iter().collect(), count))
        })
    }

    /// Notes that a message was fetched; true if nobody had read it.
    pub(crate) fn fetched(&mut self, message: &Message) -> bool {
        self.unseen.clear(message.number as usize - 1)
    }
}

/// A set of places.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    /// Whether it is in the set.
    fn get(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Puts it into the set; true if it was not there.
    fn set(&mut self, place: usize) -> bool {
        let is_new = !self.get(place);
        if place / 64 >= self.0.len() {
            self.0.resize(place / 64 + 1, 0);
        }
        self.0[place / 64] |= 1 << (place % 64);
        is_new
    }

    /// Takes it out of the set; true if it was there.
    fn clear(&mut self, place: usize) -> bool {
        let was_there = self.get(place);
        if was_there {
            self.0[place / 64] &= !(1 << (place % 64));
        }
        was_there
    }

    /// All, in order.
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.0.iter().enumerate().filter(|(_, word)| **word != 0);
        words.flat_map(|(at, word)| {
            (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| at * 64 + bit)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::{Change, FolderId, ItemId, Timestamp};
    use contract_mailbox::{
        Flags, FolderClass, FolderCounts, FolderInfo, FolderKind, IndexBlock, IndexEntry, Keywords,
        SystemFlags,
    };
    use std::sync::Arc;

    /// An Inbox with messages of these UIDs and sizes; every second one has been read.
    fn inbox(messages: &[(u32, u64)]) -> Maildrop {
        let entry = |(at, (uid, size_bytes)): (usize, &(u32, u64))| IndexEntry {
            uid: Uid(*uid),
            item: ItemId(at as u64),
            flags: if at % 2 == 1 { Flags::system(SystemFlags::SEEN) } else { Flags::default() },
            change: Change(1),
            size_bytes: *size_bytes,
            received: Timestamp::default(),
        };
        let entries = messages.iter().enumerate().map(entry).collect();
        Maildrop::open(&FolderView {
            info: FolderInfo {
                id: FolderId(3),
                parent: None,
                name: "Inbox".into(),
                class: FolderClass::Mail,
                kind: FolderKind::Normal,
                role: None,
                hidden: false,
                subscribed: false,
                counts: FolderCounts::default(),
                uid_validity: 0x2a,
                uid_next: Uid(1),
                highest_change: Change(0),
                recent_from: Uid(1),
                own_change: Change(0),
            },
            keywords: Arc::new(Keywords::default()),
            blocks: vec![Arc::new(IndexBlock { number: 0, entries })],
        })
    }

    fn shown(drop: &Maildrop) -> Vec<(u32, u32, u64)> {
        let all = (1..=drop.last()).filter_map(|number| drop.message(number));
        all.map(|message| (message.number, message.uid.0, message.size_bytes)).collect()
    }

    #[test]
    fn numbers_stay_while_messages_are_marked() {
        let mut drop = inbox(&[(5, 100), (7, 200), (9, 300)]);
        assert_eq!((drop.count(), drop.size_bytes()), (3, 600));
        let second = drop.message(2).unwrap();
        assert_eq!(drop.unique_id(&second), "0000002a00000007");
        drop.delete(&second);
        drop.delete(&second);
        assert_eq!((drop.count(), drop.size_bytes(), drop.deleted_count()), (2, 400, 1));
        assert_eq!(shown(&drop), [(1, 5, 100), (3, 9, 300)]);
        assert_eq!(drop.message(2), None);
        drop.restore();
        assert_eq!((drop.count(), drop.size_bytes(), drop.deleted_count()), (3, 600, 0));
        assert_eq!(shown(&drop).len(), 3);
        assert_eq!((drop.message(0), drop.message(4), drop.message(u32::MAX)), (None, None, None));
    }

    #[test]
    fn what_is_marked_comes_in_steps() {
        let messages: Vec<(u32, u64)> = (1..=200).map(|uid| (uid, 10)).collect();
        let mut drop = inbox(&messages);
        for number in (1..=200).filter(|number| number % 3 == 0) {
            drop.delete(&drop.message(number).unwrap());
        }
        let steps: Vec<_> = drop.deleted(50).collect();
        assert_eq!(steps.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [50, 16]);
        let uids: Vec<u32> =
            steps.iter().flat_map(|(uids, _)| uids.iter()).map(|uid| uid.0).collect();
        assert!(uids.iter().all(|uid| uid % 3 == 0) && uids.len() == 66 && uids.is_sorted());
    }

    #[test]
    fn sizes_beyond_a_row_and_what_was_read() {
        let huge = (1 << 32) + 5;
        let mut drop = inbox(&[(1, huge), (2, u64::from(LARGE)), (3, u64::from(LARGE) - 1)]);
        let sizes: Vec<u64> = shown(&drop).iter().map(|message| message.2).collect();
        assert_eq!(sizes, [huge, u64::from(LARGE), u64::from(LARGE) - 1]);
        let [first, second] = [1, 2].map(|number| drop.message(number).unwrap());
        assert!(drop.fetched(&first) && !drop.fetched(&first));
        assert!(!drop.fetched(&second), "it had been read before");
    }

    #[test]
    fn attack_36_a_million_messages_fit_into_eight_megabytes() {
        let messages: Vec<(u32, u64)> = (1..=1_000_000).map(|uid| (uid, 5_000)).collect();
        let mut drop = inbox(&messages);
        drop.delete(&drop.message(1_000_000).unwrap());
        let rows = drop.rows.capacity() * size_of::<Row>();
        let bits = (drop.deleted.0.capacity() + drop.unseen.0.capacity()) * 8;
        assert!(rows + bits <= 8 << 20, "{} bytes", rows + bits);
    }
}
