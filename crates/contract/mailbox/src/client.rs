//! One mailbox, as one session sees it: a method for each request, with its own reply type.

use crate::folder::{FolderClass, FolderInfo, SpecialUse};
use crate::index::{FolderView, NamedFlags, ViewDelta};
use crate::item::{
    CollectionState, Edited, Item, ItemChange, ItemEdit, NewItem, Permission, Usage,
};
use crate::message::{Delivered, Delivery, MessageMeta, NewMessage, Outgoing};
use crate::request::{Copied, MetaPage, Read, ReadReply, StoreMode, Stored, Write, WriteReply};
use crate::search::Search;
use crate::uidset::UidSet;
use crate::{Mailboxes, Principal};
use base::{
    AccountId, Change, CommandId, Deadline, Error, FolderId, ItemId, Kind, QueueId, Result,
    SessionId, Uid,
};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// A command is sent again if it has failed sooner than this: a router that has looked for an owner
/// for longer has sent it again itself, and the client is to be answered within ten seconds.
const AGAIN_WITHIN: Duration = Duration::from_secs(2);

/// A session's way to one mailbox. Numbers the session's commands; cheap to share.
pub struct MailboxHandle {
    mailboxes: Arc<dyn Mailboxes>,
    mailbox: AccountId,
    principal: Principal,
    session: SessionId,
    sequence: AtomicU64,
}

macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty {
        $request:expr => $reply:pat => $value:expr
    })*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`Mailboxes::read`].
        pub async fn $name(&self, $($arg: $type),*) -> Result<$out> {
            match self.read($request).await? {
                $reply => Ok($value),
                other => Err(unexpected(stringify!($name), &other)),
            }
        }
    )*};
}

macro_rules! writes {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty {
        $request:expr => $reply:pat => $value:expr
    })*) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// As [`Mailboxes::write`].
        pub async fn $name(&self, $($arg: $type),*) -> Result<$out> {
            match self.write($request).await? {
                $reply => Ok($value),
                other => Err(unexpected(stringify!($name), &other)),
            }
        }
    )*};
}

impl MailboxHandle {
    /// A handle for a session that acts as `principal`.
    pub fn new(
        mailboxes: Arc<dyn Mailboxes>,
        mailbox: AccountId,
        principal: Principal,
        session: SessionId,
    ) -> Self {
        Self { mailboxes, mailbox, principal, session, sequence: AtomicU64::new(0) }
    }

    /// Which mailbox.
    pub fn mailbox(&self) -> AccountId {
        self.mailbox
    }

    /// Wake-ups, see [`Mailboxes::watch`].
    pub fn watch(&self) -> watch::Receiver<Change> {
        self.mailboxes.watch(self.mailbox)
    }

    /// Asks.
    ///
    /// # Errors
    /// As [`Mailboxes::read`].
    pub async fn read(&self, request: Read) -> Result<ReadReply> {
        self.mailboxes.read(self.mailbox, self.principal, request).await
    }

    /// Changes, under the session's next command id.
    ///
    /// # Errors
    /// As [`Mailboxes::write`].
    pub async fn write(&self, request: Write) -> Result<WriteReply> {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let command = CommandId { session: self.session, sequence };
        let (mailbox, principal) = (self.mailbox, self.principal);
        let early = Deadline::after(AGAIN_WITHIN);
        let first = self.mailboxes.write(mailbox, principal, command, request.clone()).await;
        match first {
            // The owner changed, or stopped before it answered. The same command may be sent
            // again: if it was applied, its stored answer comes back.
            Err(error)
                if matches!(error.kind, Kind::Fenced | Kind::Unavailable)
                    && !early.has_passed() =>
            {
                self.mailboxes.write(mailbox, principal, command, request).await
            }
            other => other,
        }
    }

    reads! {
        /// All folders, parents before children.
        folders() -> Arc<Vec<FolderInfo>> {
            Read::Folders => ReadReply::Folders(folders) => folders
        }
        /// One folder.
        folder(folder: FolderId) -> FolderInfo {
            Read::Folder(folder) => ReadReply::Folder(info) => *info
        }
        /// Subscribed paths.
        subscriptions() -> Vec<String> {
            Read::Subscriptions => ReadReply::Subscriptions(paths) => paths
        }
        /// A folder's whole index.
        view(folder: FolderId) -> FolderView {
            Read::View(folder) => ReadReply::View(view) => *view
        }
        /// What happened to a folder since a change number.
        delta(folder: FolderId, since: Change) -> ViewDelta {
            Read::Delta { folder, since } => ReadReply::Delta(delta) => *delta
        }
        /// What is needed to answer FETCH.
        meta(folder: FolderId, uids: Vec<Uid>) -> Vec<(Uid, Arc<MessageMeta>)> {
            Read::Meta { folder, uids } => ReadReply::Meta(found) => found
        }
        /// The same in pages that are bounded by bytes, see [`Read::MetaPage`].
        meta_page(folder: FolderId, uids: Vec<Uid>) -> MetaPage {
            Read::MetaPage { folder, uids } => ReadReply::MetaPage(page) => page
        }
        /// The messages that fulfil a condition.
        search(folder: FolderId, search: Search) -> Vec<Uid> {
            Read::Search { folder, search } => ReadReply::Search(uids) => uids
        }
        /// How much the mailbox holds.
        usage() -> Usage {
            Read::Usage => ReadReply::Usage(usage) => usage
        }
        /// One item.
        item(item: ItemId) -> Item {
            Read::Item(item) => ReadReply::Item(item) => *item
        }
        /// Changes of items, and whether there are more.
        item_changes(folder: FolderId, since: Change, limit: usize) -> (Vec<ItemChange>, bool) {
            Read::ItemChanges { folder, since, limit } =>
                ReadReply::ItemChanges(changes, more) => (changes, more)
        }
        /// An item by DAV resource name.
        by_href(folder: FolderId, href: String) -> Item {
            Read::ByHref { folder, href } => ReadReply::Item(item) => *item
        }
        /// An item by SourceKey.
        by_source_key(folder: FolderId, source_key: Bytes) -> Item {
            Read::BySourceKey { folder, source_key } => ReadReply::Item(item) => *item
        }
        /// A device's state of a collection.
        collection_state(device: String, folder: FolderId) -> CollectionState {
            Read::CollectionState { device, folder } => ReadReply::CollectionState(state) => state
        }
        /// The UIDs that the principal has read, where that is kept per user.
        read_by(folder: FolderId) -> UidSet {
            Read::ReadBy { folder } => ReadReply::ReadBy(uids) => uids
        }
        /// A folder's permissions.
        permissions(folder: FolderId) -> Vec<Permission> {
            Read::Permissions(folder) => ReadReply::Permissions(permissions) => permissions
        }
    }

    writes! {
        /// Makes a folder.
        create_folder(parent: FolderId, name: String, class: FolderClass, role: Option<SpecialUse>)
            -> FolderInfo {
            Write::CreateFolder { parent, name, class, role } => WriteReply::Folder(info) => *info
        }
        /// Makes a chain of folders, all or none; gives the last one.
        create_folders(parent: FolderId, names: Vec<String>, class: FolderClass) -> FolderInfo {
            Write::CreateFolders { parent, names, class } => WriteReply::Folder(info) => *info
        }
        /// Renames or moves a folder.
        rename_folder(folder: FolderId, parent: FolderId, name: String) -> FolderInfo {
            Write::RenameFolder { folder, parent, name } => WriteReply::Folder(info) => *info
        }
        /// Removes a folder.
        delete_folder(folder: FolderId) -> () {
            Write::DeleteFolder(folder) => WriteReply::Done => ()
        }
        /// Subscribes to a path, or ends that.
        subscribe(path: String, on: bool) -> () {
            Write::Subscribe { path, on } => WriteReply::Done => ()
        }
        /// Appends messages: UIDVALIDITY and their UIDs.
        append(folder: FolderId, messages: Vec<NewMessage>) -> (u32, Vec<Uid>) {
            Write::Append { folder, messages } =>
                WriteReply::Appended { uid_validity, uids } => (uid_validity, uids)
        }
        /// Changes flags.
        store(folder: FolderId, uids: UidSet, mode: StoreMode, flags: NamedFlags,
            unchanged_since: Option<Change>) -> Stored {
            Write::Store { folder, uids, mode, flags, unchanged_since } =>
                WriteReply::Stored(stored) => stored
        }
        /// Copies messages.
        copy(from: FolderId, uids: UidSet, to: FolderId) -> Copied {
            Write::Copy { from, uids, to } => WriteReply::Copied(copied) => copied
        }
        /// Moves messages.
        move_messages(from: FolderId, uids: UidSet, to: FolderId) -> Copied {
            Write::Move { from, uids, to } => WriteReply::Copied(copied) => copied
        }
        /// Removes messages that have \Deleted.
        expunge(folder: FolderId, uids: Option<UidSet>) -> UidSet {
            Write::Expunge { folder, uids } => WriteReply::Expunged(uids) => uids
        }
        /// Takes the \Recent state; gives the first recent UID.
        claim_recent(folder: FolderId) -> Uid {
            Write::ClaimRecent(folder) => WriteReply::Recent(uid) => uid
        }
        /// Delivers a queued message.
        deliver(delivery: Delivery) -> Delivered {
            Write::Deliver(Box::new(delivery)) => WriteReply::Delivered(delivered) => delivered
        }
        /// Sends a message.
        submit(outgoing: Outgoing) -> QueueId {
            Write::Submit(Box::new(outgoing)) => WriteReply::Submitted(queue) => queue
        }
        /// Reserves item ids: the first, and how many.
        reserve_ids(count: u64) -> (ItemId, u64) {
            Write::ReserveIds { count } => WriteReply::Reserved(first, count) => (first, count)
        }
        /// Makes an item.
        create_item(folder: FolderId, item: NewItem) -> Edited {
            Write::CreateItem { folder, item: Box::new(item) } =>
                WriteReply::Edited(edited) => edited
        }
        /// Changes an item.
        edit_item(item: ItemId, edit: ItemEdit) -> Edited {
            Write::EditItem { item, edit: Box::new(edit) } => WriteReply::Edited(edited) => edited
        }
        /// Sets the read state.
        set_read(items: Vec<ItemId>, read: bool) -> () {
            Write::SetRead { items, read } => WriteReply::Done => ()
        }
        /// Removes items by id.
        delete_items(folder: FolderId, items: Vec<ItemId>, hard: bool) -> () {
            Write::DeleteItems { folder, items, hard } => WriteReply::Done => ()
        }
        /// Makes a search folder.
        create_search_folder(parent: FolderId, name: String, scope: Vec<FolderId>, search: Search)
            -> FolderInfo {
            Write::CreateSearchFolder { parent, name, scope, search } =>
                WriteReply::Folder(info) => *info
        }
        /// Stores a device's new state of a collection.
        set_collection_state(device: String, folder: FolderId, latest: Bytes) -> () {
            Write::SetCollectionState { device, folder, latest } => WriteReply::Done => ()
        }
        /// Replaces a folder's permissions.
        set_permissions(folder: FolderId, permissions: Vec<Permission>) -> () {
            Write::SetPermissions { folder, permissions } => WriteReply::Done => ()
        }
        /// Keeps a folder's read state for each user, or for all alike.
        set_read_per_user(folder: FolderId, on: bool) -> () {
            Write::SetReadPerUser { folder, on } => WriteReply::Done => ()
        }
        /// Removes the mailbox of an account that is no more.
        purge() -> () {
            Write::Purge => WriteReply::Done => ()
        }
    }
}

fn unexpected(request: &str, reply: &dyn std::fmt::Debug) -> Error {
    let reply: String = format!("{reply:?}").chars().take(80).collect();
    Error::internal(format!("{request} was answered with {reply}"))
}
