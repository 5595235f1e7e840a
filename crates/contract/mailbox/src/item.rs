//! Items as trees of properties: what MAPI, EWS, ActiveSync and DAV need beyond mail.
//!
//! An item is a property bag with a recipient table and an attachment table (a bag each). Beside
//! it may stand a *native form* (RFC 5322, iCalendar, vCard). An item that arrived native keeps
//! its bytes for ever as the truth; an item authored as a tree has the tree as truth.

use crate::message::MessageMeta;
use base::{AccountId, Change, FolderId, ItemId, Timestamp, Uid};
use bytes::Bytes;
use contract_blob::{Content, Staged};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The deepest embedding of items that is accepted (an item without embedded ones has depth 1).
/// Whoever builds a tree from what a client sent keeps to it.
pub const TREE_DEPTH_MAX: usize = 32;

/// The name of a property (MS-OXCDATA 2.9; MS-OXPROPS). Named properties are kept by name, never
/// by a number that only one mailbox knows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PropertyName {
    /// A tagged property: the 16-bit id, without type.
    Tag(u16),
    /// A named property with a number (PSETID + LID).
    Numbered {
        /// The property set.
        set: [u8; 16],
        /// The number in it.
        id: u32,
    },
    /// A named property with a string.
    Named {
        /// The property set.
        set: [u8; 16],
        /// The name in it.
        name: String,
    },
}

/// A value with its MAPI type (MS-OXCDATA 2.11.1).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum PropertyValue {
    /// PtypInteger16.
    I16(i16),
    /// PtypInteger32.
    I32(i32),
    /// PtypInteger64.
    I64(i64),
    /// PtypFloating32, as bits.
    F32(u32),
    /// PtypFloating64, as bits.
    F64(u64),
    /// PtypCurrency.
    Currency(i64),
    /// PtypFloatingTime, as bits.
    FloatingTime(u64),
    /// PtypErrorCode.
    Error(u32),
    /// PtypBoolean.
    Bool(bool),
    /// PtypString.
    Text(String),
    /// PtypTime: 100 ns since 1601.
    Time(u64),
    /// PtypGuid.
    Guid([u8; 16]),
    /// PtypBinary, at most 64 kB; larger ones are [`PropertyValue::Stream`].
    Binary(Bytes),
    /// A long string or binary, outside the bag.
    Stream {
        /// Whether it is text (UTF-8) or binary.
        text: bool,
        /// Its bytes.
        content: Content,
    },
    /// PtypMultipleInteger16.
    ManyI16(Vec<i16>),
    /// PtypMultipleInteger32.
    ManyI32(Vec<i32>),
    /// PtypMultipleInteger64.
    ManyI64(Vec<i64>),
    /// PtypMultipleString.
    ManyText(Vec<String>),
    /// PtypMultipleTime.
    ManyTime(Vec<u64>),
    /// PtypMultipleGuid.
    ManyGuid(Vec<[u8; 16]>),
    /// PtypMultipleBinary.
    ManyBinary(Vec<Bytes>),
}

/// A property bag.
pub type Properties = BTreeMap<PropertyName, PropertyValue>;

/// An attachment: a bag, and data that is bytes or an item of its own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attachment {
    /// PidTagAttachNumber: its name within the item; never reused there.
    pub number: u32,
    /// Its properties.
    pub properties: Properties,
    /// Its data.
    pub data: AttachmentData,
}

/// What an attachment carries.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum AttachmentData {
    /// Nothing (a reference by properties only).
    None,
    /// Bytes.
    Bytes(Content),
    /// An embedded item.
    Item(Box<ItemTree>),
}

/// Everything of an item but its identity.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ItemTree {
    /// The item's own properties.
    pub properties: Properties,
    /// One bag for each recipient.
    pub recipients: Vec<Properties>,
    /// Attachments, in order of number.
    pub attachments: Vec<Attachment>,
}

/// The bytes an item has beside (or instead of) its tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Native {
    /// RFC 5322, with what was found in it.
    Message(Box<MessageMeta>),
    /// iCalendar.
    Calendar(Content),
    /// vCard.
    Card(Content),
}

/// A version of an item as ICS knows it (MS-OXCFXICS 2.2.2.2): who made it, and his counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Xid {
    /// The replica.
    pub replica: [u8; 16],
    /// Its counter, below 2^48.
    pub counter: u64,
}

/// A predecessor change list: for each replica the newest version that this one contains
/// (MS-OXCFXICS 2.2.2.3).
pub type PredecessorList = BTreeMap<[u8; 16], u64>;

/// An item with its identity.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Item {
    /// Stable over edits and moves inside the mailbox.
    pub id: ItemId,
    /// Where it is.
    pub folder: FolderId,
    /// Its UID there; `None` for associated items.
    pub uid: Option<Uid>,
    /// Whether it is associated (FAI).
    pub associated: bool,
    /// A foreign SourceKey, if it was imported with one; else its own id serves.
    pub source_key: Option<Bytes>,
    /// Any change (MODSEQ).
    pub change: Change,
    /// A change of content (MAPI's CN, EWS ChangeKey, DAV ETag).
    pub content_change: Change,
    /// A change of the read state alone.
    pub read_change: Change,
    /// What this version contains.
    pub predecessors: PredecessorList,
    /// The last writer's version, if it was imported.
    pub version: Option<Xid>,
    /// The DAV resource name, if it has one.
    pub href: Option<String>,
    /// When it arrived.
    pub received: Timestamp,
    /// Its tree.
    pub tree: ItemTree,
    /// Its native form.
    pub native: Option<Native>,
}

/// An item to be made.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct NewItem {
    /// An id from a range that this client reserved; the next free one where `None`.
    pub id: Option<ItemId>,
    /// Associated (FAI): no UID.
    pub associated: bool,
    /// A foreign SourceKey.
    pub source_key: Option<Bytes>,
    /// For imports: the version and what it contains.
    pub version: Option<(Xid, PredecessorList)>,
    /// The DAV resource name, unique in the folder.
    pub href: Option<String>,
    /// Its tree.
    pub tree: ItemTree,
    /// Its native form.
    pub native: Option<Native>,
    /// The blobs in tree and native form that nobody holds yet.
    pub staged: Vec<Staged>,
    /// Its flags.
    pub flags: crate::index::NamedFlags,
}

/// What to change of an item. Attachments that are not named are neither read nor copied.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ItemEdit {
    /// Refuse with [`base::Kind::Conflict`] unless the content change is still this (If-Match).
    pub expected: Option<Change>,
    /// For imports: the new version and what it contains. A version that is contained in what is
    /// stored is ignored; one that does not contain it is a conflict.
    pub version: Option<(Xid, PredecessorList)>,
    /// Properties to set.
    pub set: Properties,
    /// Properties to delete.
    pub delete: Vec<PropertyName>,
    /// A new recipient table.
    pub recipients: Option<Vec<Properties>>,
    /// Attachments to add; numbers are given by the mailbox.
    pub add_attachments: Vec<Attachment>,
    /// Attachments to remove.
    pub remove_attachments: Vec<u32>,
    /// A new native form.
    pub native: Option<Native>,
    /// The blobs that nobody holds yet.
    pub staged: Vec<Staged>,
}

/// What became of an edit or import.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Edited {
    /// It is applied.
    Applied {
        /// The item.
        item: ItemId,
        /// Its new content change.
        content_change: Change,
    },
    /// What is stored contains this version already.
    Ignored,
    /// What is stored and this version do not contain each other; the stored one stays.
    Conflict,
}

/// One step of a folder's history, for clients that follow items rather than UIDs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ItemChange {
    /// The item.
    pub item: ItemId,
    /// Its newest change in this folder.
    pub change: Change,
    /// What happened.
    pub what: ItemChangeKind,
}

/// What happened to an item, told from the position of the one who asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ItemChangeKind {
    /// Its content changed, or it is new.
    Content {
        /// The ETag.
        content_change: Change,
        /// The DAV resource name.
        href: Option<String>,
    },
    /// Only its read state changed.
    ReadState {
        /// Whether it is read now.
        read: bool,
    },
    /// Only flags other than the read state changed.
    Flags,
    /// It is gone from this folder.
    Gone {
        /// The DAV resource name it had.
        href: Option<String>,
    },
}

/// A device's state of one collection (ActiveSync): the latest and the one before, so that a
/// request whose answer was lost can be asked again.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CollectionState {
    /// What the device has acknowledged.
    pub previous: Option<Bytes>,
    /// What it was sent last.
    pub latest: Option<Bytes>,
}

/// How much a mailbox holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes that count towards the quota.
    pub size_bytes: u64,
    /// Items that count.
    pub items: u64,
    /// Bytes in the Recoverable Items tree, which have a quota of their own.
    pub recoverable_bytes: u64,
}

/// Who may do what in a folder, for one account; bits as in MS-OXCPERM 2.2.7 PidTagMemberRights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Permission {
    /// To whom.
    pub account: AccountId,
    /// Rights.
    pub rights: u32,
}

impl Permission {
    /// Read any item (MS-OXCPERM 2.2.7).
    pub const READ_ANY: u32 = 0x0001;
    /// Put items into the folder.
    pub const CREATE: u32 = 0x0002;
    /// Change own items. Who made an item is not known, so it gives nothing yet.
    pub const EDIT_OWNED: u32 = 0x0008;
    /// Delete own items; as [`Permission::EDIT_OWNED`].
    pub const DELETE_OWNED: u32 = 0x0010;
    /// Change any item, its flags among it.
    pub const EDIT_ANY: u32 = 0x0020;
    /// Delete any item.
    pub const DELETE_ANY: u32 = 0x0040;
    /// Make folders below it.
    pub const CREATE_SUBFOLDER: u32 = 0x0080;
    /// Rename, move and remove the folder, read and change its permissions.
    pub const OWNER: u32 = 0x0100;
    /// Be named as the folder's contact.
    pub const CONTACT: u32 = 0x0200;
    /// See that the folder is there.
    pub const VISIBLE: u32 = 0x0400;
    /// Free/busy times.
    pub const FREE_BUSY_SIMPLE: u32 = 0x0800;
    /// Free/busy times with subject and place.
    pub const FREE_BUSY_DETAILED: u32 = 0x1000;
    /// All of them.
    pub const ALL: u32 = 0x1ffb;
    /// What somebody who makes a folder in another's mailbox gets there: all but free/busy.
    pub const OF_CREATOR: u32 = 0x07fb;
}
