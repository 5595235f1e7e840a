//! Requests and replies as values. Stable on the wire: append variants, never reorder.

use crate::folder::{FolderClass, FolderInfo, SpecialUse};
use crate::index::{FolderView, IndexEntry, Keywords, NamedFlags, ViewDelta};
use crate::item::{
    CollectionState, Edited, Item, ItemChange, ItemEdit, NewItem, Permission, Usage,
};
use crate::message::{Delivered, Delivery, MessageMeta, NewMessage, Outgoing};
use crate::order::{Order, ThreadEntry, Threading};
use crate::search::Search;
use crate::uidset::UidSet;
use base::{AccountId, Change, FolderId, ItemId, QueueId, Uid};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most messages that one [`Read::Meta`] or [`Read::MetaPage`] asks for.
pub const META_MAX: usize = 256;

/// How many bytes of stored structures one answer brings together, but for one message alone: a
/// structure is some 3 kB as a rule and 5 MB at most.
pub const META_REPLY_BYTES_MAX: usize = 1_000_000;

/// A question to a mailbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Read {
    /// All folders that the principal may see, parents before children.
    Folders,
    /// One folder.
    Folder(FolderId),
    /// The subscribed folder paths (a name may outlive its folder, RFC 3501 §6.3.9).
    Subscriptions,
    /// A folder's whole index.
    View(FolderId),
    /// What happened to a folder since a change number; perhaps more, see [`ViewDelta`].
    Delta {
        /// Which folder.
        folder: FolderId,
        /// Changes after this one.
        since: Change,
    },
    /// What is needed to answer FETCH of these messages; unknown UIDs are left out. Refused with
    /// [`base::Kind::Limit`] where several of them are larger than [`META_REPLY_BYTES_MAX`]
    /// together: ask for fewer, or with [`Read::MetaPage`].
    Meta {
        /// Which folder.
        folder: FolderId,
        /// At most [`META_MAX`].
        uids: Vec<Uid>,
    },
    /// The messages that fulfil a condition. Reads a consistent state; runs beside the mailbox's
    /// other work, however long it takes.
    Search {
        /// Which folder.
        folder: FolderId,
        /// The condition.
        search: Search,
    },
    /// How much the mailbox holds.
    Usage,
    /// One item with its whole tree (attachment bytes stay blobs).
    Item(ItemId),
    /// Changes of items in a folder after a change number, oldest first; one step for each item,
    /// the newest. From [`Change`] 0 only what is there now. Refused with [`base::Kind::Conflict`]
    /// where it is no longer known what has gone since: begin anew.
    ItemChanges {
        /// Which folder.
        folder: FolderId,
        /// After this one.
        since: Change,
        /// At most so many.
        limit: usize,
    },
    /// Find an item by DAV resource name.
    ByHref {
        /// Which folder.
        folder: FolderId,
        /// The name.
        href: String,
    },
    /// Find an item by SourceKey.
    BySourceKey {
        /// Which folder.
        folder: FolderId,
        /// The key.
        source_key: Bytes,
    },
    /// A device's state of a collection.
    CollectionState {
        /// The device's name.
        device: String,
        /// The collection.
        folder: FolderId,
    },
    /// The read state of a folder for one user, where it is kept per user: the UIDs read.
    ReadBy {
        /// Which folder.
        folder: FolderId,
    },
    /// A folder's permissions.
    Permissions(FolderId),
    /// As [`Read::Meta`], in pages: as many from the first UID on as fit into an answer, at least
    /// one, and where to go on.
    MetaPage {
        /// Which folder.
        folder: FolderId,
        /// At most [`META_MAX`].
        uids: Vec<Uid>,
    },
    /// What the principal may do in each folder that it may see; the owner everything. From
    /// feature level 4 on.
    Rights,
    /// The messages that fulfil a condition, in an order; those that are equal by UID. From feature
    /// level 4 on.
    Sort {
        /// Which folder.
        folder: FolderId,
        /// The condition.
        search: Search,
        /// The first decides; where it is equal the next.
        order: Vec<Order>,
    },
    /// The messages that fulfil a condition, in threads. From feature level 4 on.
    Threads {
        /// Which folder.
        folder: FolderId,
        /// The condition.
        search: Search,
        /// How they are put together.
        threading: Threading,
    },
}

/// The answer to a [`Read`], in the same order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReadReply {
    /// To [`Read::Folders`].
    Folders(Arc<Vec<FolderInfo>>),
    /// To [`Read::Folder`].
    Folder(Box<FolderInfo>),
    /// To [`Read::Subscriptions`].
    Subscriptions(Vec<String>),
    /// To [`Read::View`].
    View(Box<FolderView>),
    /// To [`Read::Delta`].
    Delta(Box<ViewDelta>),
    /// To [`Read::Meta`].
    Meta(Vec<(Uid, Arc<MessageMeta>)>),
    /// To [`Read::Search`], and in order to [`Read::Sort`].
    Search(Vec<Uid>),
    /// To [`Read::Usage`].
    Usage(Usage),
    /// To [`Read::Item`], [`Read::ByHref`], [`Read::BySourceKey`].
    Item(Box<Item>),
    /// To [`Read::ItemChanges`]: the changes, and whether there are more.
    ItemChanges(Vec<ItemChange>, bool),
    /// To [`Read::CollectionState`].
    CollectionState(CollectionState),
    /// To [`Read::ReadBy`].
    ReadBy(UidSet),
    /// To [`Read::Permissions`].
    Permissions(Vec<Permission>),
    /// To [`Read::MetaPage`].
    MetaPage(MetaPage),
    /// To [`Read::Rights`]: bits of [`Permission`].
    Rights(Vec<(FolderId, u32)>),
    /// To [`Read::Threads`].
    Threads(Vec<ThreadEntry>),
}

/// A part of what was asked for, in order of UID.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetaPage {
    /// What was found.
    pub found: Vec<(Uid, Arc<MessageMeta>)>,
    /// Ask again for those from this UID on; `None` if that was all.
    pub next: Option<Uid>,
}

/// How [`Write::Store`] changes flags and [`Write::Grant`] rights.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StoreMode {
    /// FLAGS: exactly these.
    Replace,
    /// +FLAGS.
    Add,
    /// -FLAGS.
    Remove,
}

/// A change to a mailbox.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Write {
    /// Makes a folder.
    CreateFolder {
        /// Below which.
        parent: FolderId,
        /// Its own name.
        name: String,
        /// What it holds.
        class: FolderClass,
        /// Its part, where the client asks for one (RFC 6154 §3).
        role: Option<SpecialUse>,
    },
    /// Renames or moves a folder with all below it. Renaming the Inbox moves its messages to a new
    /// folder of that name (RFC 3501 §6.3.5).
    RenameFolder {
        /// Which.
        folder: FolderId,
        /// Below which.
        parent: FolderId,
        /// Its new own name.
        name: String,
    },
    /// Removes a folder and its messages; refused with [`base::Kind::CannotChange`] for default
    /// folders and folders that have children.
    DeleteFolder(FolderId),
    /// Subscribes to a folder path, or ends that.
    Subscribe {
        /// The path, in UTF-8, `/` between names.
        path: String,
        /// Whether to subscribe.
        on: bool,
    },
    /// Puts messages into a folder, all or none.
    Append {
        /// Which folder.
        folder: FolderId,
        /// The messages.
        messages: Vec<NewMessage>,
    },
    /// Changes flags.
    Store {
        /// Which folder.
        folder: FolderId,
        /// Which messages; unknown UIDs are passed over.
        uids: UidSet,
        /// How.
        mode: StoreMode,
        /// Which flags.
        flags: NamedFlags,
        /// Only messages not changed after this (UNCHANGEDSINCE, RFC 7162).
        unchanged_since: Option<Change>,
    },
    /// Copies messages to another folder, all or none.
    Copy {
        /// From which folder.
        from: FolderId,
        /// Which messages.
        uids: UidSet,
        /// To which folder.
        to: FolderId,
    },
    /// Moves messages to another folder (RFC 6851).
    Move {
        /// From which folder.
        from: FolderId,
        /// Which messages.
        uids: UidSet,
        /// To which folder.
        to: FolderId,
    },
    /// Removes messages that have \Deleted: all, or those in the set.
    Expunge {
        /// Which folder.
        folder: FolderId,
        /// Of these only.
        uids: Option<UidSet>,
    },
    /// Takes the \Recent state of all messages that have it, for one session.
    ClaimRecent(FolderId),
    /// Delivers a queued message; only for [`crate::Principal::Transport`].
    Deliver(Box<Delivery>),
    /// Sends a message.
    Submit(Box<Outgoing>),
    /// Reserves a range of item ids for a client.
    ReserveIds {
        /// How many.
        count: u64,
    },
    /// Makes an item; its attachments are numbered anew, from 0. Importing one (with a version)
    /// whose SourceKey exists is editing it: the version is whole, what it lacks is gone. An item
    /// that is not associated gets a UID, and where it did not come as a message, a plain message
    /// made from its properties for FETCH to show.
    CreateItem {
        /// Where.
        folder: FolderId,
        /// The item.
        item: Box<NewItem>,
    },
    /// Changes an item.
    EditItem {
        /// Which.
        item: ItemId,
        /// How.
        edit: Box<ItemEdit>,
    },
    /// Sets the read state: of the item, or of the principal where it is kept per user.
    SetRead {
        /// Which items.
        items: Vec<ItemId>,
        /// Read or not.
        read: bool,
    },
    /// Removes items by id, those of a search folder from where they are; unknown ones are passed
    /// over. What is removed from Purges is gone for good; refused with
    /// [`base::Kind::CannotChange`] while the mailbox is on hold.
    DeleteItems {
        /// Which folder.
        folder: FolderId,
        /// Which items.
        items: Vec<ItemId>,
        /// True purges (to Purges), false moves to Deletions.
        hard: bool,
    },
    /// Makes a search folder: membership follows the criteria from now on. Its messages can be
    /// read like those of any folder, and changed only as items or in their own folders. Criteria
    /// that would have to read bodies or other header fields at every change, UIDs and change
    /// numbers are refused with [`base::Kind::CannotChange`].
    CreateSearchFolder {
        /// Below which.
        parent: FolderId,
        /// Its name.
        name: String,
        /// Over which folders.
        scope: Vec<FolderId>,
        /// The criteria.
        search: Search,
    },
    /// Stores a device's new state of a collection; what was latest becomes previous.
    SetCollectionState {
        /// The device's name.
        device: String,
        /// The collection.
        folder: FolderId,
        /// The new state.
        latest: Bytes,
    },
    /// Replaces a folder's permissions.
    SetPermissions {
        /// Which folder.
        folder: FolderId,
        /// All of them.
        permissions: Vec<Permission>,
    },
    /// Keeps a folder's read state for each user from now on, or for all alike again.
    SetReadPerUser {
        /// Which folder.
        folder: FolderId,
        /// For each user.
        on: bool,
    },
    /// Removes the whole mailbox of an account that the directory no longer has, and gives up its
    /// blobs; only for [`crate::Principal::System`]. Refused with [`base::Kind::CannotChange`]
    /// while there is the account. Can be asked for again at any time: it goes on where it
    /// stopped, and is done at once where there is nothing.
    Purge,
    /// Makes a chain of folders of one class, each below the one before, all or none; the answer
    /// shows the last one.
    CreateFolders {
        /// Below which the first one is.
        parent: FolderId,
        /// Their own names; one at least.
        names: Vec<String>,
        /// What they hold.
        class: FolderClass,
    },
    /// Changes what one account may do in a folder, whatever others change meanwhile. Who has no
    /// right left has no entry. Refused with [`base::Kind::Invalid`] for the mailbox's owner, who
    /// needs no rights.
    Grant {
        /// Which folder.
        folder: FolderId,
        /// To whom.
        account: AccountId,
        /// How.
        mode: StoreMode,
        /// Bits of [`Permission`].
        rights: u32,
    },
}

impl Read {
    /// As [`Write::level`].
    pub const fn level(&self) -> u32 {
        match self {
            Self::Rights | Self::Sort { .. } | Self::Threads { .. } => 4,
            _ => 1,
        }
    }
}

impl Write {
    /// The feature level of the cluster from which on every node understands this request. Before
    /// that, while it is upgraded node by node, the owner may be one that does not.
    pub const fn level(&self) -> u32 {
        match self {
            Self::CreateFolders { .. } => 2,
            Self::Grant { .. } => 4,
            _ => 1,
        }
    }
}

/// Source and target UIDs of a copy or move, in order of source UID (RFC 4315 COPYUID).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Copied {
    /// UIDVALIDITY of the target.
    pub uid_validity: u32,
    /// (source, target).
    pub pairs: Vec<(Uid, Uid)>,
}

/// What a [`Write::Store`] did.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// The messages that were named and exist, as they are now.
    pub entries: Vec<IndexEntry>,
    /// Those that were changed after `unchanged_since`, left as they were (MODIFIED).
    pub modified: Vec<Uid>,
    /// The mailbox's keyword names.
    pub keywords: Arc<Keywords>,
}

/// The answer to a [`Write`]. Results over 8 kB are stored as "look again".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum WriteReply {
    /// Done; there is nothing to tell.
    Done,
    /// A folder was made or renamed.
    Folder(Box<FolderInfo>),
    /// Messages were appended.
    Appended {
        /// UIDVALIDITY of the folder.
        uid_validity: u32,
        /// Their UIDs, in order.
        uids: Vec<Uid>,
    },
    /// Flags were changed.
    Stored(Stored),
    /// Messages were copied or moved.
    Copied(Copied),
    /// Messages were removed.
    Expunged(UidSet),
    /// From this UID on messages are \Recent to the session that claimed.
    Recent(Uid),
    /// A delivery was made.
    Delivered(Delivered),
    /// A message is on its way.
    Submitted(QueueId),
    /// A range of ids: the first, and how many.
    Reserved(ItemId, u64),
    /// An item was made or changed.
    Edited(Edited),
    /// Done, and answered before; the answer was too long to be kept. Read again what it changed.
    LookAgain,
}
