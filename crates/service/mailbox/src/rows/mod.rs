//! A mailbox's rows: keys, values, and how they become one another.
//!
//! All rows of a mailbox are one contiguous range, `A<account>…`, so that a mailbox can be moved,
//! exported or removed as one.
//!
//! | key after `A<account>` | row |
//! |---|---|
//! | `s` | [`Summary`]: counters and sizes of the mailbox |
//! | `k` | names of keyword bits |
//! | `p<path>` | a subscription |
//! | `f<folder>` | [`FolderRow`] |
//! | `b<folder><block>` | index of 256 consecutive UIDs |
//! | `m<folder><uid><piece>` | envelope, structure and content of a message ([`meta`]) |
//! | `i<item>` | [`ItemRow`]: identity and versions of an item |
//! | `t<item><piece>` | an item's bag: properties and recipients ([`tree`]) |
//! | `a<item><number><piece>` | one attachment of an item |
//! | `o<folder><item>` | an associated item |
//! | `w<first>` | a range of item ids that a client has reserved |
//! | `y<search><folder><item>` | an item of a folder as member of a search folder → its UID there |
//! | `c<folder><change>` | [`ChangeRow`]: one per item of a folder, and tombstones |
//! | `e<folder><change>` | that this change is a tombstone |
//! | `n` | which change number there was when, for the age of tombstones |
//! | `g<hash><item>` | Message-ID → item |
//! | `v<hash><item>` | conversation → item |
//! | `r<folder><time><item>` | received date → item |
//! | `h<folder><href>` | DAV resource name → item |
//! | `z<folder><key>` | foreign SourceKey → item |
//! | `d<queue><recipient>` | a delivery that was made |
//! | `x<session>` | the last command of a session and its answer |
//! | `j` | the bulk job in progress |
//! | `q<folder><device><piece>` | a device's state of a collection |
//! | `u<folder><account><block>` | which of 256 UIDs a user has read, where that is per user |
//!
//! Two stand outside: `J<account>` while there is a bulk job in the mailbox, so that its next owner
//! finds it (`resume`); and `G<guest><account>`, empty, where somebody else has been given rights in
//! a folder, so that the guest finds the mailbox (`guests`). The second is a hint and may be stale.

pub(crate) mod keys;
pub(crate) mod meta;
pub(crate) mod pieces;
pub(crate) mod read_by;
pub(crate) mod tree;

use base::{Change, CommandId, Error, FolderId, ItemId, Result, Timestamp, Uid, wire};
use bytes::Bytes;
use contract_blob::BlobId;
use contract_mailbox::{
    Flags, FolderInfo, IndexBlock, IndexEntry, Keywords, Permission, PredecessorList, Search,
    SystemFlags, WriteReply, Xid,
};
use contract_store::{BodyError, Isolation, KeyRange, KeySelector, Transaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version byte of every row of a mailbox at feature level 1.
const VERSION: u8 = 1;

/// Encodes a row.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes> {
    wire::encode_row(VERSION, value)
}

/// Decodes a row; `what` names it in the error.
pub(crate) fn decode<T: DeserializeOwned>(row: &[u8], what: &str) -> Result<T> {
    wire::decode_row(VERSION, row).map_err(|error| error.detail(format!("{what} row")))
}

/// Whether a range has so many rows (one at least): one read, however many it has.
pub(crate) async fn has_at_least(
    tx: &dyn Transaction,
    range: &KeyRange,
    count: u32,
) -> Result<bool, BodyError> {
    let selector = from_end(range, count.saturating_sub(1));
    Ok(tx.get_key(&selector, Isolation::Snapshot).await? >= range.begin)
}

/// The key before the last `count` ones of a range.
pub(crate) fn from_end(range: &KeyRange, count: u32) -> KeySelector {
    let offset = i32::try_from(count).map_or(i32::MIN, |count| -count);
    KeySelector { offset, ..KeySelector::last_less_than(range.end.clone()) }
}

/// Counters and sizes of a mailbox. Read and compared by every write, so that a cache which missed
/// a commit is noticed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Raised by every write.
    pub(crate) writes: u64,
    /// The id of the next item.
    pub(crate) next_item: u64,
    /// The number of the next change.
    pub(crate) next_change: u64,
    /// The id of the next folder.
    pub(crate) next_folder: u64,
    /// The UIDVALIDITY of the next folder is greater than this.
    pub(crate) last_uid_validity: u32,
    /// Bytes that count towards the quota.
    pub(crate) size_bytes: u64,
    /// Items that count.
    pub(crate) items: u64,
    /// Bytes in the Recoverable Items tree.
    pub(crate) recoverable_bytes: u64,
    /// When housekeeping last ran.
    pub(crate) swept: Timestamp,
}

/// A folder with what the contract does not show.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct FolderRow {
    /// What the contract shows; `subscribed` is not kept here.
    pub(crate) info: FolderInfo,
    /// Whether read state is per user.
    pub(crate) read_per_user: bool,
    /// Tombstones up to here have been compacted away.
    pub(crate) compacted: Change,
    /// Scope and criteria of a search folder.
    pub(crate) search: Option<(Vec<FolderId>, Search)>,
    /// Who may do what.
    pub(crate) permissions: Vec<Permission>,
    /// When it was deleted, if it waits in Recoverable Items.
    pub(crate) deleted: Option<Timestamp>,
}

impl FolderRow {
    /// Adds a message to the counts.
    pub(crate) fn count(&mut self, entry: &IndexEntry) {
        let counts = &mut self.info.counts;
        counts.messages += 1;
        counts.size_bytes += entry.size_bytes;
        counts.unseen += u64::from(is_unseen(entry));
        counts.deleted += u64::from(is_deleted(entry));
    }

    /// Takes a message out of the counts.
    pub(crate) fn discount(&mut self, entry: &IndexEntry) {
        let counts = &mut self.info.counts;
        counts.messages = counts.messages.saturating_sub(1);
        counts.size_bytes = counts.size_bytes.saturating_sub(entry.size_bytes);
        counts.unseen = counts.unseen.saturating_sub(u64::from(is_unseen(entry)));
        counts.deleted = counts.deleted.saturating_sub(u64::from(is_deleted(entry)));
    }
}

impl FolderRow {
    /// Adds what an item has beside the message that FETCH shows.
    pub(crate) fn count_beside(&mut self, item_bytes: u64, entry_bytes: u64) {
        let counts = &mut self.info.counts;
        counts.size_bytes += item_bytes.saturating_sub(entry_bytes);
    }

    /// Takes that away.
    pub(crate) fn discount_beside(&mut self, item_bytes: u64, entry_bytes: u64) {
        let counts = &mut self.info.counts;
        let beside = item_bytes.saturating_sub(entry_bytes);
        counts.size_bytes = counts.size_bytes.saturating_sub(beside);
    }
}

impl ItemRow {
    /// The DAV resource name.
    pub(crate) fn href(&self) -> Option<String> {
        self.extra.as_ref().and_then(|extra| extra.href.clone())
    }
}

fn is_unseen(entry: &IndexEntry) -> bool {
    !entry.flags.system.contains(SystemFlags::SEEN)
}

fn is_deleted(entry: &IndexEntry) -> bool {
    entry.flags.system.contains(SystemFlags::DELETED)
}

/// Identity and versions of an item. Flags, change, size and date of an item with a UID stand in
/// its index entry; those of an associated one here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct ItemRow {
    /// Where it is.
    pub(crate) folder: FolderId,
    /// Its UID there; `None` for associated items.
    pub(crate) uid: Option<Uid>,
    /// Its newest change.
    pub(crate) change: Change,
    /// The newest change of its content.
    pub(crate) content_change: Change,
    /// When it arrived.
    pub(crate) received: Timestamp,
    /// All its bytes.
    pub(crate) size_bytes: u64,
    /// The blobs of the message that FETCH shows.
    pub(crate) blobs: Vec<BlobId>,
    /// Hash of its Message-ID.
    pub(crate) message_id: Option<u64>,
    /// Hash of its conversation.
    pub(crate) conversation: Option<u64>,
    /// What only clients of items need; `None` for plain mail.
    pub(crate) extra: Option<Box<ItemExtra>>,
}

/// What only clients of items (MAPI, EWS, ActiveSync, DAV) need.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ItemExtra {
    /// A foreign SourceKey.
    pub(crate) source_key: Option<Bytes>,
    /// The last importer's version.
    pub(crate) version: Option<Xid>,
    /// What this version contains.
    pub(crate) predecessors: PredecessorList,
    /// The DAV resource name.
    pub(crate) href: Option<String>,
    /// Whether there are tree rows.
    pub(crate) has_tree: bool,
    /// The blobs of its bag.
    pub(crate) bag_blobs: Vec<BlobId>,
    /// How many attachments there are.
    pub(crate) attachments: u32,
    /// All their bytes.
    pub(crate) attachment_bytes: u64,
    /// Those in their rows.
    pub(crate) attachment_row_bytes: u64,
    /// Whether the tree is the truth, and the message that FETCH shows was made from it.
    pub(crate) rendered: bool,
    /// The flags of an associated item.
    pub(crate) flags: Flags,
    /// When it came to Recoverable Items.
    pub(crate) disposed: Option<Timestamp>,
}

/// One step of a folder's history.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ChangeRow {
    /// Which item.
    pub(crate) item: ItemId,
    /// Its UID; `None` for associated items.
    pub(crate) uid: Option<Uid>,
    /// Its DAV resource name.
    pub(crate) href: Option<String>,
    /// What became of it.
    pub(crate) state: ChangeState,
}

/// What a step of a folder's history says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum ChangeState {
    /// The item is here, and this is its newest change.
    Here(Milestones),
    /// The item is gone.
    Gone,
    /// The item is here with another UID: its content changed.
    Replaced,
}

/// When what of an item last changed, in one folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Milestones {
    /// It came into the folder.
    pub(crate) entered: Change,
    /// Its content.
    pub(crate) content: Change,
    /// Its read state.
    pub(crate) read: Change,
}

/// The last command of a session and its answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ResultRow {
    /// Its number.
    pub(crate) sequence: u64,
    /// When.
    pub(crate) at: Timestamp,
    /// The answer.
    pub(crate) reply: WriteReply,
}

/// The longest answer that is kept, in bytes.
const REPLY_BYTES_MAX: usize = 8_000;

impl ResultRow {
    /// The row for an answer; a long answer is kept as "look again".
    pub(crate) fn encode(command: CommandId, at: Timestamp, reply: &WriteReply) -> Result<Bytes> {
        let row = Self { sequence: command.sequence, at, reply: reply.clone() };
        let bytes = encode(&row)?;
        if bytes.len() <= REPLY_BYTES_MAX {
            return Ok(bytes);
        }
        encode(&Self { reply: WriteReply::LookAgain, ..row })
    }

    /// What to do with a command, given the row of its session.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] for a number that lies in the past.
    pub(crate) fn answer(row: Option<&[u8]>, command: CommandId) -> Result<Option<WriteReply>> {
        let Some(row) = row else { return Ok(None) };
        let row: Self = decode(row, "result")?;
        match row.sequence.cmp(&command.sequence) {
            std::cmp::Ordering::Less => Ok(None),
            std::cmp::Ordering::Equal => Ok(Some(row.reply)),
            std::cmp::Ordering::Greater => {
                Err(Error::invalid("The command is older than the last one of its session"))
            }
        }
    }
}

/// Decodes an index block; refuses one whose entries are not in order.
pub(crate) fn decode_block(row: &[u8]) -> Result<IndexBlock> {
    let block: IndexBlock = decode(row, "index")?;
    let in_order = block.entries.windows(2).all(|pair| pair[0].uid < pair[1].uid);
    if in_order { Ok(block) } else { Err(Error::corrupt("an index row is out of order")) }
}

/// Decodes the item id that an index of names points to.
pub(crate) fn decode_item_id(row: &[u8]) -> Result<ItemId> {
    let bytes = row.try_into().map_err(|_| Error::corrupt("a row that names an item"))?;
    Ok(ItemId(u64::from_be_bytes(bytes)))
}

/// Decodes the keyword names.
pub(crate) fn decode_keywords(row: &[u8]) -> Result<Keywords> {
    decode(row, "keywords")
}
