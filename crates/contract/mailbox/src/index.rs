//! A folder's index: for each message its UID, item, flags, change, size and date.

mod packed;

use crate::folder::FolderInfo;
use base::{Change, ItemId, Timestamp, Uid};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The flags that every protocol knows, as bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct SystemFlags(pub u8);

impl SystemFlags {
    /// `\Seen`; MAPI's MSGFLAG_READ.
    pub const SEEN: Self = Self(1);
    /// `\Answered`.
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`.
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`.
    pub const DELETED: Self = Self(8);
    /// `\Draft`; MAPI's MSGFLAG_UNSENT.
    pub const DRAFT: Self = Self(16);

    /// Whether all of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// All flags of one message. Keywords are bits; what each bit is called stands in the mailbox's
/// [`Keywords`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Flags {
    /// System flags.
    pub system: SystemFlags,
    /// Keyword bits.
    pub keywords: u128,
}

impl Flags {
    /// Only system flags.
    pub fn system(system: SystemFlags) -> Self {
        Self { system, keywords: 0 }
    }

    /// Whether `\Seen` is set.
    pub fn is_seen(self) -> bool {
        self.system.contains(SystemFlags::SEEN)
    }
}

/// The names of a mailbox's keyword bits, in order of their bit. Only ever grows, to at most
/// [`Keywords::COUNT_MAX`]; compared without regard to case.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Keywords(pub Vec<String>);

impl Keywords {
    /// How many keywords one mailbox can have.
    pub const COUNT_MAX: usize = 128;

    /// The bit of a keyword, if it has one yet.
    pub fn bit(&self, name: &str) -> Option<u128> {
        self.0.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|place| 1 << place)
    }

    /// The names of a set of bits.
    pub fn names(&self, bits: u128) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .enumerate()
            .filter(move |(place, _)| bits >> place & 1 == 1)
            .map(|(_, name)| name.as_str())
    }
}

/// Flags by name, as clients give them; the mailbox actor turns keywords into bits.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NamedFlags {
    /// System flags.
    pub system: SystemFlags,
    /// Keywords.
    pub keywords: Vec<String>,
}

/// One message of a folder's index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IndexEntry {
    /// Its UID in this folder.
    pub uid: Uid,
    /// The item.
    pub item: ItemId,
    /// Its flags.
    pub flags: Flags,
    /// Its newest change (MODSEQ).
    pub change: Change,
    /// RFC822.SIZE.
    pub size_bytes: u64,
    /// INTERNALDATE.
    pub received: Timestamp,
}

/// The messages of up to 256 consecutive UIDs: those with `uid / 256 == number`. Shared, never
/// copied, inside one node; in the store and between nodes it is packed (some 10 bytes a message,
/// see `packed`), since opening a folder reads all of them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct IndexBlock {
    /// `uid / 256` of all its messages.
    pub number: u32,
    /// In order of UID; never empty when stored.
    pub entries: Vec<IndexEntry>,
}

impl IndexBlock {
    /// How many consecutive UIDs share a block.
    pub const UIDS: u32 = 256;
}

/// A whole folder at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FolderView {
    /// The folder; its `highest_change` is the moment.
    pub info: FolderInfo,
    /// The mailbox's keyword names.
    pub keywords: Arc<Keywords>,
    /// Its messages, in order of UID.
    pub blocks: Vec<Arc<IndexBlock>>,
}

impl FolderView {
    /// All messages in order of UID.
    pub fn entries(&self) -> impl Iterator<Item = &IndexEntry> {
        self.blocks.iter().flat_map(|block| &block.entries)
    }
}

/// What happened to a folder since a moment. It may tell of what happened before that too, since
/// answers are shared by all who want to know the same: to take it in twice changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ViewDelta {
    /// The folder now; its `highest_change` is the new moment.
    pub info: FolderInfo,
    /// The mailbox's keyword names.
    pub keywords: Arc<Keywords>,
    /// New and changed messages, as they are now, in order of UID.
    pub changed: Vec<IndexEntry>,
    /// UIDs that are gone (expunged or moved away), in order. May name UIDs the caller never saw.
    pub vanished: Vec<Uid>,
    /// False if the moment is too old to tell what vanished: take a whole view instead.
    pub complete: bool,
}
