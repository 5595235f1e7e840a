//! The keys of one mailbox's rows. See the table in the module above.

use base::{AccountId, Change, FolderId, ItemId, QueueId, SessionId, Timestamp, Uid};
use bytes::Bytes;
use contract_blob::Holder;
use contract_store::KeyRange;
use contract_store::keys::{KeyBuilder, KeyReader};

/// What marks of jobs begin with.
const JOB_MARKS: &[u8] = b"J";

/// What marks of guests begin with.
const GUEST_MARKS: &[u8] = b"G";

/// Builds the keys of one mailbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keys(pub(crate) AccountId);

impl Keys {
    fn row(self, kind: u8) -> KeyBuilder {
        KeyBuilder::new(b"A").u64(self.0.0).u8(kind)
    }

    /// Everything of the mailbox.
    pub(crate) fn everything(self) -> KeyRange {
        KeyRange::prefix(&KeyBuilder::new(b"A").u64(self.0.0).build())
    }

    pub(crate) fn summary(self) -> Bytes {
        self.row(b's').build()
    }

    pub(crate) fn keywords(self) -> Bytes {
        self.row(b'k').build()
    }

    pub(crate) fn job(self) -> Bytes {
        self.row(b'j').build()
    }

    /// The row by which a mailbox's job is found without asking each mailbox; outside of
    /// [`Keys::everything`].
    pub(crate) fn job_mark(self) -> Bytes {
        KeyBuilder::new(JOB_MARKS).u64(self.0.0).build()
    }

    /// All such rows.
    pub(crate) fn job_marks() -> KeyRange {
        KeyRange::prefix(JOB_MARKS)
    }

    /// The mailbox of such a row.
    pub(crate) fn parse_job_mark(key: &[u8]) -> Option<AccountId> {
        KeyReader::new(key, JOB_MARKS)?.u64().map(AccountId)
    }

    /// The row by which a guest finds the mailbox; outside of [`Keys::everything`].
    pub(crate) fn guest_mark(self, guest: AccountId) -> Bytes {
        KeyBuilder::new(GUEST_MARKS).u64(guest.0).u64(self.0.0).build()
    }

    /// All such rows of the account as a guest.
    pub(crate) fn guest_marks(self) -> KeyRange {
        KeyRange::prefix(&KeyBuilder::new(GUEST_MARKS).u64(self.0.0).build())
    }

    /// The mailbox of such a row.
    pub(crate) fn parse_guest_mark(key: &[u8]) -> Option<AccountId> {
        let mut reader = KeyReader::new(key, GUEST_MARKS)?;
        reader.u64()?;
        reader.u64().map(AccountId)
    }

    pub(crate) fn subscription(self, path: &str) -> Bytes {
        self.row(b'p').raw(path.as_bytes()).build()
    }

    pub(crate) fn subscriptions(self) -> KeyRange {
        KeyRange::prefix(&self.row(b'p').build())
    }

    /// The path of a subscription's key.
    pub(crate) fn parse_subscription(self, key: &[u8]) -> Option<String> {
        let path = KeyReader::new(key, &self.row(b'p').build())?.rest();
        String::from_utf8(path.to_vec()).ok()
    }

    pub(crate) fn folder(self, folder: FolderId) -> Bytes {
        self.row(b'f').u64(folder.0).build()
    }

    pub(crate) fn folders(self) -> KeyRange {
        KeyRange::prefix(&self.row(b'f').build())
    }

    pub(crate) fn block(self, folder: FolderId, number: u32) -> Bytes {
        self.row(b'b').u64(folder.0).u32(number).build()
    }

    /// Index blocks of a folder from one number on.
    pub(crate) fn blocks_from(self, folder: FolderId, number: u32) -> KeyRange {
        let end = KeyRange::prefix(&self.row(b'b').u64(folder.0).build()).end;
        KeyRange { begin: self.block(folder, number), end }
    }

    pub(crate) fn meta(self, folder: FolderId, uid: Uid, piece: u16) -> Bytes {
        self.row(b'm').u64(folder.0).u32(uid.0).u16(piece).build()
    }

    /// All pieces of one message's meta.
    pub(crate) fn meta_of(self, folder: FolderId, uid: Uid) -> KeyRange {
        KeyRange::prefix(&self.row(b'm').u64(folder.0).u32(uid.0).build())
    }

    /// The UID of a meta row's key.
    pub(crate) fn parse_meta(self, key: &[u8]) -> Option<Uid> {
        let mut reader = KeyReader::new(key, &self.row(b'm').build())?;
        reader.u64()?;
        reader.u32().map(Uid)
    }

    pub(crate) fn item(self, item: ItemId) -> Bytes {
        self.row(b'i').u64(item.0).build()
    }

    /// The prefix of the pieces of an item's bag.
    pub(crate) fn bag(self, item: ItemId) -> Bytes {
        self.row(b't').u64(item.0).build()
    }

    /// The prefix of the pieces of one attachment.
    pub(crate) fn attachment(self, item: ItemId, number: u32) -> Bytes {
        self.row(b'a').u64(item.0).u32(number).build()
    }

    /// All attachments of an item.
    pub(crate) fn attachments(self, item: ItemId) -> KeyRange {
        KeyRange::prefix(&self.row(b'a').u64(item.0).build())
    }

    /// The number of an attachment's key.
    pub(crate) fn parse_attachment(self, key: &[u8]) -> Option<u32> {
        let mut reader = KeyReader::new(key, &self.row(b'a').build())?;
        reader.u64()?;
        reader.u32()
    }

    pub(crate) fn associated(self, folder: FolderId, item: ItemId) -> Bytes {
        self.row(b'o').u64(folder.0).u64(item.0).build()
    }

    /// All associated items of a folder.
    pub(crate) fn associated_of(self, folder: FolderId) -> KeyRange {
        KeyRange::prefix(&self.row(b'o').u64(folder.0).build())
    }

    /// The item of such a key.
    pub(crate) fn parse_associated(self, key: &[u8]) -> Option<ItemId> {
        let mut reader = KeyReader::new(key, &self.row(b'o').build())?;
        reader.u64()?;
        reader.u64().map(ItemId)
    }

    /// A range of reserved ids, by its first.
    pub(crate) fn reserved(self, first: u64) -> Bytes {
        self.row(b'w').u64(first).build()
    }

    /// All ranges of reserved ids that begin at or before an id.
    pub(crate) fn reserved_up_to(self, id: u64) -> KeyRange {
        KeyRange { begin: self.row(b'w').build(), end: self.reserved(id.saturating_add(1)) }
    }

    /// The first id of such a key.
    pub(crate) fn parse_reserved(self, key: &[u8]) -> Option<u64> {
        KeyReader::new(key, &self.row(b'w').build())?.u64()
    }

    /// That an item of a folder is a member of a search folder.
    pub(crate) fn member(self, search: FolderId, folder: FolderId, item: ItemId) -> Bytes {
        self.row(b'y').u64(search.0).u64(folder.0).u64(item.0).build()
    }

    /// The item of a member's key.
    pub(crate) fn parse_member(self, key: &[u8]) -> Option<ItemId> {
        let mut reader = KeyReader::new(key, &self.row(b'y').build())?;
        reader.u64()?;
        reader.u64()?;
        reader.u64().map(ItemId)
    }

    /// All members of a search folder that are in one folder.
    pub(crate) fn members_from(self, search: FolderId, folder: FolderId) -> KeyRange {
        KeyRange::prefix(&self.row(b'y').u64(search.0).u64(folder.0).build())
    }

    /// All members of a search folder.
    pub(crate) fn members(self, search: FolderId) -> KeyRange {
        KeyRange::prefix(&self.row(b'y').u64(search.0).build())
    }

    pub(crate) fn change(self, folder: FolderId, change: Change) -> Bytes {
        self.row(b'c').u64(folder.0).u64(change.0).build()
    }

    /// Changes of a folder after one number, up to and including another.
    pub(crate) fn changes(self, folder: FolderId, after: Change, up_to: Change) -> KeyRange {
        KeyRange {
            begin: self.change(folder, Change(after.0.saturating_add(1))),
            end: self.change(folder, Change(up_to.0.saturating_add(1))),
        }
    }

    /// The change number of a change row's key.
    pub(crate) fn parse_change(self, key: &[u8]) -> Option<Change> {
        let mut reader = KeyReader::new(key, &self.row(b'c').build())?;
        reader.u64()?;
        reader.u64().map(Change)
    }

    /// That a change is a tombstone.
    pub(crate) fn tombstone(self, folder: FolderId, change: Change) -> Bytes {
        self.row(b'e').u64(folder.0).u64(change.0).build()
    }

    /// All tombstones of a folder.
    pub(crate) fn tombstones(self, folder: FolderId) -> KeyRange {
        KeyRange::prefix(&self.row(b'e').u64(folder.0).build())
    }

    /// All tombstones of all folders from one on.
    pub(crate) fn tombstones_from(self, folder: FolderId) -> KeyRange {
        let end = KeyRange::prefix(&self.row(b'e').build()).end;
        KeyRange { begin: self.row(b'e').u64(folder.0).build(), end }
    }

    /// Folder and change number of a tombstone's key.
    pub(crate) fn parse_tombstone(self, key: &[u8]) -> Option<(FolderId, Change)> {
        let mut reader = KeyReader::new(key, &self.row(b'e').build())?;
        Some((FolderId(reader.u64()?), Change(reader.u64()?)))
    }

    /// Which change number the mailbox had at which time.
    pub(crate) fn marks(self) -> Bytes {
        self.row(b'n').build()
    }

    /// All reserved ranges of ids.
    pub(crate) fn all_reserved(self) -> KeyRange {
        KeyRange::prefix(&self.row(b'w').build())
    }

    /// All items of the mailbox.
    pub(crate) fn items(self) -> KeyRange {
        KeyRange::prefix(&self.row(b'i').build())
    }

    /// The item of an item's key.
    pub(crate) fn parse_item(self, key: &[u8]) -> Option<ItemId> {
        KeyReader::new(key, &self.row(b'i').build())?.u64().map(ItemId)
    }

    pub(crate) fn message_id(self, hash: u64, item: ItemId) -> Bytes {
        self.row(b'g').u64(hash).u64(item.0).build()
    }

    pub(crate) fn conversation(self, hash: u64, item: ItemId) -> Bytes {
        self.row(b'v').u64(hash).u64(item.0).build()
    }

    pub(crate) fn received(self, folder: FolderId, received: Timestamp, item: ItemId) -> Bytes {
        // The sign bit is turned over, so that dates before 1970 stand first.
        let time = (received.unix_ms as u64) ^ (1 << 63);
        self.row(b'r').u64(folder.0).u64(time).u64(item.0).build()
    }

    pub(crate) fn href(self, folder: FolderId, href: &str) -> Bytes {
        self.row(b'h').u64(folder.0).raw(href.as_bytes()).build()
    }

    pub(crate) fn source_key(self, folder: FolderId, source_key: &[u8]) -> Bytes {
        self.row(b'z').u64(folder.0).raw(source_key).build()
    }

    /// The dedupe key of a delivery. Whose it is the mailbox says; by which of its addresses it
    /// came does not matter.
    pub(crate) fn delivery(self, queue: QueueId, generation: u32) -> Bytes {
        self.row(b'd').u128(queue.0).u32(generation).build()
    }

    /// Dedupe keys of messages accepted before a moment.
    pub(crate) fn deliveries_before(self, moment: Timestamp) -> KeyRange {
        let begin = self.row(b'd').build();
        let end = self.row(b'd').u128(QueueId::new(moment, 0).0).build();
        KeyRange { begin, end }
    }

    /// The message that a dedupe key is about.
    pub(crate) fn delivered(self, key: &[u8]) -> Option<QueueId> {
        KeyReader::new(key, &self.row(b'd').build())?.u128().map(QueueId)
    }

    pub(crate) fn result(self, session: SessionId) -> Bytes {
        self.row(b'x').u128(session.0).build()
    }

    /// All results of all sessions.
    pub(crate) fn results(self) -> KeyRange {
        KeyRange::prefix(&self.row(b'x').build())
    }

    /// The prefix of the pieces of a device's state of a collection.
    pub(crate) fn collection(self, folder: FolderId, device: &str) -> Bytes {
        self.row(b'q').u64(folder.0).text(device.as_bytes()).build()
    }

    /// All devices' states of a collection.
    pub(crate) fn collections(self, folder: FolderId) -> KeyRange {
        KeyRange::prefix(&self.row(b'q').u64(folder.0).build())
    }

    /// Which of 256 consecutive UIDs a user has read.
    pub(crate) fn read_by(self, folder: FolderId, user: AccountId, block: u32) -> Bytes {
        self.row(b'u').u64(folder.0).u64(user.0).u32(block).build()
    }

    /// All that a user has read in a folder.
    pub(crate) fn all_read_by(self, folder: FolderId, user: AccountId) -> KeyRange {
        KeyRange::prefix(&self.row(b'u').u64(folder.0).u64(user.0).build())
    }

    /// What anybody has read in a folder.
    pub(crate) fn read_by_all(self, folder: FolderId) -> KeyRange {
        KeyRange::prefix(&self.row(b'u').u64(folder.0).build())
    }

    /// The block of such a key.
    pub(crate) fn parse_read_by(self, key: &[u8]) -> Option<u32> {
        let mut reader = KeyReader::new(key, &self.row(b'u').build())?;
        reader.u64()?;
        reader.u64()?;
        reader.u32()
    }

    /// The name under which an item holds its blobs.
    pub(crate) fn holder(self, item: ItemId) -> Holder {
        Holder(KeyBuilder::new(b"i").u64(self.0.0).u64(item.0).build())
    }

    /// The name under which an attachment holds its blobs.
    pub(crate) fn attachment_holder(self, item: ItemId, number: u32) -> Holder {
        Holder(KeyBuilder::new(b"i").u64(self.0.0).u64(item.0).u32(number).build())
    }

    /// All blocks of a folder's index.
    pub(crate) fn blocks(self, folder: FolderId) -> KeyRange {
        KeyRange::prefix(&self.row(b'b').u64(folder.0).build())
    }

    /// The whole history of a folder.
    pub(crate) fn history(self, folder: FolderId) -> KeyRange {
        KeyRange::prefix(&self.row(b'c').u64(folder.0).build())
    }
}

/// A 64-bit hash for index keys; a collision costs a look at one more item, never a wrong answer.
pub(crate) fn hash64(parts: &[&[u8]]) -> u64 {
    // FNV-1a over length-prefixed parts: stable for ever, which std's hashers do not promise.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut feed = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    for part in parts {
        (part.len() as u64).to_be_bytes().into_iter().for_each(&mut feed);
        part.iter().copied().for_each(&mut feed);
    }
    hash
}
